import { describe, expect, it } from 'vitest';
import { readSteps } from '../../../src/encoder/hub/preprocessing.js';

const imageNet = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
const square = (side: number) => ({ width: side, height: side });
/** Cut out where transformers begins it. */
const middle = { ...square(224), halves: 'down' };

// The files of these models, with what transformers and timm then do: Image.resize with the same filter, a centre crop.
describe('preprocessor_config.json', () => {
  it.each([
    [
      'of DINOv2',
      {
        image_processor_type: 'BitImageProcessor',
        do_resize: true,
        size: { shortest_edge: 256 },
        resample: 3,
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
      },
      { resize: { shortestEdge: 256 }, crop: middle, kernel: 'cubic' },
    ],
    [
      'of DINOv3',
      {
        image_processor_type: 'DINOv3ViTImageProcessorFast',
        do_resize: true,
        size: { height: 224, width: 224 },
        resample: 2,
      },
      { resize: square(224), fit: 'fill', kernel: 'linear' },
    ],
    [
      'of SigLIP',
      {
        image_processor_type: 'SiglipImageProcessor',
        do_resize: true,
        size: { height: 224, width: 224 },
        resample: 3,
      },
      { resize: square(224), fit: 'fill', kernel: 'cubic' },
    ],
    [
      'of CLIP, as it was first written',
      {
        feature_extractor_type: 'CLIPFeatureExtractor',
        do_resize: true,
        size: 224,
        resample: 3,
        do_center_crop: true,
        crop_size: 224,
      },
      { resize: { shortestEdge: 224 }, crop: middle, kernel: 'cubic' },
    ],
    [
      'of ViT, as it was first written',
      { feature_extractor_type: 'ViTFeatureExtractor', do_resize: true, size: 224, resample: 2 },
      { resize: square(224), fit: 'fill', kernel: 'linear' },
    ],
    [
      'of ConvNeXt at 224, whose shorter edge is 224 / 0.875',
      {
        image_processor_type: 'ConvNextImageProcessor',
        do_resize: true,
        size: { shortest_edge: 224 },
        crop_pct: 0.875,
        resample: 3,
      },
      { resize: { shortestEdge: 256 }, crop: middle, kernel: 'cubic' },
    ],
    [
      'of ConvNeXt at 384, which is stretched',
      {
        image_processor_type: 'ConvNextImageProcessor',
        do_resize: true,
        size: { shortest_edge: 384 },
        crop_pct: 0.875,
        resample: 3,
      },
      { resize: square(384), fit: 'fill', kernel: 'cubic' },
    ],
    [
      'of MobileNetV2',
      {
        image_processor_type: 'MobileNetV2ImageProcessor',
        do_resize: true,
        size: { shortest_edge: 256 },
        resample: 2,
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
      },
      { resize: { shortestEdge: 256 }, crop: middle, kernel: 'linear' },
    ],
    [
      'of DeiT, which stretches and then crops',
      {
        image_processor_type: 'DeiTImageProcessor',
        do_resize: true,
        size: { height: 256, width: 256 },
        resample: 3,
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
      },
      { resize: square(256), fit: 'fill', crop: middle, kernel: 'cubic' },
    ],
  ])('%s says how images are resized', (_, file, geometry) => {
    expect(readSteps({ processor: { ...file, do_normalize: true, ...imageNet }, timm: undefined })).toEqual({
      geometry,
      values: { channels: 'rgb', scale: 255, mean: imageNet.image_mean, std: imageNet.image_std },
    });
  });

  const sized = { do_resize: true, size: { height: 256, width: 256 }, resample: 2 };
  it.each([
    [
      'of MobileCLIP, which only divides by 255',
      { ...sized, do_normalize: false, do_rescale: true, rescale_factor: 0.00392156862745098 },
      { channels: 'rgb', scale: 255, mean: [0, 0, 0], std: [1, 1, 1] },
    ],
    [
      'without rescaling',
      { ...sized, ...imageNet, do_rescale: false },
      { channels: 'rgb', scale: 1, mean: imageNet.image_mean, std: imageNet.image_std },
    ],
    [
      'of MobileViT, whose colours are the other way round',
      { ...sized, do_normalize: false, do_flip_channel_order: true },
      { channels: 'bgr', scale: 255, mean: [0, 0, 0], std: [1, 1, 1] },
    ],
    [
      'of EfficientNet, which divides by the deviation twice',
      {
        ...sized,
        image_processor_type: 'EfficientNetImageProcessor',
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.25, 0.5],
      },
      { channels: 'rgb', scale: 255, mean: [0.5, 0.5, 0.5], std: [0.25, 0.0625, 0.25] },
    ],
  ])('%s says what becomes of the values', (_, processor, values) => {
    expect(readSteps({ processor, timm: undefined }).values).toEqual(values);
  });

  it.each([
    ['no size', { ...imageNet, do_resize: true }, 'Expected a size'],
    [
      'another filter',
      { ...sized, ...imageNet, resample: 5 },
      'resample of 0 to 3 in preprocessor_config.json but received 5',
    ],
    [
      'images of many sizes',
      { ...sized, ...imageNet, size: { shortest_edge: 224 }, do_center_crop: false },
      'Expected a crop',
    ],
    ['no mean', { ...sized, do_normalize: true }, 'Expected image_mean and image_std'],
    ['an offset', { ...sized, ...imageNet, rescale_offset: true }, 'rescale_offset'],
    ['a size of nothing', { ...sized, ...imageNet, size: 0 }, 'size'],
    [
      'a crop beyond the image',
      { ...sized, ...imageNet, do_center_crop: true, crop_size: 512 },
      'Expected a crop no larger',
    ],
  ])('is refused with %s', (_, processor, message) => {
    expect(() => readSteps({ processor, timm: undefined })).toThrow(
      expect.objectContaining({
        code: 'encoder_unsupported',
        message: expect.stringContaining(message) as string,
      }) as Error,
    );
  });
});

describe("timm's pretrained_cfg", () => {
  const cfg = {
    input_size: [3, 224, 224],
    interpolation: 'bicubic',
    crop_pct: 0.9,
    crop_mode: 'center',
    mean: [0.5, 0.5, 0.5],
    std: [0.2, 0.2, 0.2],
  };

  it.each([
    // math.floor(224 / 0.9) is 248.
    [{}, { resize: { shortestEdge: 248 }, crop: square(224), kernel: 'cubic' }],
    [
      { crop_pct: 1, interpolation: 'bilinear' },
      { resize: { shortestEdge: 224 }, crop: square(224), kernel: 'linear' },
    ],
    [
      { crop_mode: 'squash', crop_pct: 1 },
      { resize: square(224), crop: square(224), fit: 'fill', kernel: 'cubic' },
    ],
  ])('with %j says the same as its transforms', (changes, geometry) => {
    expect(readSteps({ processor: undefined, timm: { ...cfg, ...changes } })).toEqual({
      geometry,
      values: { channels: 'rgb', scale: 255, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] },
    });
  });

  it.each([
    [{ interpolation: 'random' }, 'random'],
    [{ crop_mode: 'border' }, 'border'],
  ])('with %j is refused', (changes, message) => {
    expect(() => readSteps({ processor: undefined, timm: { ...cfg, ...changes } })).toThrow(message);
  });
});

it('a repository that says nothing of its images is refused', () => {
  expect(() => readSteps({ processor: undefined, timm: undefined })).toThrow(
    'Expected a preprocessor_config.json',
  );
});
