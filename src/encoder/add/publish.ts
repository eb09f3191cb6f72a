import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { syncPath, writeDurably } from '../../files/durable.js';
import { lockFolder } from '../../files/lock.js';

export interface PublishOptions {
  readonly dir: string;
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Which of them is the model, `encoder.onnx` unless told. */
  readonly model?: string | undefined;
  /** Replaces an encoder that is there already, the whole folder. */
  readonly force: boolean;
}

/**
 * Refuses a folder that may not be written, before any work is done for it.
 * @throws NearvoteError `output_exists`
 */
export async function checkPlace(dir: string, force: boolean): Promise<void> {
  const found = await stat(dir).catch(() => undefined);
  if (found === undefined) return;
  const isEncoder = (await stat(join(dir, 'encoder.json')).catch(() => undefined)) !== undefined;
  if (isEncoder && force) return;
  throw new NearvoteError(
    'output_exists',
    isEncoder
      ? `Expected no encoder at ${dir} but there is one: --force replaces it, the whole folder, and --out or another name leaves it`
      : `Expected nothing at ${dir} but there is something that is not an encoder, which --force does not replace either`,
  );
}

const onnxFile = 'encoder.onnx';
const manifestFile = 'encoder.json';

/**
 * Makes an encoder's folder of these files, `encoder.onnx` and `encoder.json` among them. Killed at any moment, it
 * leaves no encoder where there was none, and the old one or the new one where there was one.
 * @returns the model file's name
 * @throws NearvoteError `output_exists`, `output_unwritable`
 */
export async function publishFolder(options: PublishOptions): Promise<string> {
  const { dir, files, force, model: own = onnxFile } = options;
  await checkPlace(dir, force);
  const place = resolve(dir);
  const parent = dirname(place);
  let draft: string | undefined;
  try {
    await mkdir(parent, { recursive: true });
    await removeStaleDrafts(place);
    draft = await mkdtemp(join(parent, draftPrefix(place)));
    // The draft is its owner's alone; what is published is not.
    const fresh = join(draft, 'new');
    await mkdir(fresh);
    const there = await readdir(place).catch(() => undefined);
    const model = there?.includes(own) === true ? otherName(own, files[own] ?? '') : own;
    const named = renamed(files, own, model);
    for (const [name, content] of Object.entries(named)) {
      await writeDurably(join(fresh, name), content);
    }
    if (there === undefined) {
      await rename(fresh, place);
    } else {
      await replaceFiles({ fresh, place, files: Object.keys(named), model });
    }
    await syncPath(parent);
    return model;
  } catch (cause) {
    if (cause instanceof NearvoteError) throw cause;
    throw new NearvoteError(
      'output_unwritable',
      `Expected to write ${dir} but received ${systemCodeOf(cause)}`,
      { cause },
    );
  } finally {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true });
  }
}

const staleMs = 3_600_000;

/** No one else would name a folder so: `.NAME-backup` may be somebody's own. */
function draftPrefix(place: string): string {
  return `.${basename(place)}.nearvote-`;
}

/** What was being written when a process was killed, an hour ago or more. */
async function removeStaleDrafts(place: string): Promise<void> {
  const parent = dirname(place);
  const prefix = draftPrefix(place);
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix) || name.length !== prefix.length + 6) continue;
    const found = await stat(join(parent, name)).catch(() => undefined);
    if (found === undefined || Date.now() - found.mtimeMs < staleMs) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** A name that no other model has. */
function otherName(own: string, content: Uint8Array | string): string {
  const { name, ext } = parse(own);
  return `${name}-${createHash('sha256').update(content).digest('hex').slice(0, 8)}${ext}`;
}

/** The files, the model under this name, which the manifest says too. */
function renamed(files: PublishOptions['files'], own: string, model: string): PublishOptions['files'] {
  const { [own]: bytes = '', [manifestFile]: manifest, ...others } = files;
  const content = JSON.parse(String(manifest)) as Record<string, unknown>;
  return {
    ...others,
    [model]: bytes,
    [manifestFile]: `${JSON.stringify({ ...content, file: model }, undefined, 2)}\n`,
  };
}

interface ReplaceFilesOptions {
  readonly fresh: string;
  readonly place: string;
  readonly files: readonly string[];
  readonly model: string;
}

/** The manifest names its files: until it is renamed the old encoder is whole, from then on the new one is. */
async function replaceFiles({ fresh, place, files, model }: ReplaceFilesOptions): Promise<void> {
  const lock = await lockFolder(place);
  try {
    // What the manifest names is there before it is.
    const named = files.filter((name) => name === model || name.endsWith('.bin'));
    const papers = files.filter((name) => name !== manifestFile && !named.includes(name));
    for (const name of [...named, manifestFile, ...papers]) {
      await rename(join(fresh, name), join(place, name));
      await syncPath(place);
    }
    for (const name of await readdir(place)) {
      if (files.includes(name) || name.startsWith('.lock')) continue;
      await rm(join(place, name), { recursive: true, force: true });
    }
  } finally {
    await lock.release();
  }
}
