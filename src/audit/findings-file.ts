import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';

const probability = z.number().min(0).max(1);
const ids = z
  .array(z.string())
  .min(1)
  .refine((all) => new Set(all).size === all.length, 'Expected every id once');
const labels = z.array(z.string()).meta({ description: 'Of each of ids, as the audit found them' });
const members = { ids, labels };
const isComplete = (found: { ids: readonly string[]; labels: readonly string[] }): boolean =>
  found.ids.length === found.labels.length;
const complete = 'Expected a label of each id';
const confirmed = z.boolean().meta({ description: 'By their pixels' });

/** What of a finding is needed to apply it; what else it says is for people. */
export const findingSchema = z
  .discriminatedUnion('kind', [
    z
      .object({ kind: z.literal('mislabelled'), ...members, suggested: z.string(), probability })
      .refine(isComplete, complete),
    z.object({ kind: z.literal('duplicates'), ...members, confirmed }).refine(isComplete, complete),
    z
      .object({ kind: z.literal('leak'), ...members, confirmed, test: z.object({ id: z.string() }) })
      .refine(isComplete, complete),
    z.object({ kind: z.literal('droppable'), ...members }).refine(isComplete, complete),
    z.object({ kind: z.literal('conflicting-duplicates'), ...members }).refine(isComplete, complete),
    z.object({ kind: z.literal('overlap'), labels: z.array(z.string()) }),
  ])
  .meta({
    id: 'Finding',
    description: 'A line of what `nearvote audit --out` writes; more fields may be there',
  });

/** A finding as it was read back. */
export type KnownFinding = z.infer<typeof findingSchema>;

export interface ReadFinding {
  /** From 1. */
  readonly line: number;
  readonly finding: KnownFinding;
}

/** A group of 50,000 equal pictures takes 5 MB. */
const mostLineBytes = 16 * 1024 * 1024;

/**
 * Reads findings, a line of JSON each, in memory for one line and what is needed of each finding. Empty lines are passed over.
 * @throws NearvoteError `findings_invalid` naming the line: nobody should apply a part of what was meant
 */
export async function readFindings(path: string): Promise<ReadFinding[]> {
  const found: ReadFinding[] = [];
  for await (const { line, text } of linesOf(path)) {
    if (text.trim() === '') continue;
    found.push({ line, finding: parseFinding(text, `line ${line} of ${path}`) });
  }
  if (found.length > 0) return found;
  throw invalid(`Expected findings, a JSON line for each, but ${path} has none`);
}

function parseFinding(text: string, where: string): KnownFinding {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`Expected a finding of nearvote audit but ${where} is no JSON`, { cause });
  }
  const parsed = findingSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw invalid(
    `Expected a finding of nearvote audit but in ${where} ${field === '' ? 'it' : field} is wrong: ${issue?.message ?? ''}`,
  );
}

async function* linesOf(path: string): AsyncGenerator<{ readonly line: number; readonly text: string }> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  let line = 1;
  const text = (): string => {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
    } catch (cause) {
      throw invalid(`Expected UTF-8 but line ${line} of ${path} is another text`, { cause });
    }
  };
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      for (let from = 0; from < chunk.length;) {
        const end = chunk.indexOf(0x0a, from);
        const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
        bytes += piece.length;
        if (bytes > mostLineBytes) {
          throw invalid(
            `Expected lines of at most ${mostLineBytes} bytes but line ${line} of ${path} has more`,
          );
        }
        pieces.push(piece);
        if (end < 0) break;
        yield { line, text: text() };
        [pieces, bytes, from] = [[], 0, end + 1];
        line++;
      }
    }
  } catch (error) {
    if (error instanceof NearvoteError) throw error;
    throw invalid(`Expected findings of nearvote audit but ${path} cannot be read (${systemCodeOf(error)})`, {
      cause: error,
    });
  }
  yield { line, text: text() };
}

function invalid(message: string, options?: ErrorOptions): NearvoteError {
  return new NearvoteError('findings_invalid', message, options);
}
