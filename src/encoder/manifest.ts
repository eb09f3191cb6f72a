import { z } from 'zod';

/** `models/<name>/encoder.json`: what is needed to serve the model file beside it. */
export const encoderManifestSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/i),
  version: z.string().min(1),
  format: z.enum(['onnx', 'tfjs']),
  /** Relative to the manifest. */
  file: z.string().min(1),
  /** Of `file`, lower-case hex. For tfjs: of model.json followed by its weight shards in manifest order. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  input: z.strictObject({
    name: z.string().min(1),
    width: z.int().min(1).max(4096),
    height: z.int().min(1).max(4096),
    fit: z.enum(['fill', 'cover', 'contain']),
    kernel: z.enum(['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3']),
  }),
  output: z.strictObject({ name: z.string().min(1), dimension: z.int().min(1).max(65536) }),
  /** Names of the datasets it was trained on, in words. */
  trainedOn: z.array(z.string()),
  metrics: z.record(z.string(), z.number()),
  licence: z.string().min(1),
  /** Of the config that `nearvote train` made it by. */
  configHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});

export type EncoderManifest = z.infer<typeof encoderManifestSchema>;
