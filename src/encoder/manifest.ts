import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import {
  describeGeometry,
  fits,
  type Geometry,
  geometrySchema,
  kernels,
  outputSize,
  resizeTo,
} from '../image/geometry.js';

/** `fit` and `kernel` are the short way to say a geometry that resizes to the width and height and does no more. */
const inputSchema = z
  .strictObject({
    name: z.string().min(1),
    width: z.int().min(1).max(4096),
    height: z.int().min(1).max(4096),
    geometry: geometrySchema.optional(),
    fit: z.enum(fits).optional(),
    kernel: z.enum(kernels).optional(),
  })
  .transform(({ name, width, height, geometry, fit, kernel }, context) => {
    const input = (whole: Geometry) => ({ name, width, height, geometry: whole });
    if (geometry === undefined) {
      if (fit !== undefined && kernel !== undefined) return input(resizeTo({ width, height, fit, kernel }));
      return refuse(context, 'geometry', 'Expected a geometry, or fit and kernel');
    }
    if (fit !== undefined || kernel !== undefined) {
      return refuse(context, 'geometry', 'Expected fit and kernel inside the geometry, and not beside it');
    }
    const size = outputSize(geometry);
    if (size.width === width && size.height === height) return input(geometry);
    return refuse(context, 'geometry', `Expected a geometry that gives ${width} x ${height} pixels`);
  });

function refuse(context: z.RefinementCtx, path: string, message: string): never {
  context.addIssue({ code: 'custom', path: [path], message });
  return z.NEVER;
}

/** 100 MB of fingerprints: more is no file of ours. */
const mostTrainedImages = 2 ** 24;

const trainedImagesSchema = z.strictObject({
  /** Relative to the manifest: six bytes an image, ascending. */
  file: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Images in it, equal ones counted once. */
  count: z.int().min(1).max(mostTrainedImages),
  /** Those of `trainedOn` whose images are all in it. */
  datasets: z.array(z.string()),
});

/**
 * What an encoder gives for a few images that are drawn by a formula: whoever opens it runs them again, so that a runtime
 * or a processor that computes something else is found out before it answers anybody.
 */
const proofSchema = z.strictObject({
  /** Of the images. */
  seed: z.int().min(0),
  images: z.int().min(1).max(16),
  /** The least cosine between what was stored and what a runtime gives. */
  minCosine: z.number().min(0).max(1),
  /** Of the images in order, each value times 32767 as a little-endian int16, in base64. */
  embeddings: z.base64(),
});

export type Proof = z.infer<typeof proofSchema>;

const sourceSchema = z.union([
  z.strictObject({
    /** The float encoder that it was quantised from. */
    parent: z.strictObject({
      name: z.string().min(1),
      version: z.string().min(1),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  }),
  z.strictObject({
    /** The file of Hugging Face's hub that it was wrapped from. */
    hub: z.strictObject({
      /** OWNER/NAME. */
      repository: z.string().min(1),
      commit: z.string().regex(/^[0-9a-f]{40}$/),
      file: z.string().min(1),
      /** Of that file, lower-case hex. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  }),
]);

export type EncoderSource = z.infer<typeof sourceSchema>;

/** `models/<name>/encoder.json`: what is needed to serve the model file beside it. */
export const encoderManifestSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/i),
  version: z.string().min(1),
  format: z.enum(['onnx', 'tfjs']),
  /** Relative to the manifest. */
  file: z.string().min(1),
  /** Of `file`, lower-case hex. For tfjs: of model.json followed by its weight shards in manifest order. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  input: inputSchema,
  output: z.strictObject({ name: z.string().min(1), dimension: z.int().min(1).max(65536) }),
  /** Names of the datasets it was trained on, in words. */
  trainedOn: z.array(z.string()),
  /** Fingerprints of the images it was trained on; absent where whoever made it kept none. */
  trainedImages: trainedImagesSchema.optional(),
  metrics: z.record(z.string(), z.number()),
  licence: z.string().min(1),
  /** Of the config that `nearvote train` made it by. */
  configHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** What it was made from. */
  source: sourceSchema.optional(),
  proof: proofSchema.optional(),
});

export type EncoderManifest = z.infer<typeof encoderManifestSchema>;

/** An encoder as an index knows it: `digest` covers all that decides an embedding, which the model file alone does not. */
export function encoderIdentity({ name, sha256, input, output }: EncoderManifest) {
  const decisive = [sha256, describeGeometry(input.geometry), input.name, output.name, output.dimension];
  const digest = createHash('sha256').update(JSON.stringify(decisive)).digest('hex');
  return { name, sha256, digest, output };
}

const mostBytes = 2 ** 31 - 1;

/**
 * Reads a file of an encoder's folder.
 * @throws NearvoteError `encoder_missing` when it is not there or cannot be read, `encoder_invalid` when `file`
 * leads out of the folder, `encoder_unsupported` above 2 GiB
 */
export async function readEncoderFile(dir: string, file: string): Promise<Uint8Array> {
  const path = join(dir, file);
  const inside = relative(dir, path);
  if (isAbsolute(file) || inside === '..' || inside.startsWith(`..${sep}`)) {
    throw new NearvoteError('encoder_invalid', `Expected a file inside ${dir} but received ${file}`);
  }
  const found = await stat(path).catch(() => undefined);
  // A pipe is read until somebody closes it, and a device for ever.
  if (found !== undefined && !found.isFile() && !found.isDirectory()) {
    throw new NearvoteError('encoder_missing', `Expected a file at ${path} but it is a pipe or a device`);
  }
  const bytes = found?.size ?? 0;
  // Neither protobuf, which ONNX files are, nor Node's readFile goes further.
  if (bytes > mostBytes) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected at most ${mostBytes} bytes (2 GiB) in ${path} but it holds ${bytes}`,
    );
  }
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = systemCodeOf(cause);
    const said =
      reason === 'ENOENT' || reason === 'ENOTDIR' ? 'there is none' : `it cannot be read: ${reason}`;
    throw new NearvoteError(
      'encoder_missing',
      `Expected an encoder's ${basename(file)} at ${path} but ${said}`,
      {
        cause,
      },
    );
  }
}

/** Lower-case hex of the parts' bytes in order. */
export function sha256Of(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
