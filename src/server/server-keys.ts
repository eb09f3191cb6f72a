import { readFile } from 'node:fs/promises';

import { NearvoteError } from '../domain/errors.js';

export interface ServerKeyOptions {
  readonly apiKeysFile?: string | undefined;
  readonly adminKeyFile?: string | undefined;
  /** Where `NEARVOTE_API_KEYS` and `NEARVOTE_ADMIN_KEY` are looked up: on a command line, ps would show them. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ServerKeys {
  /** Absent where anybody may classify. */
  readonly api: readonly string[] | undefined;
  /** Absent where there is nothing to administer. */
  readonly admin: string | undefined;
}

/** Shorter ones can be guessed. */
const sane = /^[\x21-\x7e]{16,256}$/;

/**
 * The keys of the files and of the environment together.
 * @throws NearvoteError `usage` for a file that cannot be read, no key where keys were asked for, or a weak one:
 * a mistake here never opens the server
 */
export async function readServerKeys({
  apiKeysFile,
  adminKeyFile,
  env,
}: ServerKeyOptions): Promise<ServerKeys> {
  const api = [
    ...(await fromFile('--api-keys-file', apiKeysFile)),
    ...fromText('NEARVOTE_API_KEYS', env.NEARVOTE_API_KEYS, ','),
  ];
  const admins = [
    ...(await fromFile('--admin-key-file', adminKeyFile)),
    ...fromText('NEARVOTE_ADMIN_KEY', env.NEARVOTE_ADMIN_KEY, '\n'),
  ];
  const [admin] = admins;
  if (admins.length > 1) {
    throw new NearvoteError('usage', `Expected one admin key but received ${admins.length}`);
  }
  if (admin !== undefined && api.includes(admin)) {
    throw new NearvoteError('usage', 'Expected an admin key that is no API key but received the same');
  }
  return { api: api.length === 0 ? undefined : api, admin };
}

async function fromFile(option: string, file: string | undefined): Promise<string[]> {
  if (file === undefined) return [];
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new NearvoteError('usage', `Expected ${option} to name a file of keys but ${file} cannot be read`, {
      cause,
    });
  }
  return fromText(`${option} ${file}`, text, '\n');
}

function fromText(source: string, text: string | undefined, separator: string): string[] {
  if (text === undefined) return [];
  const keys = text
    .split(separator)
    .map((key) => key.trim())
    .filter((key) => key !== '');
  if (keys.length === 0) throw new NearvoteError('usage', `Expected a key in ${source} but received none`);
  // The key itself is not for the log.
  if (!keys.every((key) => sane.test(key))) {
    throw new NearvoteError(
      'usage',
      `Expected every key in ${source} to be 16 to 256 printable characters without spaces but received another`,
    );
  }
  return keys;
}
