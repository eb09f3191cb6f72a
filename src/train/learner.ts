/** What a step is given: two views of each image of a batch. */
export interface StepInput {
  /** uint8 RGB `[views, height, width, 3]` */
  readonly pixels: Uint8Array;
  /** Shares of the classes, `[views, classes]` */
  readonly labels: Float32Array;
  readonly learningRate: number;
}

export interface StepResult {
  /** Before the update; NaN and infinity come out as they are. */
  readonly loss: number;
  readonly gradientNorm: number;
}

/** Everything that the next step depends on: flat vectors by their names, and the steps done. */
export interface TrainingState {
  readonly steps: number;
  readonly vectors: Readonly<Record<string, Float32Array>>;
}

/**
 * What the loop drives; `step.ts` is the one that trains an encoder. A batch is two views of each of its images, pixels
 * unless told.
 */
export interface Learner<Batch = Pick<StepInput, 'pixels' | 'labels'>> {
  step(input: Batch & Pick<StepInput, 'learningRate'>): Promise<StepResult>;
  /** A copy, for a checkpoint. */
  state(): TrainingState;
  /** Goes on from a copy of `state`, bit for bit. */
  load(state: TrainingState): void;
}
