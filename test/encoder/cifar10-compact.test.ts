import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readEncoderManifest } from '../../src/encoder/load.js';
import { obeysTheContract } from './served-contract.js';

const dir = fileURLToPath(new URL('../../models/cifar10-compact', import.meta.url));

describe('the encoder that is shipped', () => {
  it('says what it is', async () => {
    expect(await readEncoderManifest(dir)).toMatchObject({
      name: 'cifar10-compact',
      format: 'onnx',
      input: { width: 32, height: 32, geometry: { fit: 'fill', kernel: 'cubic' } },
      output: { dimension: 256 },
      trainedOn: ['cifar10 (train)'],
      licence: 'Apache-2.0',
    });
  });

  obeysTheContract(() => dir);
});
