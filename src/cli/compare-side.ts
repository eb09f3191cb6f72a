import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { encoderIdentity, type EncoderManifest } from '../encoder/manifest.js';
import { checkSameLabels } from '../evaluate/common-images.js';
import { checkEncoder, currentFile, openIndex, type OpenIndex } from '../examples/index-store.js';
import { resolveShipped } from '../pair.js';

/** One of the two that `nearvote compare` was given. */
export interface CompareSide {
  /** As it was given. */
  readonly path: string;
  readonly encoder: EncoderManifest;
  readonly encoderDir: string;
  /** Absent where an encoder was given: it is measured with `--examples`. */
  readonly index: OpenIndex | undefined;
  /** The same for two that are the same thing, wherever they lie. */
  readonly identity: string;
}

/**
 * Opens both, before anything is embedded.
 * @throws NearvoteError `usage` when one is neither index nor encoder, when they are not of one kind, are the same thing or
 * have other labels; `index_*`, `encoder_*`
 */
export async function openSides(
  paths: readonly [string, string],
  { models, examples }: { readonly models: string; readonly examples?: string | undefined },
): Promise<readonly [CompareSide, CompareSide]> {
  const [a, b] = [await openSide(paths[0], models), await openSide(paths[1], models)];
  const kindOf = ({ index }: CompareSide): string => (index === undefined ? 'encoder' : 'index');
  if (kindOf(a) !== kindOf(b)) {
    throw usage(
      `Expected two indexes or two encoders but ${a.path} is an ${kindOf(a)} and ${b.path} an ${kindOf(b)}`,
    );
  }
  if (a.identity === b.identity) {
    throw usage(`Expected two that differ but ${a.path} and ${b.path} are the same ${kindOf(a)}`);
  }
  if (a.index !== undefined && b.index !== undefined) checkSameLabels(a.index.examples, b.index.examples);
  if (a.index === undefined && examples === undefined) {
    throw usage('Expected --examples DIR, the labelled images that two encoders look the data up among');
  }
  if (a.index !== undefined && examples !== undefined) {
    throw usage(
      'Expected no --examples: an index has its own; name two encoders to measure them with others',
    );
  }
  return [a, b];
}

async function openSide(path: string, models: string): Promise<CompareSide> {
  const dir = resolveShipped(path);
  if (await exists(join(dir, currentFile))) {
    const index = await openIndex(dir);
    const encoderDir = resolveShipped(join(models, index.manifest.encoder.name));
    const encoder = await readEncoderManifest(encoderDir);
    checkEncoder(index, encoderIdentity(encoder));
    const { files } = index.manifest;
    const identity = [encoder.sha256, files['embeddings.f32'].sha256, files['examples.jsonl'].sha256].join();
    return { path, encoder, encoderDir, index, identity };
  }
  if (await exists(join(dir, 'encoder.json'))) {
    const encoder = await readEncoderManifest(dir);
    return { path, encoder, encoderDir: dir, index: undefined, identity: identityOf(encoder) };
  }
  throw usage(
    `Expected ${path} to be an index, with a file ${currentFile}, or an encoder, with a file encoder.json, but it has neither`,
  );
}

/** The same network makes other embeddings of images that are decoded in another way. */
function identityOf({ sha256, input }: EncoderManifest): string {
  return JSON.stringify([sha256, input]);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function usage(message: string): NearvoteError {
  return new NearvoteError('usage', message);
}
