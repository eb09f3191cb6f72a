import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { writeDurably } from '../../files/durable.js';

export interface PublishOptions {
  readonly dir: string;
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Replaces an encoder that is there already, the whole folder. */
  readonly force: boolean;
}

/**
 * Refuses a folder that may not be written, before any work is done for it.
 * @throws NearvoteError `output_unwritable`
 */
export async function checkPlace(dir: string, force: boolean): Promise<void> {
  const found = await stat(dir).catch(() => undefined);
  if (found === undefined) return;
  const isEncoder = (await stat(join(dir, 'encoder.json')).catch(() => undefined)) !== undefined;
  if (isEncoder && force) return;
  throw new NearvoteError(
    'output_unwritable',
    isEncoder
      ? `Expected no encoder at ${dir} but there is one: --force replaces it, the whole folder`
      : `Expected nothing at ${dir} but there is something that is not an encoder, which --force does not replace either`,
  );
}

/**
 * Makes a folder of these files appear at once, whole or not at all.
 * @throws NearvoteError `output_unwritable`
 */
export async function publishFolder({ dir, files, force }: PublishOptions): Promise<void> {
  await checkPlace(dir, force);
  const place = resolve(dir);
  const parent = dirname(place);
  let draft: string | undefined;
  try {
    await mkdir(parent, { recursive: true });
    draft = await mkdtemp(join(parent, `.${basename(place)}-`));
    const fresh = join(draft, 'new');
    await mkdir(fresh);
    for (const [name, content] of Object.entries(files)) await writeDurably(join(fresh, name), content);
    const old = join(draft, 'old');
    const replaces = force && (await rename(place, old).then(() => true, isMissing));
    try {
      await rename(fresh, place);
    } catch (error) {
      if (replaces) {
        const kept = draft;
        // Until the old encoder is back in its place, the draft that holds it may not be removed.
        draft = undefined;
        await rename(old, place);
        draft = kept;
      }
      throw error;
    }
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new NearvoteError('output_unwritable', `Expected to write ${dir} but received ${reason}`, {
      cause,
    });
  } finally {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true });
  }
}

/** @returns false when there was nothing to move */
function isMissing(error: unknown): false {
  if (systemCodeOf(error) === 'ENOENT') return false;
  throw error;
}
