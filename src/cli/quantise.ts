import { availableParallelism } from 'node:os';
import { basename, isAbsolute, relative, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { calibrationMethods, type CalibrationMethod } from '../encoder/quantise/histogram.js';
import type { Processors } from '../encoder/quantise/weights.js';
import {
  layerColumns,
  layerRows,
  quantiseEncoder,
  trialColumns,
  trialRows,
  type QuantiseResult,
} from '../quantise/quantise-encoder.js';
import { imageLimitOptions, type ImageLimitOptions, integerFrom, splitOption } from './options.js';
import { createProgress, tableOf } from './output.js';
import { print } from './printable.js';

interface QuantiseFlags extends ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  readonly out?: string;
  readonly force?: true;
  readonly images: number;
  readonly method: CalibrationMethod | 'auto';
  readonly processors: Processors;
  readonly floatShare: number;
  readonly threads: number;
  readonly seed: number;
  readonly json?: true;
}

const example = `
Variants are tried on images that the ranges were not told from, and the nearest to the float encoder is kept.

Example:
  $ nearvote quantise models/photos --data photos/train --out models/photos-int8
`;

export function quantiseCommand(): Command {
  const command = new Command('quantise')
    .description('make an int8 encoder from a float one: a quarter of the size, faster on most processors')
    .argument('<dir>', 'folder of the float encoder')
    .addHelpText('after', example)
    .action(quantise);
  for (const option of quantiseOptions()) command.addOption(option);
  return command;
}

function quantiseOptions(): Option[] {
  return [
    new Option(
      '--data <path>',
      'images like those it will see: a folder, a .csv or .jsonl list, or CIFAR files',
    )
      .env('NEARVOTE_QUANTISE_DATA')
      .makeOptionMandatory(),
    splitOption('--split <split>', 'which CIFAR files are read', 'train').env('NEARVOTE_QUANTISE_SPLIT'),
    new Option('--out <dir>', 'folder to write (default: DIR-int8)').env('NEARVOTE_QUANTISE_OUT'),
    new Option('--force', 'replace an encoder that is there, the whole folder').env(
      'NEARVOTE_QUANTISE_FORCE',
    ),
    new Option('--images <n>', 'images that tell the ranges of values; half as many again measure')
      .argParser(integerFrom(1, 100_000))
      .default(512)
      .env('NEARVOTE_QUANTISE_IMAGES'),
    new Option('--method <method>', 'how ranges are told; auto tries all')
      .choices(['auto', ...calibrationMethods])
      .default('auto')
      .env('NEARVOTE_QUANTISE_METHOD'),
    new Option(
      '--processors <which>',
      'vnni: finer weights, which are wrong on x86 without VNNI and refused there',
    )
      .choices(['any', 'vnni'])
      .default('any')
      .env('NEARVOTE_QUANTISE_PROCESSORS'),
    new Option(
      '--float-share <share>',
      'of the work, as much may stay in float where that brings embeddings nearer',
    )
      .argParser(parseShare)
      .default(0.02)
      .env('NEARVOTE_QUANTISE_FLOAT_SHARE'),
    new Option('--threads <n>', 'threads that compute')
      .argParser(integerFrom(1, 256))
      .default(availableParallelism(), 'one a core')
      .env('NEARVOTE_QUANTISE_THREADS'),
    new Option('--seed <n>', 'chooses the images')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_QUANTISE_SEED'),
    new Option('--json', 'print the result as JSON').env('NEARVOTE_JSON'),
    ...imageLimitOptions(),
  ];
}

function parseShare(value: string): number {
  const share = Number(value);
  if (!(share >= 0 && share <= 1) || value.trim() === '') {
    throw new InvalidArgumentError('Expected a number from 0 to 1.');
  }
  return share;
}

async function quantise(encoder: string, flags: QuantiseFlags): Promise<void> {
  const { method, json, force = false, ...rest } = flags;
  const beside = `${resolve(encoder)}-int8`;
  const out = flags.out ?? (isAbsolute(encoder) ? beside : relative('', beside));
  const result = await quantiseEncoder(
    {
      ...rest,
      ...{ encoder, out, force },
      name: basename(resolve(out)),
      methods: method === 'auto' ? undefined : [method],
    },
    createProgress(),
  );
  print(json ? asJson(result) : summaryOf(result, out));
}

function asJson({ leftInFloat, floatOperators, layers, ...rest }: QuantiseResult): string {
  const plain = {
    ...rest,
    layers: layers.map(({ name, kind, sqnrDb }) => ({ name, kind, sqnrDb })),
    leftInFloat: Object.fromEntries(leftInFloat),
    floatOperators: Object.fromEntries(floatOperators),
  };
  return JSON.stringify(plain, undefined, 2);
}

function summaryOf(result: QuantiseResult, out: string): string {
  const { manifest, parent, images, bytes, floatOperators, warnings } = result;
  const table = (columns: readonly string[], rows: string[][]): string =>
    tableOf({ kind: 'table', title: '', columns: columns.map((name) => ({ name })), rows });
  return [
    `${manifest.name}: ${parent.name} ${parent.version} in int8, ${megabytes(bytes.int8)} of ${megabytes(bytes.float)}`,
    table(layerColumns, layerRows(result)),
    `against the float encoder on ${images.heldOut} images that the ${images.calibration} for the ranges do not hold`,
    table(trialColumns, trialRows(result)),
    `in float: ${[...floatOperators].map(([name, count]) => `${count} ${name}`).join(', ')}`,
    ...warnings.map((warning) => `Warning: ${warning}`),
    `\nNext: npx nearvote build --data DIR --encoder ${out} --out index/NAME`,
  ].join('\n');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}
