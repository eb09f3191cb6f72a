import { z } from 'zod';
import { indexQuerySchema, sequenceSchema } from './schemas.js';

const yesOrNo = z.enum(['true', 'false'], 'Expected true or false').optional();

/** `GET /bundle`. */
export const exportQuery = indexQuerySchema.extend({
  version: z.string().min(1).max(100).optional().meta({
    description:
      'A version that is kept, as it was published; the one that is served, with all changes, unless told',
  }),
  asPublished: yesOrNo.meta({
    description:
      'Whether the changes since the version are left out; they are folded into a new one unless told',
  }),
  encoder: yesOrNo.meta({ description: 'Whether the encoder goes with it; not unless told' }),
});

/** `POST /bundle`. */
export const importQuery = indexQuerySchema.extend({
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'Expected 64 hexadecimal digits')
    .transform((digest) => digest.toLowerCase())
    .optional()
    .meta({
      type: 'string',
      description: 'Of the whole bundle, which is refused where it has another; `Repr-Digest` says it too',
    }),
  replace: yesOrNo.meta({
    description: 'Whether it is published although it lacks changes that were made to the index',
  }),
});

export const importedSchema = z
  .strictObject({
    name: z.string(),
    version: z.string().meta({ description: 'The version that the bundle became, and that is served now' }),
    sequence: sequenceSchema,
    examples: z.int(),
    changed: z.boolean().meta({ description: 'False where that was served already' }),
    sha256: z.string().meta({ description: 'Of the whole bundle' }),
    former: z.string().meta({
      description:
        'The version that was served before, with all changes until then; `GET /bundle?version=` gives it',
    }),
  })
  .meta({ id: 'Imported' });
export type ImportedBody = z.infer<typeof importedSchema>;
