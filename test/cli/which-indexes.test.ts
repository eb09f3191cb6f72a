import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { whichIndexes } from '../../src/cli/which-indexes.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-which-'));
afterAll(() => rm(base, { recursive: true }));

const examples = [{ id: 'a', label: 'a', source: 'a' }];
for (const name of ['leaves', 'flowers', 'other/leaves', 'a=b', 'müsli', 'b,c', 'index/mosses']) {
  await mkdir(join(base, name), { recursive: true });
  await publishSmallIndex({
    root: join(base, name),
    embeddings: onCircle([0]),
    examples,
    withoutGraph: true,
  });
}
await symlink(join(base, 'leaves'), join(base, 'alias'));

/** Name and folder of each; `~` stands for the folder of this test. */
async function found(told: readonly string[], fromVariable = false): Promise<string[]> {
  const index = told.map((one) => one.replaceAll('~', base));
  const chosen = await whichIndexes({ index, fromVariable, allowHttp: false });
  return chosen.map(({ name, index: folder }) => `${name} ${folder.replace(base, '~')}`);
}

const refused = (message: string | RegExp): unknown =>
  expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) as string });

describe('the indexes that a server is started with', () => {
  it('have the name that they are told, or that of their folder, in the order told', async () => {
    expect(await found(['~/leaves'])).toEqual(['leaves ~/leaves']);
    expect(await found(['autumn=~/leaves'])).toEqual(['autumn ~/leaves']);
    expect(await found(['~/leaves/', 'spring.1_-A=~/flowers', 'more=~/other/leaves'])).toEqual([
      'leaves ~/leaves/',
      'spring.1_-A ~/flowers',
      'more ~/other/leaves',
    ]);
    expect(await found(['__proto__=~/leaves', '~/flowers'])).toEqual([
      '__proto__ ~/leaves',
      'flowers ~/flowers',
    ]);
  });

  it('may be called by the name that they have in ./index', async () => {
    const before = process.cwd();
    process.chdir(base);
    try {
      expect(await found(['mosses'])).toEqual(['mosses index/mosses']);
      expect(await found(['green=mosses', 'leaves'])).toEqual(['green index/mosses', 'leaves leaves']);
    } finally {
      process.chdir(before);
    }
  });

  it('may have an equals sign in their folder, where a slash is before it', async () => {
    expect(await found(['~/a=b'])).toEqual(['a=b ~/a=b']);
    expect(await found(['one=~/a=b', '~/leaves'])).toEqual(['one ~/a=b', 'leaves ~/leaves']);
  });

  it('have commas between them in the variable alone', async () => {
    expect(await found(['~/leaves, spring=~/flowers'], true)).toEqual([
      'leaves ~/leaves',
      'spring ~/flowers',
    ]);
    expect(await found(['~/b,c'])).toEqual(['b,c ~/b,c']);
    await expect(found(['~/leaves,'], true)).rejects.toEqual(
      refused('to name a folder but received nothing'),
    );
  });

  it('may lie in a folder of any name where there is but one', async () => {
    expect(await found(['~/müsli'])).toEqual(['müsli ~/müsli']);
    await expect(found(['~/müsli', '~/leaves'])).rejects.toEqual(
      refused(`the folder ${base}/müsli has another; give it one: --index NAME=${base}/müsli`),
    );
  });

  it.each([
    ['=~/leaves', 'a name of 1 to 64 letters'],
    ['=', 'a name of 1 to 64 letters'],
    ['two words=~/leaves', 'a name of 1 to 64 letters'],
    ['größe=~/leaves', 'a name of 1 to 64 letters'],
    [`${'a'.repeat(65)}=~/leaves`, 'a name of 1 to 64 letters'],
    ['leaves=', 'a folder after --index leaves= but received nothing'],
    ['', 'to name a folder but received nothing'],
  ])('are used wrongly as %j', async (told, message) => {
    await expect(found([told])).rejects.toEqual(refused(message));
  });

  it('may be called anything of 64 characters', async () => {
    const name = 'a'.repeat(64);
    expect(await found([`${name}=~/leaves`])).toEqual([`${name} ~/leaves`]);
  });

  it('are used wrongly where two have one name, told or of their folder', async () => {
    for (const told of [
      ['~/leaves', '~/other/leaves'],
      ['a=~/leaves', 'a=~/flowers'],
      ['flowers=~/leaves', '~/flowers'],
    ]) {
      await expect(found(told)).rejects.toEqual(refused(/are both (leaves|a|flowers); give one another/));
    }
  });

  it('are used wrongly where two are one folder, by whatever path', async () => {
    for (const other of ['~/leaves', '~/leaves/../leaves/', '~/alias']) {
      await expect(found(['~/flowers', 'a=~/leaves', `b=${other}`])).rejects.toEqual(
        refused(/a folder of its own for each index but .* are one$/),
      );
    }
  });

  it('are index_missing by the one that is not there', async () => {
    await expect(found(['~/leaves', 'more=~/nothing'])).rejects.toMatchObject({
      code: 'index_missing',
      message: expect.stringContaining(join(base, 'nothing')) as string,
    });
  });
});
