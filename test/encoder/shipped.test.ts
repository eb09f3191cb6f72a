import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadEncoder, readEncoderManifest } from '../../src/encoder/load.js';
import { encoderIdentity } from '../../src/encoder/manifest.js';
import { openIndex } from '../../src/examples/index-store.js';

const root = new URL('../../', import.meta.url);
const local = (path: string) => fileURLToPath(new URL(path, root));

describe.each(['cifar10-compact', 'cifar10-compact-ts', 'cifar10-wide-int8'])(
  'the shipped encoder %s',
  (name) => {
    it('carries a proof that holds on this machine', async () => {
      const encoder = await loadEncoder(local(`models/${name}`), { threads: 1 });
      expect(encoder.manifest.name).toBe(name);
      expect(encoder.manifest.proof?.images).toBeGreaterThan(0);
      await encoder.close();
    });
  },
);

describe('the shipped index', () => {
  it('was built with the shipped int8 encoder', async () => {
    const { manifest } = await openIndex(local('index/cifar10'));
    const encoder = await readEncoderManifest(local('models/cifar10-wide-int8'));
    expect(manifest.encoder.digest).toBe(encoderIdentity(encoder).digest);
    expect(encoder.source).toMatchObject({ parent: { name: 'cifar10-wide' } });
  });
});
