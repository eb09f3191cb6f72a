import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { isMap, isNode, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { explainIssue, pathOf } from './explain-issue.js';
import { adapterConfigSchema, trainConfigSchema, type AdapterConfig, type TrainConfig } from './schema.js';

/**
 * The training config in a text that came from `file`.
 * @throws NearvoteError `config_invalid` naming the file, the line, the key, what was expected and what came
 */
export function parseTrainConfig(text: string, file: string): TrainConfig {
  return parseConfig(text, file, trainConfigSchema);
}

/** The same of an adapter's. */
export function parseAdapterConfig(text: string, file: string): AdapterConfig {
  return parseConfig(text, file, adapterConfigSchema);
}

/** Whether a config says that an adapter is to be trained, whatever else is wrong with it. */
export function isAdapterConfig(text: string): boolean {
  const { contents } = parseDocument(text);
  return isMap(contents) && (contents.has('adapter') || contents.has('backbone'));
}

/**
 * The text of a config, read once: what is kept beside an encoder is what it was trained by.
 * @throws NearvoteError `config_invalid`
 */
export async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new NearvoteError(
      'config_invalid',
      `Expected a config at ${path} but it cannot be read (${reason})`,
      {
        cause,
      },
    );
  }
}

function parseConfig<Schema extends z.ZodType>(text: string, file: string, schema: Schema): z.output<Schema> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  const [syntax] = document.errors;
  if (syntax !== undefined) {
    throw new NearvoteError('config_invalid', `Expected YAML in ${file} but: ${syntax.message}`, {
      cause: syntax,
    });
  }
  const value: unknown = document.toJS();
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const { path, message } = explainIssue(issue, schema, value);
    const line = lineOf(document, path, lineCounter);
    return `line ${line}: ${pathOf(path)}: ${message}`;
  });
  throw new NearvoteError('config_invalid', `Expected another config in ${file}: ${faults.join('; ')}`);
}

/** Of the value at `path`, or of what it is missing from. */
function lineOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent: unknown = document.getIn(path.slice(0, depth - 1), true);
    const key = path[depth - 1];
    const pair = isMap(parent)
      ? parent.items.find((item) => isNode(item.key) && String(item.key) === String(key))
      : undefined;
    const node: unknown = pair?.key ?? document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

type Aside = Partial<Pick<TrainConfig, 'threads' | 'workers' | 'checkpoint'>>;

/**
 * The sha256, lower-case hex, of what decides a training: the config with its defaults as JSON with sorted keys. What
 * only decides how fast it goes or how often it is saved (`threads`, `workers`, `checkpoint`) is left out, so that a
 * checkpoint can go on elsewhere.
 */
export function hashConfig(config: Aside & Readonly<Record<string, unknown>>): string {
  const rest: Aside = { ...config };
  delete rest.threads;
  delete rest.workers;
  delete rest.checkpoint;
  return createHash('sha256').update(canonicalJson(rest)).digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
