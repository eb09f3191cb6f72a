import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readEncoderManifest } from '../../src/encoder/load.js';
import { knownModels } from '../../src/encoder/hub/known-models.js';
import { parseModelName } from '../../src/encoder/hub/settings.js';
import { repositoryOf, scene } from '../encoder/hub/scene.js';
import { nearvote } from './nearvote.js';

afterEach(() => vi.unstubAllEnvs());

it('pulls an encoder from the hub that the variables name, and shows where it is from', async () => {
  const { hub, cache, out } = await scene(repositoryOf('convnext'));
  vi.stubEnv('HF_ENDPOINT', hub.url);
  vi.stubEnv('HF_HUB_CACHE', cache);
  vi.stubEnv('HF_TOKEN', 'hf_mine');
  const pulled = await nearvote('encoder', 'pull', 'owner/tiny', '--out', out, '--licence', 'mine-1.0');
  expect(pulled.stderr).toContain(
    'owner/tiny is under mine-1.0, which is not one of the permissive licences',
  );
  expect(pulled.stderr).toMatch(/download: \d+\/\d+ kB/);
  expect(pulled.stdout).toMatch(/taken from +owner\/tiny, onnx\/model\.onnx of 1{40}/);
  expect(pulled.stdout).toContain(`nearvote build --data DIR --encoder ${out}`);
  expect(hub.requests[0]?.authorization).toBe('Bearer hf_mine');
  expect((await readEncoderManifest(out)).licence).toBe('mine-1.0');
});

it('lists models whose names it would take', async () => {
  const { stdout } = await nearvote('encoder', 'list', '--json');
  expect(JSON.parse(stdout)).toEqual(knownModels);
  const table = (await nearvote('encoder', 'list')).stdout;
  for (const { repository } of knownModels) {
    expect(parseModelName(repository).repository).toBe(repository);
    expect(table).toContain(repository);
  }
  expect(knownModels.length).toBeGreaterThanOrEqual(12);
});

it('inspects a file', async () => {
  const shown = await nearvote('encoder', 'inspect', join('models', 'cifar10-compact', 'encoder.onnx'));
  expect(shown.stdout).toMatch(/input +pixels: uint8 \[n,32,32,3\]\noutput +embeddings: float32/);
  expect(shown.stdout).toContain('does not take it: Expected a float32 or float16 image');
});
