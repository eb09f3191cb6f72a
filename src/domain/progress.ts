/** Where a long command tells how far it is. Stages follow one another. */
export interface Progress {
  /** `total` and what `advance` adds are in `unit`s, such as images. */
  start(stage: { readonly name: string; readonly total: number; readonly unit: string }): void;
  advance(by: number): void;
  /** The stage is done. */
  finish(): void;
}
