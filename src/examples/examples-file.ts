import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';

const exampleSchema = z.strictObject({ id: z.string(), label: z.string(), source: z.string() });

/** One line of `examples.jsonl`; JSON escapes the newlines that a file name may hold. */
export function exampleLine({ id, label, source }: Example): string {
  return `${JSON.stringify({ id, label, source })}\n`;
}

/**
 * Reads `examples.jsonl`, in row order.
 * @throws NearvoteError `index_invalid` naming the line that is wrong
 */
export async function readExamplesFile(path: string): Promise<Example[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new NearvoteError('index_invalid', 'Expected examples.jsonl but it cannot be read', { cause });
  }
  // Only \n ends a line: JSON leaves U+2028 and its like as they are.
  const lines = text.split('\n');
  if (lines.pop() !== '') {
    throw new NearvoteError(
      'index_invalid',
      'Expected examples.jsonl to end with a newline: it is cut short',
    );
  }
  // One string for each label, not one for each example.
  const labels = new Map<string, string>();
  return lines.map((line, i) => {
    const example = parseExample(line, i + 1);
    const label = labels.get(example.label);
    if (label === undefined) labels.set(example.label, example.label);
    return { ...example, label: label ?? example.label };
  });
}

function parseExample(line: string, number: number): Example {
  try {
    return exampleSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new NearvoteError(
      'index_invalid',
      `Expected {id, label, source} on line ${number} of examples.jsonl but received something else`,
      { cause },
    );
  }
}
