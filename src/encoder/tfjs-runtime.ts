import type { GraphModel, io, LayersModel, Tensor } from '@tensorflow/tfjs';
import { asEmbeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { checkPixels, closedError, type Encoder } from './encoder.js';
import type { EncoderManifest } from './manifest.js';
import { openTensorFlow, type TensorFlow } from './tensorflow.js';

export interface TfjsEncoderOptions {
  readonly manifest: EncoderManifest;
  readonly artifacts: io.ModelArtifacts;
  /** Of one operation, on the native backend. */
  readonly threads: number;
}

/** A loaded model of either kind: values 0..255 `[n, height, width, 3]` in, `[n, dimension]` out. */
interface LoadedModel {
  readonly inputType: 'int32' | 'float32';
  run(pixels: Tensor): Tensor;
  dispose(): void;
}

/**
 * An encoder on TensorFlow.js. tfjs has no uint8 tensors: the model gets the same values 0..255 as int32 or float32,
 * whichever its input declares. A graph model returns unit vectors itself; tfjs has no layer that makes them, so a
 * layers model's rows are divided by their length here, which leaves unit rows as they are.
 * @throws NearvoteError `encoder_invalid` when it does not load or its input or output are not the manifest's,
 * `dependency_missing` when TensorFlow.js is not installed
 */
export async function openTfjsEncoder(options: TfjsEncoderOptions): Promise<Encoder> {
  const { manifest, artifacts, threads } = options;
  const { tf, backend, slower } = await openTensorFlow({ threads });
  let model: LoadedModel;
  try {
    const handler = { load: () => Promise.resolve(artifacts) };
    model =
      artifacts.format === 'graph-model'
        ? graphModel(await tf.loadGraphModel(handler), manifest)
        : layersModel(tf, await tf.loadLayersModel(handler));
  } catch (cause) {
    if (cause instanceof NearvoteError) throw cause;
    throw new NearvoteError(
      'encoder_invalid',
      `Expected ${manifest.file} of encoder ${manifest.name} to be a model that TensorFlow.js can load but it said: ${messageOf(cause)}`,
      { cause },
    );
  }

  const { width, height } = manifest.input;
  const { dimension } = manifest.output;
  let closed = false;
  return {
    manifest,
    runtime: `tfjs-${backend}`,
    slower,
    embed: async (pixels, count) => {
      if (closed) throw closedError(manifest);
      checkPixels({ pixels, count, manifest });
      let output: Tensor;
      try {
        output = tf.tidy(() => model.run(tf.tensor4d(pixels, [count, height, width, 3], model.inputType)));
      } catch (cause) {
        throw new NearvoteError(
          'worker_failed',
          `Expected encoder ${manifest.name} to run but TensorFlow.js said: ${messageOf(cause)}`,
          { cause },
        );
      }
      try {
        const [rows, columns] = output.shape;
        if (output.shape.length !== 2 || rows !== count || columns !== dimension) {
          throw new NearvoteError(
            'encoder_invalid',
            `Expected ${count} x ${dimension} values from encoder ${manifest.name} but received [${output.shape.join(',')}]`,
          );
        }
        return asEmbeddings(Float32Array.from(await output.data()), dimension);
      } finally {
        output.dispose();
      }
    },
    close: () => {
      if (!closed) model.dispose();
      closed = true;
      return Promise.resolve();
    },
  };
}

function graphModel(model: GraphModel, { name, input, output }: EncoderManifest): LoadedModel {
  const declared = model.inputs.find((candidate) => nodeOf(candidate.name) === nodeOf(input.name));
  const outputs = model.outputs.map((candidate) => candidate.name);
  if (declared === undefined || !outputs.some((candidate) => nodeOf(candidate) === nodeOf(output.name))) {
    const inputs = model.inputs.map((candidate) => candidate.name);
    model.dispose();
    throw new NearvoteError(
      'encoder_invalid',
      `Expected encoder ${name} to take ${input.name} and give ${output.name} ` +
        `but it takes ${inputs.join(', ')} and gives ${outputs.join(', ')}`,
    );
  }
  return {
    inputType: declared.dtype === 'int32' ? 'int32' : 'float32',
    run: (pixels) => model.execute({ [declared.name]: pixels }, output.name) as Tensor,
    dispose: () => model.dispose(),
  };
}

/** A converted model names its tensors `node:0`. */
function nodeOf(tensorName: string): string {
  return tensorName.replace(/:0$/, '');
}

function layersModel(tf: TensorFlow, model: LayersModel): LoadedModel {
  const [declared, ...others] = model.inputs;
  if (declared === undefined || others.length > 0 || model.outputs.length !== 1) {
    const counts = `${model.inputs.length} and ${model.outputs.length}`;
    model.dispose();
    throw new NearvoteError('encoder_invalid', `Expected one input and one output but received ${counts}`);
  }
  return {
    inputType: declared.dtype === 'int32' ? 'int32' : 'float32',
    run: (pixels) => {
      const raw = model.predict(pixels) as Tensor; // [n, dimension]
      return tf.div(raw, tf.norm(raw, 2, -1, true));
    },
    dispose: () => void model.dispose(),
  };
}
