import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { hashConfig, parseTrainConfig, readConfig } from '../../../src/train/config/read-config.js';

const examples = fileURLToPath(new URL('../../../configs', import.meta.url));

const least = `name: least
data: { train: photos }
model: { architecture: compact, inputSize: 32 }
epochs: 3
optimizer: { kind: sgd, learningRate: 0.1 }
augment: []
`;

/** What the config is refused with; lines are replaced by their key. */
function refusal(changes: Readonly<Record<string, string>>): string {
  const lines = new Map(
    least
      .trim()
      .split('\n')
      .map((line) => [line.split(':')[0] ?? '', line]),
  );
  for (const [key, line] of Object.entries(changes)) lines.set(key, line);
  try {
    parseTrainConfig([...lines.values()].join('\n'), 'some.yml');
  } catch (error) {
    expect(error).toMatchObject({ code: 'config_invalid' });
    return (error as Error).message;
  }
  throw new Error('Expected a refusal');
}

describe('the example configs', () => {
  const files = readdirSync(examples);

  it('are those of CIFAR-10, CIFAR-100, a folder of photos and an adapter', () => {
    expect(files).toEqual(['adapter.yml', 'cifar10-compact.yml', 'cifar100-compact.yml', 'photos.yml']);
  });

  it.each(files.filter((file) => file !== 'adapter.yml'))('%s is valid', async (file) => {
    const config = parseTrainConfig(await readConfig(join(examples, file)), file);
    expect(config.optimizer.learningRate).toBeGreaterThan(0);
    expect(config.augment[0]?.kind).toBe('randomResizedCrop');
    expect(config.schedule).toMatchObject({ kind: 'cosine', final: 0 });
    expect(config.schedule.warmUp).toBeOneOf([0.05, 0.08]);
  });

  it('say what they seem to say', async () => {
    const file = join(examples, 'cifar10-compact.yml');
    const config = parseTrainConfig(await readConfig(file), file);
    expect(config.budget).toBe(80 * 60);
    expect(config.optimizer).toEqual({
      kind: 'sgd',
      learningRate: 0.3,
      momentum: 0.9,
      nesterov: true,
      weightDecay: 0.001,
    });
    expect(config.augment[0]).toEqual({ kind: 'randomResizedCrop', scale: [0.25, 1], ratio: [3 / 4, 4 / 3] });
    expect(config.data.validation).toEqual({ holdOut: 0.02 });
  });
});

