import Module, { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs';
import type * as wasmBackend from '@tensorflow/tfjs-backend-wasm';
import { messageOf, NearvoteError, systemCodeOf } from '../domain/errors.js';

export type TensorFlow = typeof tfjs;
type WasmBackend = typeof wasmBackend;

export interface TensorFlowOptions {
  /** Of one operation on the native backend; the first opening in a process decides. 1 unless told. */
  readonly threads?: number | undefined;
  /** How a package is imported; another one only in tests. */
  readonly importPackage?: ((name: string) => Promise<unknown>) | undefined;
}

export interface OpenTensorFlow {
  readonly tf: TensorFlow;
  readonly backend: 'native' | 'wasm';
  /** Why it is not the native one, and what to do about it; absent where it is. */
  readonly slower?: string | undefined;
}

const nativePackage = '@tensorflow/tfjs-node';
/** npm adds nothing to a checkout's own optional peers unless it is told that they are for development. */
const installNative =
  `npm install ${nativePackage} in a project that depends on nearvote, npm install -D ${nativePackage} in a checkout of it; ` +
  'docs/tensorflow.md has the way where its download is closed';
const installWasm =
  'npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm, both of one version (npm install -D in a checkout of nearvote)';

/**
 * TensorFlow.js on the best backend that works here: native (tfjs-node), otherwise WebAssembly.
 * @throws NearvoteError `dependency_missing` saying what to install, and why either did not start
 */
export async function openTensorFlow(options: TensorFlowOptions = {}): Promise<OpenTensorFlow> {
  const { threads = 1, importPackage = (name) => import(name) as Promise<unknown> } = options;
  try {
    return { tf: await openNative(importPackage, threads), backend: 'native' };
  } catch (cause) {
    const reason = isNotInstalled(cause, nativePackage) ? 'it is not installed' : firstLineOf(cause);
    const tf = await openWasm(importPackage, `${nativePackage}: ${reason}`);
    const slower =
      'TensorFlow.js runs on WebAssembly, about 3.5 times slower than the native backend, ' +
      `because ${nativePackage} cannot be used: ${reason}. To use it: ${installNative}`;
    return { tf, backend: 'wasm', slower };
  }
}

async function openNative(
  importPackage: (name: string) => Promise<unknown>,
  threads: number,
): Promise<TensorFlow> {
  // libtensorflow prints what it thinks of the processor as plain text between the lines of a JSON log.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  return withThreads(threads, () =>
    withOldUtil(async () => {
      const tf = exportsOf(await importPackage(nativePackage)) as TensorFlow;
      await tf.ready();
      // All of these packages share one engine, which another of them may have set to its own backend.
      if (tf.getBackend() !== 'tensorflow') await tf.setBackend('tensorflow');
      proveOperation(tf);
      return tf;
    }),
  );
}

/** It reports itself ready where not one convolution runs, as on a Node that it does not know. */
function proveOperation(tf: TensorFlow): void {
  const sums = tf.tidy(() =>
    tf
      .conv2d(tf.ones<tfjs.Rank.R4>([1, 4, 4, 1]), tf.ones<tfjs.Rank.R4>([3, 3, 1, 1]), 1, 'valid')
      .dataSync(),
  );
  if (sums.length === 4 && sums.every((sum) => sum === 9)) return;
  throw new Error(`a convolution of ones gave ${sums.join(', ')}, not 9, 9, 9, 9`);
}

/** libtensorflow reads these once, when it makes its threads; processes that are started later are not to inherit them. */
async function withThreads<T>(threads: number, work: () => Promise<T>): Promise<T> {
  const wanted = { TF_NUM_INTRAOP_THREADS: String(threads), TF_NUM_INTEROP_THREADS: '1' };
  const before = Object.keys(wanted).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, wanted);
  try {
    return await work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  }
}

/** What tfjs-node 4.22 calls of node:util and Node 23 took out of it. */
const removedFromUtil = {
  isNullOrUndefined: (value: unknown): boolean => value === undefined || value === null,
  isArray: (value: unknown): boolean => Array.isArray(value),
};

interface CommonJsLoader {
  _load: (request: string, parent: { readonly filename?: string } | undefined, isMain: boolean) => unknown;
}

/** Gives tfjs-node's own files, and nobody else, the node:util that they were written for. */
async function withOldUtil<T>(work: () => Promise<T>): Promise<T> {
  if ('isNullOrUndefined' in util) return work();
  const oldUtil = Object.assign(Object.create(util) as object, removedFromUtil);
  const loader = Module as unknown as CommonJsLoader;
  const load = loader._load;
  loader._load = (request, parent, isMain) => {
    const isOwn = parent?.filename?.includes(`${sep}tfjs-node${sep}`) === true;
    return request === 'util' && isOwn ? oldUtil : load.call(Module, request, parent, isMain);
  };
  try {
    return await work();
  } finally {
    loader._load = load;
  }
}

async function openWasm(
  importPackage: (name: string) => Promise<unknown>,
  native: string,
): Promise<TensorFlow> {
  let tf: TensorFlow;
  let wasm: WasmBackend;
  try {
    tf = exportsOf(await importPackage('@tensorflow/tfjs')) as TensorFlow;
    wasm = exportsOf(await importPackage('@tensorflow/tfjs-backend-wasm')) as WasmBackend;
  } catch (cause) {
    throw new NearvoteError(
      'dependency_missing',
      `Expected TensorFlow.js to run a tfjs encoder but neither backend is installed (${native}; WebAssembly: ${firstLineOf(cause)}). ` +
        `For WebAssembly: ${installWasm}. For the native backend, which is faster: ${installNative}`,
      { cause },
    );
  }
  if (tf.getBackend() !== 'wasm') {
    const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(dirname(main) + sep);
    if (!(await tf.setBackend('wasm'))) {
      throw new NearvoteError(
        'dependency_missing',
        `Expected the WebAssembly backend of TensorFlow.js to start but it did not (${native}): ${installWasm}`,
      );
    }
  }
  await tf.ready();
  return tf;
}

function isNotInstalled(error: unknown, name: string): boolean {
  const code = systemCodeOf(error);
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  return isMissing && messageOf(error).includes(`'${name}'`);
}

/** Node's and tfjs-node's messages go on for paragraphs. */
function firstLineOf(error: unknown): string {
  return (messageOf(error).split('\n')[0] ?? '').trim().replace(/[.:]$/, '');
}

/** These packages are CommonJS: what they export is the default export of the module that `import()` gives. */
function exportsOf(imported: unknown): unknown {
  const isModule = typeof imported === 'object' && imported !== null && 'default' in imported;
  return isModule ? imported.default : imported;
}
