import { z } from 'zod';

const count = z.int().min(0);

/** What a checkpoint says in its header, before the tensors. */
export const checkpointHeaderSchema = z.strictObject({
  version: z.literal(1),
  config: z.strictObject({ name: z.string(), hash: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** Steps that are done. */
  step: count,
  /** The next batch. */
  place: z.strictObject({ epoch: count, step: count }),
  /** Of the epoch under way. */
  losses: z.strictObject({ sum: z.number(), count }),
  /** Of training, over all its runs. */
  elapsedSeconds: z.number().min(0),
  /** The best validation so far; null before the first. */
  best: z.strictObject({ metric: z.string(), value: z.number(), step: count }).nullable(),
  /** A line for each thing that was logged, oldest first. */
  history: z.array(z.record(z.string(), z.number())),
  /** float32, in the order in which they follow. */
  tensors: z.array(z.strictObject({ name: z.string(), length: count })),
});

export type CheckpointHeader = z.infer<typeof checkpointHeaderSchema>;
