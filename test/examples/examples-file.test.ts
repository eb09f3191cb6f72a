import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleLine, readExamplesFile } from '../../src/examples/examples-file.js';

describe('examples.jsonl', () => {
  let base = '';
  let path = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-examples-'));
    path = join(base, 'examples.jsonl');
  });
  afterAll(() => rm(base, { recursive: true }));

  it('reads back what was written, over the pieces that it is read in', async () => {
    const examples = Array.from({ length: 30_000 }, (_, i) => ({
      id: `${i}`,
      label: ['cat', '__proto__', '猫\u2028\n'][i % 3] ?? '',
      source: `folder ${i}/${'x'.repeat(i % 100)}é.png`,
    }));
    await writeFile(path, examples.map(exampleLine).join(''));
    expect(await readExamplesFile(path)).toEqual(examples);
  });

  const whole = '{"id":"1","label":"cat","source":"1.png"}';
  it.each([
    ['', 'an empty line'],
    ['{"id":"1","label":"cat"}', 'no source'],
    ['{"id":"1","label":"cat","source":"1.png","more":1}', 'a field more'],
    ['{"id":1,"label":"cat","source":"1.png"}', 'a number for an id'],
    ['{"id":"1","label":null,"source":"1.png"}', 'no label'],
    ['["1","cat","1.png"]', 'a list'],
    ['null', 'nothing'],
    [`${whole},${whole}`, 'two on a line'],
    ['{"id":"1"', 'half of one'],
  ])('refuses %j, %s, and names its line', async (line) => {
    await writeFile(path, `${whole}\n${line}\n${whole}\n`);
    await expect(readExamplesFile(path)).rejects.toMatchObject({
      code: 'index_invalid',
      message: 'Expected {id, label, source} on line 2 of examples.jsonl but received something else',
    });
  });

  it('is refused where it ends without a line end: it is cut short', async () => {
    await writeFile(path, `${whole}\n${whole}`);
    await expect(readExamplesFile(path)).rejects.toMatchObject({
      code: 'index_invalid',
      message: expect.stringContaining('cut short') as string,
    });
  });
});
