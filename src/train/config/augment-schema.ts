import { z } from 'zod';
import type { Operation } from '../augment/compose.js';
import type { MixOptions } from '../augment/mix.js';

const share = z.number().min(0).max(1);
const padding = z.enum(['reflect', 'zero']).default('reflect');

/** From and to, in that order. */
const range = (least: number, most: number) =>
  z
    .tuple([z.number().gt(least).max(most), z.number().gt(least).max(most)])
    .refine(([from, to]) => from <= to, { error: 'Expected the smaller number first' });

const operationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('randomResizedCrop'),
    scale: range(0, 1).default([0.2, 1]),
    ratio: range(0, 10).default([3 / 4, 4 / 3]),
  }),
  z.strictObject({
    kind: z.literal('paddingCrop'),
    padding: z.int().min(0).max(256),
    mode: padding,
  }),
  z.strictObject({ kind: z.literal('horizontalFlip'), probability: share.default(0.5) }),
  z.strictObject({ kind: z.literal('rotation'), degrees: z.number().min(0).max(180), mode: padding }),
  z.strictObject({
    kind: z.literal('colourJitter'),
    probability: share.default(0.8),
    brightness: share.default(0.4),
    contrast: share.default(0.4),
    saturation: share.default(0.4),
    hue: z.number().min(0).max(0.5).default(0.1),
  }),
  z.strictObject({ kind: z.literal('toGrey'), probability: share.default(0.2) }),
  z.strictObject({
    kind: z.literal('cutout'),
    probability: share.default(0.5),
    side: z.number().gt(0).max(1),
    fill: z.int().min(0).max(255).default(128),
  }),
]) satisfies z.ZodType<Operation>;

/** What is done to each view, in this order. */
export const augmentSchema = z.array(operationSchema);

/** What is done to a batch of views. */
export const mixSchema = z.strictObject({
  kind: z.enum(['mixup', 'cutmix']),
  /** Beyond these bounds Beta's sampling underflows or is refused too often. */
  alpha: z.number().min(0.05).max(4).default(1),
  probability: share.default(0.5),
}) satisfies z.ZodType<MixOptions>;
