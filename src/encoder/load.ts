import { readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { arePacked, fingerprintBytes } from '../domain/fingerprints.js';
import type { Encoder } from './encoder.js';
import { type EncoderManifest, encoderManifestSchema, readEncoderFile, sha256Of } from './manifest.js';
import { openOnnxEncoder } from './onnx-runtime.js';
import { checkProof } from './proof.js';
import { readTfjsFiles } from './tfjs-files.js';
import { openTfjsEncoder } from './tfjs-runtime.js';

/**
 * Reads `encoder.json` in an encoder's folder.
 * @throws NearvoteError `encoder_missing` without a folder or file, `encoder_invalid` naming the file and the field
 */
export async function readEncoderManifest(dir: string): Promise<EncoderManifest> {
  const bytes = await readEncoderFile(dir, encoderFile).catch(async (error: unknown) => {
    throw error instanceof NearvoteError && error.code === 'encoder_missing'
      ? await sayWhatIsThere(dir, error)
      : error;
  });
  const path = join(dir, encoderFile);
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    const said = messageOf(cause);
    throw new NearvoteError('encoder_invalid', `Expected JSON in ${path} but received: ${said}`, { cause });
  }
  const parsed = encoderManifestSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${fieldOf(issue)}: ${issue.message}`);
  throw new NearvoteError('encoder_invalid', `Expected other fields in ${path}: ${faults.join('; ')}`);
}

const encoderFile = 'encoder.json';
const shippedModels = fileURLToPath(new URL('../../models', import.meta.url));

/** What was named may be the model file itself, or one letter away from an encoder that is there. */
async function sayWhatIsThere(dir: string, cause: NearvoteError): Promise<NearvoteError> {
  const found = await stat(dir).catch(() => undefined);
  if (found?.isFile() === true) {
    const own = await stat(join(dirname(dir), encoderFile)).catch(() => undefined);
    const instead =
      own === undefined
        ? `npx nearvote encoder add ${dir} makes a folder of an ONNX file, and its --help says how`
        : `name its folder, ${dirname(dir)}`;
    return new NearvoteError(
      'encoder_missing',
      `Expected the folder of an encoder but ${dir} is a file; ${instead}`,
      {
        cause,
      },
    );
  }
  const places = [dirname(dir), 'models', shippedModels];
  const names = new Set((await Promise.all(places.map(encodersIn))).flat());
  if (names.size === 0) return cause;
  return new NearvoteError(cause.code, `${cause.message}. There is ${[...names].sort().join(', ')}`, {
    cause,
  });
}

/** The encoders in a folder, as they may be named. */
async function encodersIn(folder: string): Promise<string[]> {
  const named = folder === shippedModels ? 'models' : relative('', folder);
  const entries = await readdir(folder).catch(() => []);
  const encoders: string[] = [];
  for (const entry of entries) {
    const isOne = await stat(join(folder, entry, encoderFile)).catch(() => undefined);
    if (isOne !== undefined) encoders.push(join(named, entry));
  }
  return encoders;
}

/**
 * The fingerprints of the images that the encoder in a folder was trained on, packed; undefined where it keeps none.
 * @throws NearvoteError `encoder_invalid` for a file that is not the one of encoder.json
 */
export async function readTrainedImages(
  dir: string,
  { trainedImages }: Pick<EncoderManifest, 'trainedImages'>,
): Promise<Uint8Array | undefined> {
  if (trainedImages === undefined) return undefined;
  const { file, sha256, count } = trainedImages;
  const path = join(dir, file);
  const bytes = (await stat(path).catch(() => undefined))?.size;
  // Whoever copied the model and its manifest alone has a whole encoder, which only cannot tell these images.
  if (bytes === undefined) return undefined;
  const expected = count * fingerprintBytes;
  // Its size first: what lies in its place may be of any size.
  const packed = bytes === expected ? await readEncoderFile(dir, file) : undefined;
  if (packed !== undefined && sha256Of([packed]) === sha256 && arePacked(packed)) return packed;
  throw new NearvoteError(
    'encoder_invalid',
    `Expected ${path} to be the fingerprints of ${count} images that encoder.json names, ${expected} bytes, but it has ` +
      `${bytes === expected ? 'other content' : `${bytes}`}: without the file the encoder works too, and cannot tell what it was trained on`,
  );
}

function fieldOf(issue: z.core.$ZodIssue): string {
  return issue.path.length === 0 ? 'the whole' : z.core.toDotPath(issue.path);
}

export interface RuntimeOptions {
  /**
   * Of one forward pass. The WASM backend of tfjs has only one under Node, whatever is asked; the native one keeps to
   * what the first encoder in a process asked for.
   */
  readonly threads: number;
  /** Execution providers of ONNX Runtime, the preferred one first; the processor's unless told. */
  readonly providers?: readonly string[] | undefined;
  /** Threads that have no work look for it a while before they sleep: sooner done, on cores that nobody else needs. */
  readonly spinning?: boolean | undefined;
}

export interface OpenEncoderOptions extends RuntimeOptions {
  readonly dir: string;
  /** Of that folder, as it was read before. */
  readonly manifest: EncoderManifest;
}

/**
 * Opens the encoder in a folder.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, or `dependency_missing` for tfjs where it is not installed
 */
export async function loadEncoder(dir: string, options: RuntimeOptions): Promise<Encoder> {
  return openEncoder({ dir, manifest: await readEncoderManifest(dir), ...options });
}

/**
 * Opens the encoder that a manifest describes, its model file checked against the manifest's sha256 and what it gives
 * against the manifest's proof.
 * @throws NearvoteError as `loadEncoder`, `encoder_unsupported` where it computes something else here than it was made to
 */
export async function openEncoder(options: OpenEncoderOptions): Promise<Encoder> {
  const encoder = await openUnproven(options);
  try {
    await checkProof(encoder);
  } catch (error) {
    await encoder.close();
    throw error;
  }
  return encoder;
}

async function openUnproven({ dir, manifest, ...options }: OpenEncoderOptions): Promise<Encoder> {
  if (manifest.format === 'onnx') {
    return openOnnxEncoder({ manifest, bytes: await readOnnxModel(dir, manifest), ...options });
  }
  checkTfjsProviders(manifest, options.providers);
  const files = await readTfjsFiles(dir, manifest.file);
  checkHash({ dir, manifest, parts: files.parts });
  return openTfjsEncoder({ manifest, artifacts: files.artifacts(), threads: options.threads });
}

/**
 * The .onnx file of an encoder, checked against its sha256.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`
 */
export async function readOnnxModel(dir: string, manifest: EncoderManifest): Promise<Uint8Array> {
  const bytes = await readEncoderFile(dir, manifest.file);
  checkHash({ dir, manifest, parts: [bytes] });
  return bytes;
}

function checkTfjsProviders({ name }: EncoderManifest, providers: readonly string[] = ['cpu']): void {
  if (providers.join() === 'cpu') return;
  throw new NearvoteError(
    'usage',
    `Expected the execution provider cpu for encoder ${name}, which TensorFlow.js runs, but received ${providers.join(', ')}`,
  );
}

interface HashedModel {
  readonly dir: string;
  readonly manifest: EncoderManifest;
  readonly parts: readonly Uint8Array[];
}

function checkHash({ dir, manifest, parts }: HashedModel): void {
  const sha256 = sha256Of(parts);
  if (sha256 === manifest.sha256) return;
  throw new NearvoteError(
    'encoder_invalid',
    `Expected ${join(dir, manifest.file)} to have the sha256 of encoder.json, ${manifest.sha256}, but it has ${sha256}: ` +
      'the file is damaged or not the one that was published',
  );
}
