import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { lockWriter } from '../../src/examples/writer.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { nearvoteHere } from './in-process.js';
import type { Ran } from './nearvote.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-apply-'));
afterAll(() => rm(base, { recursive: true }));

let root = '';
let made = 0;
beforeEach(async () => {
  root = join(base, 'index', `pets-${made++}`);
  await publishSmallIndex({
    root,
    embeddings: onCircle([0, 10, 20, 90, 100]),
    examples: ['c0', 'c1', 'c2', 'd0', 'd1'].map((id) => ({
      ...{ id, source: `${id}.png` },
      label: id.startsWith('c') ? 'cat' : 'dog',
    })),
  });
});

const findings = {
  wrong: { kind: 'mislabelled', ids: ['c0'], labels: ['cat'], suggested: 'dog', probability: 0.97 },
  unlikely: { kind: 'mislabelled', ids: ['c1'], labels: ['cat'], suggested: 'dog', probability: 0.41 },
  copies: { kind: 'duplicates', ids: ['c1', 'c2'], labels: ['cat', 'cat'], confirmed: true },
  guessed: { kind: 'duplicates', ids: ['d0', 'd1'], labels: ['dog', 'dog'], confirmed: false },
  clash: { kind: 'conflicting-duplicates', ids: ['c1', 'd1'], labels: ['cat', 'dog'], confirmed: true },
  gone: { kind: 'droppable', ids: ['nobody'], labels: ['cat'] },
};
const file = join(base, 'findings.jsonl');
const write = (some: readonly object[]): Promise<void> =>
  writeFile(file, some.map((one) => `${JSON.stringify(one)}\n`).join(''));
const apply = (...args: string[]): Promise<Ran> =>
  nearvoteHere(base, ['audit', '--index', root, '--apply', file, ...args]);
const index = (...args: string[]): Promise<Ran> => nearvoteHere(base, ['index', ...args, '--index', root]);

describe('nearvote audit --apply', () => {
  it('says what it would do, does it as one change with reasons, and all of it is taken back to the byte', async () => {
    await write(Object.values(findings));
    const content = async (): Promise<string[]> => {
      expect((await index('compact')).code).toBe(0);
      const version = (await readFile(join(root, 'current'), 'utf8')).trim();
      return Promise.all(
        ['examples.jsonl', 'embeddings.f32'].map((name) => readFile(join(root, version, name), 'hex')),
      );
    };
    const before = await content();

    const dry = await apply('--dry-run');
    expect(dry.stdout).toContain('Would apply 2 of 6 findings: 1 relabelled, 1 deleted\n');
    expect(dry.stdout).toContain('relabel c0: audit: mislabelled, 0.97 dog rather than cat');
    expect((await index('log')).stdout).toContain('No changes');

    const { stdout, code } = await apply('--who', 'Ada');
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'Applied 2 of 6 findings: 1 relabelled, 1 deleted',
        'Left 1 below --min-probability',
        'Left 1 unconfirmed (--unconfirmed applies them)',
        'Left 1 for a person to decide',
        'Left 1 about examples that have changed since',
        '  line 6, droppable: there is no example nobody',
        `Changed: sequence 2; nearvote index revert 1 --index ${root} takes all of it back\n`,
      ].join('\n'),
    );
    const log = await index('log', '--json');
    expect(
      log.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { id: 'c2', kind: 'delete', reason: 'audit: duplicates, it is the same picture as c1', who: 'Ada' },
      { id: 'c0', kind: 'relabel', reason: 'audit: mislabelled, 0.97 dog rather than cat', who: 'Ada' },
    ]);
    expect((await index('diff', '0', '2')).stdout).toContain('0 examples added, 1 deleted, 1 relabelled');
    expect((await index('revert', '1')).code).toBe(0);
    expect(await content()).toEqual(before);
    expect((await nearvoteHere(base, ['index', 'verify', root])).stdout).toContain('All is well');
  });

  it('applies the kinds, the probability and the guesses that it is asked for', async () => {
    await write(Object.values(findings));
    const said = async (...args: string[]): Promise<object> =>
      JSON.parse((await apply('--dry-run', '--json', ...args)).stdout) as object;
    expect(await said('--kind', 'mislabelled', '--min-probability', '0.4')).toMatchObject({
      ...{ relabelled: 2, deleted: 0, labelsGone: [], operation: null },
    });
    expect(await said('--unconfirmed', '--kind', 'duplicates, leak')).toMatchObject({
      relabelled: 0,
      deleted: 2,
    });
  });

  it('says that findings may be of another index, or of which labels nothing is left', async () => {
    await write([findings.gone]);
    expect((await apply()).stdout).toMatch(
      /another index, or were they applied before\?\nNothing changed: sequence 0/,
    );
    await write(
      ['d0', 'd1'].map((id) => ({ kind: 'leak', ids: [id], labels: ['dog'], confirmed: true, test: { id } })),
    );
    expect((await apply()).stdout).toContain('No example is left of a label: dog\n');
  });

  it('is refused while another process may change the index, and says whom to ask', async () => {
    await write([findings.wrong]);
    const lock = await lockWriter(root);
    const { code, stderr } = await apply();
    await lock.release();
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`process ${process.pid} .*POST /findings.*\\[index_readonly\\]`));
  });

  it.each([
    ['a line that is none', ['--apply', file], 'line 2 of', 1],
    ['a file that is not there', ['--apply', 'none.jsonl'], 'none.jsonl cannot be read (ENOENT)', 1],
    ['an option of audits', ['--apply', file, '--out', 'x'], "cannot be used with option '--out <file>'", 2],
    ['an option of applying alone', ['--dry-run'], 'Expected --apply with the findings that --dry-run', 2],
    ['a kind that is none', ['--apply', file, '--kind', 'cats'], 'Expected kinds among', 2],
    ['a probability of 2', ['--apply', file, '--min-probability', '2'], 'Expected a number from 0 to 1', 2],
  ])('refuses %s, and changes nothing', async (_, args, message, code) => {
    await writeFile(file, `${JSON.stringify(findings.wrong)}\nnonsense\n`);
    const ran = await nearvoteHere(base, ['audit', '--index', root, ...args]);
    expect(ran).toMatchObject({ code, stderr: expect.stringContaining(message) as string });
    expect((await nearvoteHere(base, ['index', 'log', basename(root)])).stdout).toContain('No changes');
  });
});
