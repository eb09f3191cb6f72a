import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rename } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { isBundled } from '../examples/bundle.js';
import { checkEncoder, readPublished, type IndexManifest } from '../examples/index-store.js';
import { digestFile } from '../files/digest.js';
import { syncPath } from '../files/durable.js';

/** Out of sight beside where the encoder will be. */
export async function draftFolder(models: string): Promise<string> {
  await mkdir(models, { recursive: true });
  const drafts = join(await mkdtemp(join(models, '.import.nearvote-')), 'new');
  await mkdir(drafts);
  return drafts;
}

interface Placing {
  /** The folder of encoders. */
  readonly models: string;
  /** The bundle. */
  readonly file: string;
  /** Of the index in it. */
  readonly manifest: IndexManifest;
}

/**
 * Gives the encoder that came along its place; one that is there and is the same stays.
 * @returns its folder
 * @throws NearvoteError `bundle_invalid` where it is not that of the index, `output_exists` where another one is there
 */
export async function placeEncoder(drafts: string, { models, manifest, file }: Placing): Promise<string> {
  const { name } = manifest.encoder;
  if (!isBundled(name)) throw wrongBundle(file, `${JSON.stringify(name)} is no name of an encoder's folder`);
  const isOwn = async (dir: string): Promise<boolean> => {
    const encoder = await readEncoderManifest(dir);
    checkEncoder({ name: basename(file), manifest }, encoderIdentity(encoder));
    return encoder.format !== 'onnx' || (await digestFile(join(dir, encoder.file))).sha256 === encoder.sha256;
  };
  if (!(await isOwn(drafts).catch(() => false))) {
    throw wrongBundle(file, 'its encoder is not the one of its index');
  }
  const place = join(models, name);
  if (!existsSync(place)) {
    await rename(drafts, place);
    await syncPath(models);
  } else if (!(await isOwn(place).catch(() => false))) {
    throw new NearvoteError(
      'output_exists',
      `Expected no other encoder at ${place} but there is one; --models names another folder of encoders`,
    );
  }
  return place;
}

interface Locating {
  readonly manifest: IndexManifest;
  readonly encoder: string | undefined;
}

/** Says where the encoder is, from the folder of the index: where it came along, or where that of the version before is. */
export async function locatedEncoder(
  root: string,
  { manifest, encoder }: Locating,
): Promise<IndexManifest['encoder']> {
  const identity = { ...manifest.encoder, path: undefined };
  if (encoder === undefined) {
    const before = await readPublished(root).catch(() => undefined);
    const isSame = before?.manifest.encoder.sha256 === identity.sha256;
    return isSame ? { ...identity, path: before.manifest.encoder.path } : identity;
  }
  const path = relative(await realpath(root), await realpath(encoder));
  return { ...identity, path: path.split(sep).join('/') };
}

export function wrongBundle(file: string, why: string, options?: ErrorOptions): NearvoteError {
  return new NearvoteError('bundle_invalid', `Expected a whole bundle in ${file} but ${why}`, options);
}
