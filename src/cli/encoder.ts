import { basename, dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addEncoder } from '../encoder/add/add-encoder.js';
import { readEncoderManifest } from '../encoder/load.js';
import { type Fit, fits, type Geometry, type Kernel, kernels, resizeTo } from '../image/geometry.js';
import { NearvoteError } from '../domain/errors.js';
import { inspectCommand, listCommand, pullCommand } from './encoder-hub.js';
import { parseName, printManifest, variableOf } from './encoder-manifest.js';
import { integerFrom, numberAbove } from './options.js';
import { print } from './printable.js';

interface AddFlags {
  readonly size: Size;
  readonly mean: Channels;
  readonly std: Channels;
  readonly layout: 'nchw' | 'nhwc';
  readonly output?: string;
  readonly token?: 'cls' | 'mean';
  readonly scale: number;
  readonly channels: 'rgb' | 'bgr';
  readonly fit?: Fit;
  readonly resize?: number;
  readonly cropPct?: number;
  readonly kernel: Kernel;
  readonly name?: string;
  readonly encoderVersion: string;
  readonly licence: string;
  readonly trainedOn: readonly string[];
  readonly out?: string;
  readonly force?: true;
  readonly json?: true;
}

export function encoderCommand(): Command {
  return new Command('encoder')
    .description('take, list, add, inspect and show encoders')
    .addHelpText('after', '\nExample:\n  $ nearvote encoder show models/cifar10-compact\n')
    .addCommand(pullCommand())
    .addCommand(listCommand())
    .addCommand(addCommand())
    .addCommand(inspectCommand())
    .addCommand(showCommand());
}

const addExample = `
--size, --mean, --std and --layout are needed. They are in the model's preprocessor_config.json (size, image_mean, image_std) on
Hugging Face, or in what timm.data.resolve_model_data_config(model) prints (input_size, mean, std). ImageNet's values are
0.485,0.456,0.406 and 0.229,0.224,0.225. PyTorch's models are nchw, TensorFlow's nhwc.

--output may also name a value inside the model, such as the features before a classifier.

Example:
  $ nearvote encoder add dinov2.onnx --size 224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 \\
      --layout nchw --token cls --licence Apache-2.0
`;

function addCommand(): Command {
  const command = new Command('add')
    .description(
      'wrap an ONNX or TensorFlow.js encoder made elsewhere, prove it on a run, and write models/NAME',
    )
    .argument('<path>', 'the .onnx file, or the model.json of a TensorFlow.js model')
    .addHelpText('after', addExample)
    .action(add);
  const options = [
    new Option('--size <n>', 'image size in pixels: 224, or 320x240 (width x height)')
      .argParser(parseSize)
      .makeOptionMandatory(),
    new Option('--mean <r,g,b>', 'what is subtracted from the scaled values; one number or three')
      .argParser(parseMean)
      .makeOptionMandatory(),
    new Option('--std <r,g,b>', 'what they are divided by then; one number or three')
      .argParser(parseStd)
      .makeOptionMandatory(),
    new Option('--layout <layout>', "order of the axes of the model's input")
      .choices(['nchw', 'nhwc'])
      .makeOptionMandatory(),
    new Option('--output <name>', 'the output that is the embedding; needed where the model has several'),
    new Option(
      '--token <token>',
      'which of an output [n, tokens, d] is the embedding: the first token, or the mean of all',
    ).choices(['cls', 'mean']),
    new Option('--scale <x>', 'what pixel values are divided by first')
      .argParser(numberAbove(0))
      .default(255),
    new Option('--channels <order>', "order of the colours in the model's input")
      .choices(['rgb', 'bgr'])
      .default('rgb'),
    new Option(
      '--fit <fit>',
      'how an image is made to fit: its middle fills the size (cover, the default), it is stretched to it (fill), or all of it is kept with black beside it (contain)',
    ).choices(fits),
    new Option(
      '--resize <n>',
      'instead of --fit: length that the shorter edge is resized to before the middle of --size is cut out',
    ).argParser(integerFrom(1, 4096)),
    new Option(
      '--crop-pct <x>',
      "the same in timm's words: which part of the shorter edge --size is, such as 0.875",
    ).argParser(numberAbove(0)),
    new Option('--kernel <kernel>', 'how it is resized').choices(kernels).default('cubic'),
    new Option('--name <name>', 'name of the encoder (default: that of --out, or of the file)').argParser(
      parseName,
    ),
    new Option('--encoder-version <version>', 'version of the encoder').default('1.0.0'),
    new Option('--licence <name>', 'licence of the encoder, such as Apache-2.0').default(
      'unknown',
      'not said',
    ),
    new Option('--trained-on <names>', 'names of the datasets it was trained on, with commas between')
      .argParser(parseList)
      .default([]),
    new Option('--out <dir>', 'folder to write the encoder to (default: models/NAME)'),
    new Option('--force', 'replace the whole folder of an encoder that is there'),
    new Option('--json', 'print the manifest'),
  ];
  for (const option of options) command.addOption(option.env(variableOf(option)));
  return command;
}

