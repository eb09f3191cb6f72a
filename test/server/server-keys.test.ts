import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readServerKeys } from '../../src/server/server-keys.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-keys-'));
});
afterAll(() => rm(folder, { recursive: true }));

const one = 'a-key-of-enough-length';
const two = 'two-keys-are-not-alike';

async function fileOf(text: string): Promise<string> {
  const file = join(folder, `${Math.random()}.txt`);
  await writeFile(file, text);
  return file;
}

describe('the keys of the server', () => {
  it('are none unless some are given', async () => {
    expect(await readServerKeys({ env: {} })).toEqual({ api: undefined, admin: undefined });
  });

  it('come from files, a line each, and from the environment', async () => {
    const apiKeysFile = await fileOf(`${one}\r\n\n  ${two}\n`);
    const adminKeyFile = await fileOf('the-admin-has-another\n');
    expect(await readServerKeys({ apiKeysFile, adminKeyFile, env: {} })).toEqual({
      api: [one, two],
      admin: 'the-admin-has-another',
    });
    const env = { NEARVOTE_API_KEYS: `${one}, ${two}`, NEARVOTE_ADMIN_KEY: 'the-admin-has-another' };
    expect(await readServerKeys({ env })).toEqual({ api: [one, two], admin: 'the-admin-has-another' });
  });

  it.each([
    ['no key at all', { NEARVOTE_API_KEYS: '' }],
    ['only separators', { NEARVOTE_API_KEYS: ' , ' }],
    ['a short key', { NEARVOTE_API_KEYS: `${one},short` }],
    ['a key with a space', { NEARVOTE_API_KEYS: 'a key with spaces in it' }],
    ['an empty admin key', { NEARVOTE_ADMIN_KEY: '' }],
    ['an API key as admin key', { NEARVOTE_API_KEYS: one, NEARVOTE_ADMIN_KEY: one }],
    ['two admin keys', { NEARVOTE_ADMIN_KEY: `${one}\n${two}` }],
  ])('are refused as usage, unseen, where there is %s', async (_what, env) => {
    const refusal = await readServerKeys({ env }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'usage' });
    expect(String(refusal)).not.toMatch(/a-key-of|short$|with spaces in/);
  });

  it('are refused where their file is missing or empty', async () => {
    const missing = readServerKeys({ apiKeysFile: join(folder, 'none'), env: {} });
    await expect(missing).rejects.toMatchObject({ code: 'usage' });
    const empty = readServerKeys({ adminKeyFile: await fileOf('\n'), env: {} });
    await expect(empty).rejects.toMatchObject({ code: 'usage' });
  });
});
