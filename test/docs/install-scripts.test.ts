import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const read = async (file: string): Promise<unknown> =>
  JSON.parse(await readFile(new URL(`../../${file}`, import.meta.url), 'utf8'));

const lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ hasInstallScript: z.boolean().optional(), dev: z.boolean().optional() }),
  ),
});
const manifest = z.object({ allowScripts: z.record(z.string(), z.boolean()) });

// onnxruntime-node's script fetches CUDA libraries from a host that is not the registry and fails without it; scarf's
// reports the install. A new npm asks allowScripts. An older one runs what package-lock.json says has a script: `npm install`
// may write that there again.
describe('an install', () => {
  it('runs no script of a package in production; hnswlib-node has none, npm compiles it for its binding.gyp', async () => {
    const { packages } = lock.parse(await read('package-lock.json'));
    const scripted = Object.entries(packages)
      .filter(([, { hasInstallScript, dev }]) => hasInstallScript === true && dev !== true)
      .map(([path]) => path.replace(/^.*node_modules\//, ''));
    expect(scripted).toEqual([]);
  });

  it('is told of every package with a script whether it may run', async () => {
    const { packages } = lock.parse(await read('package-lock.json'));
    const { allowScripts } = manifest.parse(await read('package.json'));
    const allowed = Object.entries(allowScripts).filter(([, allow]) => allow);
    expect(allowed).toEqual([['hnswlib-node', true]]);
    for (const [path, { hasInstallScript }] of Object.entries(packages)) {
      if (hasInstallScript === true)
        expect(allowScripts).toHaveProperty(path.replace(/^.*node_modules\//, ''));
    }
    expect(allowScripts).toHaveProperty('onnxruntime-node', false);
  });
});
