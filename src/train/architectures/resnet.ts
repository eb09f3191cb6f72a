import type { Architecture, Layers } from './layers.js';

export interface ResnetOptions {
  readonly name: string;
  /** Of the first stage; each later one has twice the channels of the one before. */
  readonly width: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
}

/** A ResNet of basic blocks with the CIFAR stem, one 3 x 3 convolution at full size (He et al. 2015, arXiv:1512.03385). */
export function resnet({ name, width, depths }: ResnetOptions): Architecture {
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
