import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { nearvote, nearvoteIn } from './nearvote.js';

describe('what is misspelled', () => {
  it.each([
    [
      ['build', '--dat', 'photos'],
      "error: unknown option '--dat' (Did you mean --data?); npx nearvote build",
    ],
    [['build', '--dat=photos'], "error: unknown option '--dat' (Did you mean --data?); npx nearvote build"],
    [['help', 'buidl'], "error: unknown command 'buidl' (Did you mean build?); npx nearvote --help"],
  ])('in nearvote %j is named before what is missing', async (args, said) => {
    const { code, stdout, stderr } = await nearvote(...args);
    expect(stderr.startsWith(said)).toBe(true);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('in the path of a dataset is told with the name beside it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nearvote-misspelled-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, 'photos'));
    const { stderr } = await nearvoteIn(
      folder,
      ...['build', '--data', 'photo', '--encoder', 'models/cifar10-compact', '--out', 'index/own'],
    );
    expect(stderr).toContain('at photo but it cannot be opened (ENOENT). There is photos [dataset_missing]');
  });

  it('in the name of a variable is told in one line, and no value is', async () => {
    vi.stubEnv('NEARVOTE_PROT', 'secret');
    vi.stubEnv('NEARVOTE_PORT', '8081');
    vi.stubEnv('NEARVOTE_API_KEYS', 'secret');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { stderr } = await nearvote('classify', 'no-such-file');
    expect(stderr.match(/.*NEARVOTE_.*/g)).toEqual([
      'nearvote: nothing reads the variable NEARVOTE_PROT (Did you mean NEARVOTE_PORT?)',
    ]);
    expect(stderr).not.toContain('secret');
  });

  it('of the keys of a server is told to serve, where the same name is right for who asks one', async () => {
    vi.stubEnv('NEARVOTE_API_KEY', 'secret');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await nearvote('serve', '--index', 'no-such-index')).stderr).toContain(
      'nothing reads the variable NEARVOTE_API_KEY (Did you mean NEARVOTE_API_KEYS?)',
    );
    expect((await nearvote('classify', 'no-such-file')).stderr).not.toContain('NEARVOTE_API_KEY');
  });
});
