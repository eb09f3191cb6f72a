import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import util, { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { openTensorFlow } from '../../src/encoder/tensorflow.js';
import { emptyFolder } from './folder.js';

const native = '@tensorflow/tfjs-node';
const isInstalled = hasAddon();

/** Without importing it, which is what is tested. */
function hasAddon(): boolean {
  try {
    const main = createRequire(import.meta.url).resolve(native);
    return existsSync(join(dirname(main), '..', 'lib', 'napi-v8', 'tfjs_binding.node'));
  } catch {
    return false;
  }
}

function notFound(name: string): Error {
  return Object.assign(new Error(`Cannot find package '${name}' imported from here`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
}

/** A CommonJS package in the place of the native one, beside which everything else is real. */
async function importing(source: string): Promise<(name: string) => Promise<unknown>> {
  const file = join(await emptyFolder(), 'tfjs-node', 'index.cjs');
  await mkdir(dirname(file));
  await writeFile(file, source);
  return (name) => import(name === native ? pathToFileURL(file).href : name);
}

/** Runs an operation through node:util when it is called, as tfjs-node 4.22 does, and notes what it was imported with. */
const oldStyle = `
  const util_1 = require('util');
  exports.seen = { ...process.env };
  exports.getBackend = () => 'tensorflow';
  exports.ready = async () => undefined;
  exports.tidy = (work) => work();
  exports.ones = () => undefined;
  exports.conv2d = () => {
    if ((0, util_1.isNullOrUndefined)(0) || !(0, util_1.isArray)([])) throw new Error('never');
    return { dataSync: () => Float32Array.of(9, 9, 9, 9) };
  };`;

describe('TensorFlow.js', () => {
  it('says what to install where none of its packages is, in a project and in a checkout', async () => {
    const importPackage = (name: string) => Promise.reject(notFound(name));
    const opening = openTensorFlow({ importPackage });
    await expect(opening).rejects.toMatchObject({ code: 'dependency_missing' });
    await expect(opening).rejects.toThrow('npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm');
    await expect(opening).rejects.toThrow('npm install -D @tensorflow/tfjs-node in a checkout');
  });

  it('says why neither backend starts', async () => {
    const importPackage = (name: string) =>
      Promise.reject(new Error(`${name} has no libtensorflow\nand so on`));
    await expect(openTensorFlow({ importPackage })).rejects.toThrow(
      '(@tensorflow/tfjs-node: @tensorflow/tfjs-node has no libtensorflow; WebAssembly: @tensorflow/tfjs has no libtensorflow)',
    );
  });

  it('falls back to WebAssembly where the native package is not installed, and says so', async () => {
    const importPackage = (name: string) => (name === native ? Promise.reject(notFound(name)) : import(name));
    const { tf, backend, slower } = await openTensorFlow({ importPackage });
    expect([tf.getBackend(), backend]).toEqual(['wasm', 'wasm']);
    expect(slower).toContain(
      'it is not installed. To use it: npm install @tensorflow/tfjs-node in a project',
    );
  });

  it('falls back where the native backend says that it is ready but runs nothing, and names the cause', async () => {
    const importPackage = await importing(`${oldStyle}
      exports.conv2d = () => { throw new TypeError('util_1.gone is not a function'); };`);
    const { backend, slower } = await openTensorFlow({ importPackage });
    expect(backend).toBe('wasm');
    expect(slower).toContain('util_1.gone is not a function');
  });

  it('falls back where the native backend computes something else', async () => {
    const importPackage = await importing(`${oldStyle}
      exports.conv2d = () => ({ dataSync: () => Float32Array.of(9, 9, 9, 8) });`);
    const { backend, slower } = await openTensorFlow({ importPackage });
    expect([backend, slower]).toEqual(['wasm', expect.stringContaining('gave 9, 9, 9, 8')]);
  });

  it('imports the native package with its number of threads and without its chatter', async () => {
    const before = process.env['TF_NUM_INTRAOP_THREADS'];
    const { tf, backend } = await openTensorFlow({ threads: 3, importPackage: await importing(oldStyle) });
    expect(backend).toBe('native');
    expect((tf as unknown as { seen: object }).seen).toMatchObject({
      TF_NUM_INTRAOP_THREADS: '3',
      TF_NUM_INTEROP_THREADS: '1',
      TF_CPP_MIN_LOG_LEVEL: '2',
    });
    expect(process.env['TF_NUM_INTRAOP_THREADS']).toBe(before);
  });
});

describe('on a Node whose util has lost what tfjs-node calls', () => {
  const require = createRequire(import.meta.url);
  const own = Object.getOwnPropertyDescriptors(util);
  afterEach(() => {
    Object.defineProperties(util, own);
  });

  it('the native package finds it, and nobody else does', async () => {
    Reflect.deleteProperty(util, 'isNullOrUndefined');
    Reflect.deleteProperty(util, 'isArray');
    const { backend } = await openTensorFlow({ importPackage: await importing(oldStyle) });
    expect(backend).toBe('native');
    expect(require('util')).not.toHaveProperty('isNullOrUndefined');
  });
});

describe.runIf(isInstalled)('the native backend', () => {
  it('is the one that is taken', async () => {
    const { tf, backend, slower } = await openTensorFlow();
    expect([tf.getBackend(), backend, slower]).toEqual(['tensorflow', 'native', undefined]);
  });

  it.runIf(process.platform === 'linux')('keeps to its threads and prints nothing', async () => {
    const [one, five] = [await openInProcess(1), await openInProcess(5)];
    expect(five.tasks - one.tasks).toBe(4);
    expect([one.stderr, five.stderr]).toEqual(['', '']);
  });
});

/** Threads of a process that opens it, and what it prints. */
async function openInProcess(threads: number): Promise<{ readonly tasks: number; readonly stderr: string }> {
  const module = new URL('../../dist/encoder/tensorflow.js', import.meta.url).href;
  const script = `
    const { openTensorFlow } = await import('${module}');
    const { backend } = await openTensorFlow({ threads: ${threads} });
    const { readdirSync } = await import('node:fs');
    console.log(backend === 'native' ? readdirSync('/proc/self/task').length : NaN);`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  const { stdout, stderr } = await run;
  return { tasks: Number(stdout), stderr };
}
