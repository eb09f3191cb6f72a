import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  hashConfig,
  isAdapterConfig,
  parseAdapterConfig,
  readConfig,
} from '../../../src/train/config/read-config.js';

const example = fileURLToPath(new URL('../../../configs/adapter.yml', import.meta.url));

const least = `name: least
data: { train: photos }
adapter: { kind: linear }
epochs: 3
optimizer: { kind: adamw, learningRate: 0.01 }
augment: []
`;

describe('the config of an adapter', () => {
  it('is shipped as an example that is valid', async () => {
    const text = await readConfig(example);
    const config = parseAdapterConfig(text, example);
    expect(config.views).toBe(8);
    expect(config.data.validation).toEqual({ holdOut: 0.1 });
    expect(isAdapterConfig(text)).toBe(true);
  });

  it('has defaults for the rest', () => {
    const config = parseAdapterConfig(least, 'some.yml');
    expect(config).toMatchObject({ version: '1.0.0', seed: 42, views: 8, batch: 256, temperature: 0.1 });
    expect(config).not.toHaveProperty('licence');
    expect(parseAdapterConfig(least.replace('linear', 'mlp'), 'some.yml').adapter).toEqual({
      kind: 'mlp',
      hidden: 512,
    });
  });

  it.each([
    ['an unknown key', `${least}momentum: 1\n`, /line 7: momentum: Expected one of the keys name, version/],
    [
      'a key of another kind of adapter',
      least.replace('linear', 'linear, hidden: 3'),
      /line 3: adapter.hidden/,
    ],
    ['another kind', least.replace('linear', 'tree'), /adapter.kind: Expected one of linear, mlp/],
    ['a single view', `${least}views: 1\n`, /views: Expected a number of at least 2 but received 1/],
    ['the model of an encoder', `${least}model: { architecture: compact, inputSize: 32 }\n`, /model/],
    [
      'early stopping without a validation',
      `${least}earlyStopping: { patience: 2 }\n`,
      /data.validation too/,
    ],
  ])('is refused with %s', (_, text, message) => {
    expect(() => parseAdapterConfig(text, 'some.yml')).toThrow(message);
    expect(() => parseAdapterConfig(text, 'some.yml')).toThrow(
      expect.objectContaining({ code: 'config_invalid' }) as Error,
    );
  });

  it('is told from that of an encoder by its keys', () => {
    expect(isAdapterConfig('backbone: models/some\nadaptor: {}\n')).toBe(true);
    expect(isAdapterConfig('model: { architecture: compact }\n')).toBe(false);
    expect(isAdapterConfig('- 1\n')).toBe(false);
  });

  it('is another training with another backbone, and the same with other threads', () => {
    const config = parseAdapterConfig(least, 'some.yml');
    const hash = (changes: object): string => hashConfig({ ...config, backbone: 'aa', ...changes });
    expect(hash({ threads: 3 })).toBe(hash({}));
    expect(hash({ backbone: 'ab' })).not.toBe(hash({}));
    expect(hash({ views: 9 })).not.toBe(hash({}));
  });
});
