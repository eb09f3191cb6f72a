import { NearvoteError } from '../domain/errors.js';

/**
 * The layers an architecture is made of. It is written once against them; what stands behind them declares parameters,
 * builds the training graph or writes the frozen encoder. Names are those of the parameters, without `.weight`.
 */
export interface Layers<Image, Features> {
  convolution(x: Image, options: ConvolutionLayer): Image;
  batchNorm(x: Image, name: string): Image;
  relu(x: Image): Image;
  /** 2 x 2 */
  maxPool(x: Image): Image;
  add(a: Image, b: Image): Image;
  globalAveragePool(x: Image): Features;
}

export interface ConvolutionLayer {
  readonly name: string;
  readonly into: number;
  readonly out: number;
  /** Height and width of the kernel. */
  readonly size: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly bias?: boolean;
}

/** An encoder without its projection head. */
export interface Architecture {
  readonly name: string;
  /** Of the features that are served. */
  readonly dimension: number;
  /** The least height and width of an image that leaves something to pool. */
  readonly smallest: number;
  build<Image, Features>(layers: Layers<Image, Features>, pixels: Image): Features;
}

/** As a config has it. */
export type ArchitectureOptions =
  | { readonly name: 'compact'; readonly widths?: readonly number[] | undefined }
  | { readonly name: 'resnet20' | 'resnet18' | 'resnet34'; readonly width?: number | undefined };

/**
 * An architecture by its name: `compact` (widths 64, 256, 256 unless told), `resnet20` (width 16), `resnet18` and
 * `resnet34` (width 64).
 * @throws NearvoteError `usage` for a width that is not a positive integer
 */
export function architectureOf(options: ArchitectureOptions): Architecture {
  const widths =
    options.name === 'compact' ? options.widths : options.width === undefined ? [] : [options.width];
  for (const width of widths ?? []) {
    if (Number.isInteger(width) && width > 0) continue;
    throw new NearvoteError('usage', `Expected positive integers as widths but received ${width}`);
  }
  switch (options.name) {
    case 'compact':
      return compact(options.widths);
    case 'resnet20':
      return resnet({ name: options.name, width: options.width ?? 16, depths: [3, 3, 3] });
    case 'resnet18':
      return resnet({ name: options.name, width: options.width ?? 64, depths: [2, 2, 2, 2] });
    case 'resnet34':
      return resnet({ name: options.name, width: options.width ?? 64, depths: [3, 4, 6, 3] });
  }
}

const stem = 24;

/**
 * Few FLOPs for its accuracy, made for serving on a CPU: a 2 x 2 convolution to 24 channels, then for every width a
 * 3 x 3 convolution, 2 x 2 max pooling, batch norm, ReLU and a second 3 x 3 convolution, batch norm, ReLU.
 */
function compact(widths: readonly number[] = [64, 256, 256]): Architecture {
  return {
    name: 'compact',
    dimension: widths.at(-1) ?? stem,
    smallest: 2 ** widths.length + 1,
    build: <Image, Features>(layers: Layers<Image, Features>, pixels: Image): Features => {
      let x = layers.relu(
        layers.convolution(pixels, { name: 'stem', into: 3, out: stem, size: 2, bias: true }),
      );
      let into = stem;
      widths.forEach((out, i) => {
        const name = `pair${i + 1}`;
        x = layers.convolution(x, { name: `${name}.conv1`, into, out, size: 3, padding: 1 });
        x = layers.relu(layers.batchNorm(layers.maxPool(x), `${name}.bn1`));
        x = layers.convolution(x, { name: `${name}.conv2`, into: out, out, size: 3, padding: 1 });
        x = layers.relu(layers.batchNorm(x, `${name}.bn2`));
        into = out;
      });
      return layers.globalAveragePool(x);
    },
  };
}

interface ResnetOptions {
  readonly name: string;
  /** Of the first stage; each later one has twice the channels of the one before. */
  readonly width: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
}

/** A ResNet of basic blocks with the CIFAR stem, one 3 x 3 convolution at full size (He et al. 2015, arXiv:1512.03385). */
function resnet({ name, width, depths }: ResnetOptions): Architecture {
  return {
    name,
    dimension: width * 2 ** (depths.length - 1),
    smallest: 1,
    build: <Image, Features>(layers: Layers<Image, Features>, pixels: Image): Features => {
      const stem = layers.convolution(pixels, {
        name: 'stem.conv',
        into: 3,
        out: width,
        size: 3,
        padding: 1,
      });
      let x = layers.relu(layers.batchNorm(stem, 'stem.bn'));
      let into = width;
      depths.forEach((depth, stage) => {
        const out = width * 2 ** stage;
        for (let i = 0; i < depth; i++) {
          const stride = stage > 0 && i === 0 ? 2 : 1;
          x = block(layers, x, { name: `stage${stage + 1}.block${i + 1}`, into, out, stride });
          into = out;
        }
      });
      return layers.globalAveragePool(x);
    },
  };
}

interface Block {
  readonly name: string;
  readonly into: number;
  readonly out: number;
  readonly stride: number;
}

function block<Image, Features>(
  layers: Layers<Image, Features>,
  x: Image,
  { name, into, out, stride }: Block,
): Image {
  const first = layers.convolution(x, { name: `${name}.conv1`, into, out, size: 3, stride, padding: 1 });
  const middle = layers.relu(layers.batchNorm(first, `${name}.bn1`));
  const second = layers.convolution(middle, { name: `${name}.conv2`, into: out, out, size: 3, padding: 1 });
  const sum = layers.batchNorm(second, `${name}.bn2`);
  if (stride === 1 && into === out) return layers.relu(layers.add(sum, x));
  const short = layers.convolution(x, { name: `${name}.short.conv`, into, out, size: 1, stride });
  return layers.relu(layers.add(sum, layers.batchNorm(short, `${name}.short.bn`)));
}
