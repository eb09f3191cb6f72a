import { dirname, join } from 'node:path';
import type { io } from '@tensorflow/tfjs';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderFile } from './manifest.js';

const weightSchema = z.looseObject({
  name: z.string(),
  shape: z.array(z.int().min(0)),
  dtype: z.enum(['float32', 'int32', 'bool']),
  quantization: z.looseObject({ dtype: z.enum(['uint16', 'uint8', 'float16']) }).optional(),
});

const modelSchema = z.looseObject({
  /** Absent from what older converters wrote. */
  format: z.enum(['layers-model', 'graph-model']).optional(),
  modelTopology: z.record(z.string(), z.unknown()),
  weightsManifest: z.array(z.object({ paths: z.array(z.string().min(1)), weights: z.array(weightSchema) })),
  signature: z.record(z.string(), z.unknown()).optional(),
  userDefinedMetadata: z.record(z.string(), z.json()).optional(),
});

const bytesPerValue = { float32: 4, int32: 4, bool: 1, uint16: 2, uint8: 1, float16: 2 } as const;

export interface TfjsFiles {
  /** model.json, then its weight shards in manifest order: what the encoder's sha256 is taken of. */
  readonly parts: readonly Uint8Array[];
  /** What tfjs loads. @throws NearvoteError `encoder_invalid` when the shards do not hold the weights listed */
  artifacts(): io.ModelArtifacts;
  /** The weights one by one, as they are stored. @throws as `artifacts` */
  weights(): { readonly spec: io.WeightsManifestEntry; readonly bytes: Uint8Array }[];
}

/**
 * Reads a TensorFlow.js model from disk: `model.json` and the weight shards it names.
 * @throws NearvoteError `encoder_missing` for a file that is not there, `encoder_invalid` for a wrong model.json
 */
export async function readTfjsFiles(dir: string, file: string): Promise<TfjsFiles> {
  const json = await readEncoderFile(dir, file);
  const parsed = modelSchema.safeParse(parseJson(json, file));
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${z.core.toDotPath(issue.path)}: ${issue.message}`);
    throw new NearvoteError(
      'encoder_invalid',
      `Expected a TensorFlow.js model in ${file} but received ${faults.join('; ')}`,
    );
  }
  const { modelTopology, weightsManifest, signature, userDefinedMetadata } = parsed.data;
  const { format = 'node' in modelTopology ? 'graph-model' : 'layers-model' } = parsed.data;
  const specs = weightsManifest.flatMap((group) => group.weights);
  const paths = weightsManifest.flatMap((group) => group.paths.map((path) => join(dirname(file), path)));
  // One that is named a thousand times would be read and held as often.
  const twice =
    paths.length === new Set(paths).size ? undefined : paths.find((path, i) => paths.indexOf(path) < i);
  if (twice !== undefined) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected each weight shard once in ${file} but ${twice} is there again`,
    );
  }
  const shards: Uint8Array[] = [];
  for (const path of paths) shards.push(await readEncoderFile(dir, path));
  const weightData = (): ArrayBuffer => {
    const expected = specs.reduce((sum, w) => sum + bytesOf(w), 0);
    const received = shards.reduce((sum, shard) => sum + shard.length, 0);
    if (received !== expected) {
      throw new NearvoteError(
        'encoder_invalid',
        `Expected ${expected} bytes of weights for ${file} but its shards hold ${received}: ` +
          paths.join(', '),
      );
    }
    return joined(shards, received);
  };
  return {
    parts: [json, ...shards],
    artifacts: () => ({
      format,
      modelTopology,
      weightSpecs: specs as io.WeightsManifestEntry[],
      weightData: weightData(),
      ...(signature && { signature }),
      ...(userDefinedMetadata && { userDefinedMetadata: userDefinedMetadata as Record<string, object> }),
    }),
    weights: () => {
      const data = weightData();
      let offset = 0;
      return specs.map((spec) => {
        const bytes = new Uint8Array(data, offset, bytesOf(spec));
        offset += bytes.length;
        return { spec: spec as io.WeightsManifestEntry, bytes };
      });
    },
  };
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new NearvoteError('encoder_invalid', `Expected JSON in ${file} but received something else`, {
      cause,
    });
  }
}

function bytesOf({ shape, dtype, quantization }: z.infer<typeof weightSchema>): number {
  return shape.reduce((product, dim) => product * dim, 1) * bytesPerValue[quantization?.dtype ?? dtype];
}

function joined(shards: readonly Uint8Array[], length: number): ArrayBuffer {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const shard of shards) {
    whole.set(shard, offset);
    offset += shard.length;
  }
  return whole.buffer;
}