function showCommand(): Command {
  const json = new Option('--json', 'print the manifest');
  return new Command('show')
    .description('print what an encoder is')
    .argument('<dir>', 'its folder')
    .addOption(json.env(variableOf(json)))
    .addHelpText('after', '\nExample:\n  $ nearvote encoder show models/cifar10-compact --json\n')
    .action(async (dir: string, flags: { readonly json?: true }) => {
      printManifest(await readEncoderManifest(dir), flags.json);
    });
}

async function add(path: string, flags: AddFlags): Promise<void> {
  const { mean, std, layout, scale, channels, force = false, json, ...rest } = flags;
  const name = flags.name ?? nameFrom(flags.out ?? path);
  const dir = flags.out ?? join('models', name);
  const manifest = await addEncoder({
    ...rest,
    geometry: geometryOf(flags),
    path,
    dir,
    force,
    name,
    version: flags.encoderVersion,
    preprocessing: { layout, channels, scale, mean, std },
  });
  printManifest(manifest, json);
  if (!json) print(`\nNext: npx nearvote build --data DIR --encoder ${dir} --out index/NAME`);
}

/** @throws NearvoteError `usage` for options that say two things, or a crop larger than what it is cut from */
function geometryOf({ size, fit, resize, cropPct, kernel }: AddFlags): Geometry {
  const said = Object.entries({ '--fit': fit, '--resize': resize, '--crop-pct': cropPct });
  const names = said.flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (names.length > 1) throw new NearvoteError('usage', `Expected one of ${names.join(' and ')}, not both`);
  const { width, height } = size;
  // Rounded down, as timm does.
  const shortestEdge =
    resize ?? (cropPct === undefined ? undefined : Math.floor(Math.min(width, height) / cropPct));
  if (shortestEdge === undefined) return resizeTo({ ...size, fit: fit ?? 'cover', kernel });
  if (shortestEdge < Math.max(width, height) || shortestEdge > 4096) {
    throw new NearvoteError(
      'usage',
      `Expected a shorter edge of at least --size and at most 4096 pixels but received ${shortestEdge}`,
    );
  }
  return { resize: { shortestEdge }, crop: size, kernel };
}

/** A file's or folder's name as an encoder's: dinov2_vits14.onnx is dinov2_vits14; every model.json is its folder's. */
function nameFrom(path: string): string {
  const name = basename(basename(path) === 'model.json' ? dirname(resolve(path)) : path)
    .replace(/\.(onnx|json)$/, '')
    .replace(/[^a-z0-9._-]+/gi, '-')
    .replace(/^[^a-z0-9]+/i, '');
  return name === '' ? 'encoder' : name;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function parseSize(text: string): Size {
  const [, width, height = width] = /^(\d{1,4})(?:x(\d{1,4}))?$/.exec(text) ?? [];
  const size = { width: Number(width), height: Number(height) };
  if (!(size.width >= 1 && size.height >= 1 && size.width <= 4096 && size.height <= 4096)) {
    throw new InvalidArgumentError('Expected a size such as 224 or 320x240, at most 4096.');
  }
  return size;
}

type Channels = readonly [number, number, number];

function parseMean(text: string): Channels {
  const values = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  const [r = NaN, g = r, b = r] = values;
  if (![1, 3].includes(values.length) || ![r, g, b].every(Number.isFinite)) {
    throw new InvalidArgumentError('Expected one number or three with commas between.');
  }
  return [r, g, b];
}

function parseStd(text: string): Channels {
  const std = parseMean(text);
  if (std.some((value) => value <= 0)) throw new InvalidArgumentError('Expected numbers above 0.');
  return std;
}

function parseList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
