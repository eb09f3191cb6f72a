import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import type { GraphModel, io, LayersModel, Tensor } from '@tensorflow/tfjs';
import type * as wasmBackend from '@tensorflow/tfjs-backend-wasm';
import { asEmbeddings } from '../domain/embeddings.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import { checkPixels, closedError, type Encoder } from './encoder.js';
import type { EncoderManifest } from './manifest.js';

export interface TfjsEncoderOptions {
  readonly manifest: EncoderManifest;
  readonly artifacts: io.ModelArtifacts;
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
export async function openTfjsEncoder({ manifest, artifacts }: TfjsEncoderOptions): Promise<Encoder> {
  const tf = await openTensorFlow();
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

export type TensorFlow = typeof tfjs;
type WasmBackend = typeof wasmBackend;

export interface TensorFlowOptions {
  /** How a package is imported; another one only in tests. */
  readonly importPackage?: ((name: string) => Promise<unknown>) | undefined;
}

/**
 * TensorFlow.js on the best backend that is installed: native (tfjs-node), otherwise WebAssembly.
 * @throws NearvoteError `dependency_missing` saying what to install
 */
export async function openTensorFlow({
  importPackage = (name) => import(name),
}: TensorFlowOptions = {}): Promise<TensorFlow> {
  try {
    const native = exportsOf(await importPackage('@tensorflow/tfjs-node')) as TensorFlow;
    await native.ready();
    return native;
  } catch {
    // Not installed, or installed without its native library, which its install script downloads.
    return openWasm(importPackage);
  }
}

async function openWasm(importPackage: (name: string) => Promise<unknown>): Promise<TensorFlow> {
  let tf: TensorFlow;
  let wasm: WasmBackend;
  try {
    tf = exportsOf(await importPackage('@tensorflow/tfjs')) as TensorFlow;
    wasm = exportsOf(await importPackage('@tensorflow/tfjs-backend-wasm')) as WasmBackend;
  } catch (cause) {
    throw new NearvoteError(
      'dependency_missing',
      'Expected TensorFlow.js to run a tfjs encoder but it is not installed: ' +
        'npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm (WebAssembly), ' +
        'or npm install @tensorflow/tfjs-node (native)',
      { cause },
    );
  }
  if (tf.getBackend() !== 'wasm') {
    const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(dirname(main) + sep);
    if (!(await tf.setBackend('wasm'))) {
      throw new NearvoteError(
        'dependency_missing',
        'Expected the WebAssembly backend of TensorFlow.js to start but it did not: ' +
          'npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm, both of one version',
      );
    }
  }
  await tf.ready();
  return tf;
}

/** These packages are CommonJS: what they export is the default export of the module that `import()` gives. */
function exportsOf(imported: unknown): unknown {
  const isModule = typeof imported === 'object' && imported !== null && 'default' in imported;
  return isModule ? imported.default : imported;
}
