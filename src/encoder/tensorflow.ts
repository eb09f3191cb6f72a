import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import type * as wasmBackend from '@tensorflow/tfjs-backend-wasm';
import { NearvoteError } from '../domain/errors.js';

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
