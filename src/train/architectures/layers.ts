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
