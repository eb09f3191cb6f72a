/** A model of the hub that is worth a try. */
export interface KnownModel {
  /** OWNER/NAME. */
  readonly repository: string;
  /** Pixels a side. */
  readonly size: number;
  readonly dimension: number;
  /** Of the fp32 file; absent where no page that we found says it. */
  readonly megabytes?: number;
  readonly licence: string;
  readonly use: string;
}

/**
 * Exports for transformers.js whose names, families and licences public pages confirm; docs/encoders.md says what of them
 * was run.
 */
export const knownModels: readonly KnownModel[] = [
  {
    repository: 'onnx-community/dinov2-small',
    size: 224,
    dimension: 384,
    megabytes: 88.5,
    licence: 'Apache-2.0',
    use: 'photos of any kind; the first to try',
  },
  {
    repository: 'onnx-community/dinov2-with-registers-small',
    size: 224,
    dimension: 384,
    megabytes: 88.5,
    licence: 'Apache-2.0',
    use: 'photos of any kind, with cleaner features',
  },
  {
    repository: 'onnx-community/dinov2-with-registers-base',
    size: 224,
    dimension: 768,
    megabytes: 347,
    licence: 'Apache-2.0',
    use: 'finer differences than small, at about four times the size',
  },
  {
    repository: 'onnx-community/dinov3-vits16-pretrain-lvd1689m-ONNX',
    size: 224,
    dimension: 384,
    licence: 'dinov3-license',
    use: 'photos of any kind; read its licence first',
  },
  {
    repository: 'Xenova/dino-vits16',
    size: 224,
    dimension: 384,
    megabytes: 86.9,
    licence: 'Apache-2.0',
    use: 'copies and near-copies of one picture',
  },
  {
    repository: 'onnx-community/siglip2-base-patch16-224-ONNX',
    size: 224,
    dimension: 768,
    licence: 'Apache-2.0',
    use: 'products, scenes and what captions talk about',
  },
  {
    repository: 'Xenova/siglip-base-patch16-224',
    size: 224,
    dimension: 768,
    megabytes: 372,
    licence: 'Apache-2.0',
    use: 'products, scenes and what captions talk about',
  },
  {
    repository: 'Xenova/clip-vit-base-patch32',
    size: 224,
    dimension: 512,
    licence: 'MIT',
    use: 'what captions talk about, at little work an image',
  },
  {
    repository: 'Xenova/mobileclip_s0',
    size: 256,
    dimension: 512,
    licence: 'apple-amlr',
    use: 'the same for small machines; read its licence first',
  },
  {
    repository: 'Xenova/vit-base-patch16-224',
    size: 224,
    dimension: 768,
    megabytes: 347,
    licence: 'Apache-2.0',
    use: 'things that ImageNet has classes for',
  },
  {
    repository: 'Xenova/convnextv2-tiny-1k-224',
    size: 224,
    dimension: 768,
    megabytes: 115,
    licence: 'Apache-2.0',
    use: 'things that ImageNet has classes for; a convolutional network',
  },
  {
    repository: 'Xenova/resnet-50',
    size: 224,
    dimension: 2048,
    megabytes: 102,
    licence: 'Apache-2.0',
    use: 'a baseline that everybody knows',
  },
  {
    repository: 'onnx-community/mobilenetv4_conv_small.e2400_r224_in1k',
    size: 224,
    dimension: 1280,
    megabytes: 15.1,
    licence: 'Apache-2.0',
    use: 'the smallest of these; a convolutional network',
  },
];
