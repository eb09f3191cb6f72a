import { z } from 'zod';
import { changeKinds } from '../examples/journal-record.js';

/* What a server says of an index, as far as it is used: it may say more. */

const outcomeSchema = z.object({
  outcome: z.enum(['added', 'relabelled', 'deleted', 'restored', 'unchanged']),
  id: z.string(),
  label: z.string(),
  newLabel: z.literal(true).optional(),
  similarLabels: z.array(z.string()).optional(),
});
const operation = z.int().nullable();

/** `POST /changes`. */
export const editedSchema = z.looseObject({ sequence: z.int(), operation, outcomes: z.array(outcomeSchema) });

/** `POST /labels/LABEL`, `/changes/N/revert` and `/rollback`. */
export const operationSchema = z.looseObject({ sequence: z.int(), operation });

/** `POST /examples` with one image that has an id. */
export const addedOneSchema = outcomeSchema.extend({ sequence: z.int() });

/** `POST /examples` with several images. */
export const addedSchema = z.looseObject({
  sequence: z.int(),
  operation,
  results: z.array(
    z.union([
      z.object({
        error: z.object({ code: z.string(), title: z.string().optional(), detail: z.string().optional() }),
      }),
      outcomeSchema,
    ]),
  ),
});

/** `GET /changes`. */
export const changesSchema = z.looseObject({
  changes: z.array(
    z.object({
      sequence: z.int(),
      operation: z.int(),
      at: z.string(),
      kind: z.enum(changeKinds),
      id: z.string(),
      label: z.string().nullable(),
      was: z.string().nullable(),
      reason: z.string().nullable(),
      who: z.string().nullable(),
      reverts: z.int().nullable(),
      source: z.string().optional(),
    }),
  ),
  next: z.int().nullable(),
});

const counted = z.array(z.object({ label: z.string(), examples: z.int() }));

/** `GET /versions`. */
export const versionsSchema = z.looseObject({
  name: z.string(),
  current: z.string(),
  sequence: z.int(),
  changesSince: z.int(),
  examples: z.int(),
  labels: counted,
  encoder: z.object({ name: z.string(), version: z.string(), sha256: z.string() }),
  dimension: z.int(),
  search: z.enum(['hnsw', 'exact']),
  dataset: z.string(),
  versions: z.array(
    z.object({
      version: z.string(),
      createdAt: z.string(),
      sequence: z.int(),
      examples: z.int(),
      bytes: z.int(),
    }),
  ),
  bytes: z.int(),
});

/** `POST /versions`. */
export const compactedSchema = z.looseObject({
  name: z.string(),
  version: z.string(),
  sequence: z.int(),
  examples: z.int(),
  changed: z.boolean(),
  refused: z.string().nullable(),
});

const state = z.object({ version: z.string(), sequence: z.int() });
const named = z.object({ id: z.string(), label: z.string(), source: z.string().default('') });

/** `GET /differences`. */
export const differencesSchema = z.looseObject({
  from: state,
  to: state,
  counts: z.object({ added: z.int(), deleted: z.int(), relabelled: z.int() }),
  added: z.array(named),
  deleted: z.array(named),
  relabelled: z.array(named.extend({ was: z.string() })),
  labels: z.array(
    z.object({
      ...{ label: z.string(), before: z.int(), after: z.int() },
      ...{ added: z.int(), deleted: z.int(), gained: z.int(), lost: z.int() },
    }),
  ),
});

/** `POST /verification`. */
export const verificationSchema = z.looseObject({
  version: z.string().nullable(),
  versions: z.int(),
  changes: z.int(),
  repaired: z.array(z.string()),
  defects: z.array(z.string()),
});

/** `GET /readyz`, of which indexes there are. */
export const indexesSchema = z.looseObject({ indexes: z.array(z.object({ name: z.string() })) });
