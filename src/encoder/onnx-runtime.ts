import { asEmbeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { openSession, Tensor, type Optimisation, type Session } from '../onnx/session.js';
import { checkPixels, closedError, type Encoder } from './encoder.js';
import type { EncoderManifest } from './manifest.js';

export interface OnnxEncoderOptions {
  readonly manifest: EncoderManifest;
  /** The .onnx file. */
  readonly bytes: Uint8Array;
  readonly threads: number;
  readonly providers?: readonly string[] | undefined;
  readonly spinning?: boolean | undefined;
  /** All of them unless told. */
  readonly optimisation?: Optimisation | undefined;
}

/**
 * An encoder on ONNX Runtime: uint8 `[n, height, width, 3]` in, unit float32 `[n, dimension]` out.
 * @throws NearvoteError `encoder_invalid` when the bytes are no model, or its input or output are not the manifest's;
 * `usage`, `dependency_missing` for providers that are not there
 */
export async function openOnnxEncoder(options: OnnxEncoderOptions): Promise<Encoder> {
  const { manifest, bytes, threads, providers, spinning = false, optimisation } = options;
  let session: Session;
  try {
    // With decoding on the same two cores, threads that spin for work took 6 % from the encoder and 15 % from the rest.
    session = await openSession({ model: bytes, threads, spinning, providers, optimisation });
  } catch (cause) {
    if (cause instanceof NearvoteError) throw cause;
    throw new NearvoteError(
      'encoder_invalid',
      `Expected ${manifest.file} of encoder ${manifest.name} to be a model that ONNX Runtime can load but it said: ${messageOf(cause)}`,
      { cause },
    );
  }
  try {
    checkSignature(session, manifest);
  } catch (error) {
    await session.release();
    throw error;
  }

  const { width, height } = manifest.input;
  let closed = false;
  return {
    manifest,
    runtime: 'onnxruntime',
    embed: async (pixels, count) => {
      if (closed) throw closedError(manifest);
      checkPixels({ pixels, count, manifest });
      const input = new Tensor('uint8', pixels, [count, height, width, 3]);
      let output: Tensor | undefined;
      try {
        output = (await session.run({ [manifest.input.name]: input }))[manifest.output.name];
      } catch (cause) {
        throw new NearvoteError(
          'worker_failed',
          `Expected encoder ${manifest.name} to run but ONNX Runtime said: ${messageOf(cause)}`,
          { cause },
        );
      }
      const { dimension } = manifest.output;
      if (!(output?.data instanceof Float32Array) || output.data.length !== count * dimension) {
        throw new NearvoteError(
          'encoder_invalid',
          `Expected ${count} x ${dimension} values from encoder ${manifest.name} but received [${output?.dims.join(',') ?? ''}]`,
        );
      }
      return asEmbeddings(output.data, dimension);
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await session.release();
    },
  };
}

/** A free dimension has a name instead of a number; `undefined` here stands for one that must be free. */
function checkSignature(session: Session, { name, input, output }: EncoderManifest): void {
  check({
    what: `encoder ${name} to take one input`,
    values: session.inputMetadata,
    expected: { name: input.name, type: 'uint8', shape: [undefined, input.height, input.width, 3] },
  });
  check({
    what: `encoder ${name} to give an output`,
    values: session.outputMetadata.filter((value) => value.name === output.name),
    expected: { name: output.name, type: 'float32', shape: [undefined, output.dimension] },
    otherwise: session.outputNames,
  });
}

interface SignatureCheck {
  readonly what: string;
  readonly values: Session['inputMetadata'];
  readonly expected: { readonly name: string; readonly type: string; readonly shape: (number | undefined)[] };
  readonly otherwise?: readonly string[] | undefined;
}

function check({ what, values, expected, otherwise = [] }: SignatureCheck): void {
  const [value] = values;
  if (
    values.length === 1 &&
    value?.isTensor === true &&
    value.name === expected.name &&
    value.type === expected.type &&
    value.shape.length === expected.shape.length &&
    // A free dimension past the batch is checked when the model runs.
    expected.shape.every((dim, i) => typeof value.shape[i] === 'string' || value.shape[i] === dim)
  ) {
    return;
  }
  const received = values.length === 0 ? otherwise.join(', ') : values.map(describe).join(', ');
  const shape = expected.shape.map((dim) => dim ?? 'n').join(',');
  throw new NearvoteError(
    'encoder_invalid',
    `Expected ${what} ${expected.name}: ${expected.type} [${shape}] but received ${received}`,
  );
}

function describe(value: Session['inputMetadata'][number]): string {
  return value.isTensor
    ? `${value.name}: ${value.type} [${value.shape.join(',')}]`
    : `${value.name}: not a tensor`;
}
