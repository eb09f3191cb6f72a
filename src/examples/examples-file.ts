import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';

/** What an example's id is made of. */
interface Named {
  /** Of the image's content. */
  readonly digest: Uint8Array;
  readonly label: string;
}

/**
 * Gives the examples of an index their ids, in row order. An id is 80 bits of the sha256 of the image's content and its
 * label, and of how often the two came before: it tells no path, and stays when a file moves or others are added.
 */
export function createExampleIds(): (named: Named) => string {
  const repeats = new Map<string, number>();
  return ({ digest, label }) => {
    const content = Buffer.from(digest).toString('hex');
    const idOf = (nth: number): string =>
      createHash('sha256')
        .update(JSON.stringify([content, label, nth]))
        .digest('hex')
        .slice(0, 20);
    const first = idOf(0);
    const nth = repeats.get(first) ?? 0;
    repeats.set(first, nth + 1);
    return nth === 0 ? first : idOf(nth);
  };
}

/** One line of `examples.jsonl`; JSON escapes the newlines that a file name may hold. */
export function exampleLine({ id, label, source }: Example): string {
  return `${JSON.stringify({ id, label, source })}\n`;
}

/**
 * Reads `examples.jsonl`, in row order.
 * @throws NearvoteError `index_invalid` naming the line that is wrong
 */
export async function readExamplesFile(path: string): Promise<Example[]> {
  // One string for each label, not one for each example.
  const labels = new Map<string, string>();
  const examples: Example[] = [];
  try {
    for await (const lines of readLines(path)) {
      for (const line of lines) {
        const example = parseExample(line, examples.length + 1);
        const label = labels.get(example.label);
        if (label === undefined) labels.set(example.label, example.label);
        else example.label = label;
        examples.push(example);
      }
    }
  } catch (cause) {
    if (cause instanceof NearvoteError) throw cause;
    throw new NearvoteError('index_invalid', 'Expected examples.jsonl but it cannot be read', { cause });
  }
  return examples;
}

/** The lines of a file, as many at once as a piece of it holds: no string holds more than one of them. */
async function* readLines(path: string): AsyncGenerator<string[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    // Only \n ends a line: JSON leaves U+2028 and its like as they are.
    const last = chunk.lastIndexOf(newline);
    if (last === -1) {
      rest = Buffer.concat([rest, chunk]);
      continue;
    }
    const whole = Buffer.concat([rest, chunk.subarray(0, last)]);
    rest = Buffer.from(chunk.subarray(last + 1));
    yield whole.toString().split('\n');
  }
  if (rest.length > 0) {
    throw new NearvoteError(
      'index_invalid',
      'Expected examples.jsonl to end with a newline: it is cut short',
    );
  }
}

const newline = 0x0a;

/** While it is read: its label becomes that of those before it. */
interface MutableExample {
  id: string;
  label: string;
  source: string;
}

function parseExample(line: string, number: number): MutableExample {
  const value = parseJson(line);
  if (isExample(value)) return value;
  throw new NearvoteError(
    'index_invalid',
    `Expected {id, label, source} on line ${number} of examples.jsonl but received something else`,
  );
}

/** By hand: a schema makes every example anew, which is half of what reading a million costs. */
function isExample(value: unknown): value is MutableExample {
  if (typeof value !== 'object' || value === null) return false;
  const { id, label, source }: { id?: unknown; label?: unknown; source?: unknown } = value;
  return (
    typeof id === 'string' &&
    typeof label === 'string' &&
    typeof source === 'string' &&
    Object.keys(value).length === 3
  );
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
