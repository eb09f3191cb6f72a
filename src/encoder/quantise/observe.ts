import { keepOnlyNeeded } from '../../onnx/graph.js';
import { decodeModel, encodeModel, untypedInfo, type GraphModel } from '../../onnx/model.js';
import { openSession, Tensor, type Optimisation } from '../../onnx/session.js';
import type { EncoderManifest } from '../manifest.js';
import { countValues, emptyHistogram, type Histogram } from './histogram.js';
import type { Plan } from './plan.js';

/** Images as an encoder takes them, RGB `[height, width, 3]` each. */
export type Images = readonly Uint8Array[];

export interface RunOptions {
  readonly manifest: EncoderManifest;
  readonly images: Images;
  readonly threads: number;
  /** Called with how many images were run. */
  readonly onImages?: ((count: number) => void) | undefined;
}

export type ExposedValues = ReadonlyMap<string, Exposed>;

/** Of what one batch gives. */
const mostBytes = 128_000_000;
const mostImages = 16;

/**
 * Runs a model and hands on values inside it, batch by batch: one image first, then as many as bound the memory.
 * @throws Error in ONNX Runtime's words
 */
export async function runExposed(
  model: GraphModel,
  options: RunOptions & {
    readonly values: readonly string[];
    readonly optimisation?: Optimisation | undefined;
    readonly onBatch: (seen: ExposedValues) => void;
  },
): Promise<void> {
  const { manifest, images, threads, values, optimisation, onBatch, onImages } = options;
  const { input } = manifest;
  const exposed = decodeModel(encodeModel(model));
  keepOnlyNeeded(exposed.graph, values);
  exposed.graph.output = [...new Set(values)].map(untypedInfo);
  const session = await openSession({ model: encodeModel(exposed), threads, optimisation });
  try {
    let size = 1;
    for (let at = 0; at < images.length;) {
      const batch = images.slice(at, at + size);
      const pixels = new Uint8Array(Buffer.concat(batch));
      const tensor = new Tensor('uint8', pixels, [batch.length, input.height, input.width, 3]);
      const results = Object.entries(await session.run({ [input.name]: tensor }));
      const seen = new Map(
        results.map(([name, { data, dims }]) => [name, { data: data as Float32Array, dims }]),
      );
      onBatch(seen);
      onImages?.(batch.length);
      at += batch.length;
      const bytes = [...seen.values()].reduce((sum, { data }) => sum + data.byteLength, 0) / batch.length;
      size = Math.max(1, Math.min(mostImages, Math.floor(mostBytes / bytes)));
    }
  } finally {
    await session.release();
  }
}

export interface Exposed {
  readonly data: Float32Array;
  /** `[n, channels, ...]` of a convolution, `[..., channels]` of a product. */
  readonly dims: readonly number[];
}

/** What came of a value over all images. */
interface Observation {
  /** Between its bounds. */
  readonly histogram: Histogram;
  /** The largest amount in each channel of a convolution's output, between its bounds; empty for others. */
  readonly channelMost: Float64Array;
}

export type Observations = ReadonlyMap<string, Observation>;

/** Runs the float model once and tells what every value that is quantised was, by its name. */
export async function observe(model: GraphModel, plan: Plan, options: RunOptions): Promise<Observations> {
  const observations = new Map<string, Observation>();
  const perChannel = new Set(
    plan.weighted.filter(({ kind }) => kind === 'Conv').map(({ output }) => output.name),
  );
  for (const { name } of plan.values)
    observations.set(name, { histogram: emptyHistogram(), channelMost: new Float64Array() });
  const values = plan.values.map(({ source }) => source);
  await runExposed(model, {
    ...options,
    values,
    onBatch: (seen) => {
      for (const { name, source, bounds } of plan.values) {
        const found = seen.get(source);
        const known = observations.get(name);
        if (found === undefined || known === undefined) continue;
        const [count = 0, channels = 0] = found.dims;
        const isConv = perChannel.has(name);
        const channelMost =
          isConv && known.channelMost.length === 0 ? new Float64Array(channels) : known.channelMost;
        observations.set(name, { ...known, channelMost });
        countValues(known.histogram, found.data, {
          ...bounds,
          ...(isConv ? { channelMost, rows: count * channels } : {}),
        });
      }
    },
  });
  return observations;
}
