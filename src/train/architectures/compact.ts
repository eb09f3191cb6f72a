import type { Architecture, Layers } from './layers.js';

const stem = 24;

/**
 * Few FLOPs for its accuracy, made for serving on a CPU: a 2 x 2 convolution to 24 channels, then for every width a
 * 3 x 3 convolution, 2 x 2 max pooling, batch norm, ReLU and a second 3 x 3 convolution, batch norm, ReLU.
 */
export function compact(widths: readonly number[] = [64, 256, 256]): Architecture {
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
