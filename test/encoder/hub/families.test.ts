import { describe, expect, it } from 'vitest';
import { readCard } from '../../../src/encoder/hub/card.js';
import { describeConfig, featuresOf } from '../../../src/encoder/hub/families.js';
import { type GraphModel, model, node, type NodeProto, tensorInfo } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';

describe('config.json', () => {
  it.each([
    [{ model_type: 'dinov2' }, 'dino', 'model'],
    [{ model_type: 'dinov2_with_registers' }, 'dino', 'model'],
    [{ model_type: 'dinov3_vit' }, 'dino', 'model'],
    [{ model_type: 'siglip' }, 'siglip', 'vision_model'],
    [{ model_type: 'clip' }, 'clip', 'vision_model'],
    [{ model_type: 'vit' }, 'vit', 'model'],
    [{ model_type: 'convnextv2' }, 'convolutional', 'model'],
    [{ model_type: 'mobilenet_v4' }, 'convolutional', 'model'],
    [{ architecture: 'vit_small_patch14_dinov2', pretrained_cfg: {} }, 'dino', 'model'],
    [{ architecture: 'vit_base_patch16_224' }, 'vit', 'model'],
    [{ model_type: 'timm_wrapper', architecture: 'mobilenetv4_conv_small' }, 'convolutional', 'model'],
    [{ architecture: 'tf_efficientnet_lite0' }, 'convolutional', 'model'],
    [{ architecture: 'resnet50' }, 'convolutional', 'model'],
    [{ architecture: 'convnext_tiny' }, 'convolutional', 'model'],
  ])('%j is of a known family', (config, name, file) => {
    expect(describeConfig(config).family).toMatchObject({ name, file });
  });

  it.each([
    { model_type: 'bert' },
    { model_type: 'constructor' },
    { model_type: '__proto__' },
    { architecture: 'swin_tiny' },
    {},
  ])('%j is of none', (config) => {
    expect(describeConfig(config).family).toBeUndefined();
  });
});

/** A classifier of features `[n, 4]`, with these nodes between them and the scores. */
function classifier(nodes: NodeProto[]): GraphModel {
  return model({
    name: 'classifier',
    inputs: [tensorInfo({ name: 'image', elementType: 'float32', dims: ['n', 4] })],
    outputs: [tensorInfo({ name: 'logits', elementType: 'float32', dims: ['n', 2] })],
    nodes: [node('Relu', { inputs: ['image'], outputs: ['features'] }), ...nodes],
    initializers: [
      initializer({ name: 'w', elementType: 'float32', dims: [4, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] }),
    ],
  });
}
const one = (opType: string, inputs: string[], output: string) => node(opType, { inputs, outputs: [output] });

describe('what a classifier reads is its embedding', () => {
  const cnn = describeConfig({ model_type: 'resnet' }).family;

  it.each([
    ['a Gemm', [one('Gemm', ['features', 'w', 'b'], 'logits')]],
    ['a product and its bias', [one('MatMul', ['features', 'w'], 'p'), one('Add', ['b', 'p'], 'logits')]],
    ['half precision', [one('Gemm', ['features', 'w'], 'half'), one('Cast', ['half'], 'logits')]],
    ['four bits', [one('MatMulNBits', ['features', 'w', 's'], 'p'), one('Add', ['p', 'b'], 'logits')]],
    [
      'int8, as it is quantised on the way',
      [
        node('DynamicQuantizeLinear', { inputs: ['features'], outputs: ['q', 'scale', 'zero'] }),
        one('MatMulInteger', ['q', 'w', 'zero'], 'i'),
        one('Cast', ['i'], 'f'),
        one('Mul', ['scale', 'ws'], 'both'),
        one('Mul', ['f', 'both'], 'p'),
        one('Add', ['p', 'b'], 'logits'),
      ],
    ],
  ])('of %s', (_, nodes) => {
    if (cnn === undefined) throw new Error('resnet is known');
    expect(featuresOf(cnn, classifier(nodes).graph)).toEqual({ output: 'features' });
  });

  it('unless it has none in front of its scores', () => {
    if (cnn === undefined) throw new Error('resnet is known');
    expect(featuresOf(cnn, classifier([one('Softmax', ['features'], 'logits')]).graph)).toBeUndefined();
    expect(featuresOf(cnn, classifier([one('Gemm', ['image', 'w'], 'logits')]).graph)).toBeUndefined();
  });
});

describe('a model card', () => {
  it.each([
    ['---\nlicense: mit\n---\n', { licence: 'mit', madeFrom: undefined, datasets: [] }],
    [
      '---\nlicense: "mit"\r\nbase_model:\r\n- a/b\r\n---\n',
      { licence: 'mit', madeFrom: 'a/b', datasets: [] },
    ],
    [
      '---\nbase_model: a/b\ndatasets: [one, two]\n---\n',
      { licence: undefined, madeFrom: 'a/b', datasets: ['one', 'two'] },
    ],
    [
      '---\nlicense: other\nlicense_name: own\ndatasets:\n  - one\n  - two\ntags:\n- x\n---\n',
      { licence: 'own', madeFrom: undefined, datasets: ['one', 'two'] },
    ],
    ['license: mit', { licence: undefined, madeFrom: undefined, datasets: [] }],
    ['', { licence: undefined, madeFrom: undefined, datasets: [] }],
  ])('%j', (text, card) => {
    expect(readCard(text)).toEqual(card);
  });

  it('of megabytes gives no more than can be shown', () => {
    const { licence, datasets } = readCard(
      `---\nlicense: ${'a'.repeat(1e6)}\ndatasets:\n${'- b\n'.repeat(1e5)}---\n`,
    );
    expect(licence).toBe('a'.repeat(200));
    expect(datasets).toHaveLength(100);
  });
});