describe('a training config', () => {
  it('has a default for whatever it can do without', () => {
    expect(parseTrainConfig(least, 'least.yml')).toEqual({
      name: 'least',
      version: '1.0.0',
      licence: 'unknown',
      seed: 42,
      data: { train: 'photos' },
      model: {
        architecture: 'compact',
        inputSize: 32,
        fit: 'cover',
        kernel: 'cubic',
      },
      batch: 256,
      epochs: 3,
      sampler: 'plain',
      optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.0005 },
      schedule: { kind: 'cosine', warmUp: 0.05, final: 0 },
      temperature: 0.1,
      augment: [],
      validation: { every: 5, k: 20, temperature: 0.07, metric: 'precision@1' },
      checkpoint: { everyMinutes: 10 },
      workers: 1,
    });
  });

  it('is refused for an unknown key, with its line and the keys there are', () => {
    expect(refusal({ epochs: 'epoches: 3\nepochs: 3' })).toBe(
      'Expected another config in some.yml: line 4: epoches: Expected one of the keys name, version, licence, seed, data, model, batch, epochs, ' +
        'budget, sampler, optimizer, schedule, clip, ema, temperature, augment, mix, validation, earlyStopping, checkpoint, ' +
        'threads, workers but received epoches',
    );
    expect(refusal({ model: 'model:\n  architecture: compact\n  inputSize: 32\n  depth: 3' })).toContain(
      'line 6: model.depth: Expected one of the keys architecture, widths, inputSize, fit, kernel but received model.depth',
    );
    expect(
      refusal({ augment: 'augment:\n  - kind: toGrey\n  - kind: horizontalFlip\n    chance: 0.5' }),
    ).toContain(
      'line 9: augment[1].chance: Expected one of the keys kind, probability but received augment[1].chance',
    );
    expect(refusal({ optimizer: 'optimizer: { kind: adamw, learningRate: 0.1, momentum: 0.9 }' })).toContain(
      'optimizer.momentum: Expected one of the keys kind, learningRate, beta1, beta2, epsilon, weightDecay but received optimizer.momentum',
    );
  });

  it.each([
    [{ epochs: 'epochs: many' }, 'line 4: epochs: Expected a number but received "many"'],
    [{ epochs: 'epochs: 2.5' }, 'line 4: epochs: Expected a whole number but received 2.5'],
    [{ epochs: 'epochs: 0' }, 'line 4: epochs: Expected a number of at least 1 but received 0'],
    [{ epochs: 'seed: 1' }, 'line 1: epochs: Expected a number but received nothing'],
    [
      { optimizer: 'optimizer: { kind: sgd, learningRate: -1 }' },
      'line 5: optimizer.learningRate: Expected a number above 0 but received -1',
    ],
    [
      { optimizer: 'optimizer: { kind: adam, learningRate: 1 }' },
      'line 5: optimizer.kind: Expected one of sgd, adamw but received "adam"',
    ],
    [
      { model: 'model: { architecture: vgg, inputSize: 32 }' },
      'model.architecture: Expected one of compact, resnet20, resnet18, resnet34 but received "vgg"',
    ],
    [
      { model: 'model: { architecture: compact, inputSize: 32, widths: 64 }' },
      'model.widths: Expected a list but received 64',
    ],
    [{ data: 'data: photos' }, 'line 2: data: Expected keys and values but received "photos"'],
    [
      { data: 'data: { train: photos, validation: 3 }' },
      'line 2: data.validation: Expected a path, or holdOut: with a share between 0 and 1 but received 3',
    ],
    [
      { data: 'data: { train: photos, validation: { holdOut: 2 } }' },
      'data.validation.holdOut: Expected a number below 1 but received 2',
    ],
    [
      { data: 'data: { train: photos, storageSize: 24 }' },
      'line 2: data.storageSize: Expected at least model.inputSize, 32 but received 24',
    ],
    [
      { augment: 'augment:\n  - { kind: randomResizedCrop, scale: [0.9, 0.2] }' },
      'line 7: augment[0].scale: Expected the smaller number first but received [0.9,0.2]',
    ],
    [
      { augment: 'augment:\n  - { kind: blur }' },
      'augment[0].kind: Expected one of randomResizedCrop, paddingCrop, horizontalFlip, rotation, colourJitter, toGrey, cutout but received "blur"',
    ],
    [
      { budget: 'budget: two hours' },
      'budget: Expected a duration such as 2h, 90m or 1h30m but received "two hours"',
    ],
    [{ budget: 'budget: 0s' }, 'budget: Expected a duration such as 2h, 90m or 1h30m but received "0s"'],
    [
      { earlyStopping: 'earlyStopping: { patience: 3 }' },
      'earlyStopping: Expected data.validation too, by which to stop but received {"patience":3}',
    ],
    [{ name: 'name: a/b' }, 'line 1: name: Expected letters, digits, dots and dashes but received "a/b"'],
  ])('is refused for %j', (changes, message) => {
    expect(refusal(changes)).toContain(message);
  });

  it('is refused where it is no YAML, where a key comes twice, and where there is nothing', () => {
    expect(() => parseTrainConfig('a: [1', 'some.yml')).toThrow(/Expected YAML in some.yml but: .* line 1/);
    expect(() => parseTrainConfig(`${least}epochs: 4`, 'some.yml')).toThrow(
      /Map keys must be unique at line 7/,
    );
    expect(() => parseTrainConfig('', 'some.yml')).toThrow(
      'line 1: the whole: Expected keys and values but received null',
    );
  });

  it('is refused where it cannot be read', async () => {
    await expect(readConfig('no/such.yml')).rejects.toMatchObject({
      code: 'config_invalid',
      message: 'Expected a config at no/such.yml but it cannot be read (ENOENT)',
    });
  });
});

describe('the hash of a config', () => {
  const hashOf = (text: string) => hashConfig(parseTrainConfig(text, 'some.yml'));

  it('is the same however the same training is written', () => {
    const turned = least.trim().split('\n').reverse().join('\n');
    expect(hashOf(turned)).toBe(hashOf(least));
    expect(hashOf(`${least}seed: 42 # as ever\n`)).toBe(hashOf(least));
    expect(hashOf(`${least}budget: 120m`)).toBe(hashOf(`${least}budget: 2h`));
  });

  it('leaves out how fast it goes and how often it is saved', () => {
    expect(hashOf(`${least}threads: 7\nworkers: 3\ncheckpoint: { everyMinutes: 1 }`)).toBe(hashOf(least));
  });

  it('changes with everything else', () => {
    const others = ['seed: 1', 'temperature: 0.2', 'budget: 2h', 'sampler: balanced', 'ema: {}', 'clip: 1'];
    const hashes = new Set([hashOf(least), ...others.map((line) => hashOf(`${least}${line}`))]);
    expect(hashes.size).toBe(1 + others.length);
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });
});
