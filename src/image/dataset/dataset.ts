/** One labelled image before decoding. */
export interface LabelledImage {
  /** Stable within the dataset and unique: the relative path with `/`, or `<batch file>#<record>` for CIFAR. */
  readonly id: string;
  readonly label: string;
  readonly source: string;
  /** Reads the bytes or pixels; nothing is held before this is called. */
  read(): Promise<ImageContent>;
}

/** An encoded file, or raw RGB pixels `[height, width, 3]`. */
export type ImageContent =
  | { readonly kind: 'file'; readonly bytes: Uint8Array }
  | { readonly kind: 'pixels'; readonly pixels: Uint8Array; readonly width: number; readonly height: number };

export interface Dataset {
  /** In words, for reports: `cifar10 (train)`, `folder`. */
  readonly name: string;
  /** How many images it lists; known before any is read. */
  readonly size: number;
  /** How many images each label has. */
  readonly labelCounts: ReadonlyMap<string, number>;
  /** In a stable order, independent of the file system's. */
  images(): AsyncIterable<LabelledImage>;
}
