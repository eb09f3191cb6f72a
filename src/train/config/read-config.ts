import { readFile } from 'node:fs/promises';
import { LineCounter, isMap, isNode, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { adapterConfigSchema, type AdapterConfig } from './adapter-schema.js';
import { hashConfig } from './config-hash.js';
import { explainIssue, pathOf } from './explain-issue.js';
import { trainConfigSchema, type TrainConfig } from './schema.js';

export interface ReadConfig {
  readonly config: TrainConfig;
  /** See `hashConfig`. */
  readonly hash: string;
}

/**
 * Reads a training config.
 * @throws NearvoteError `config_invalid` naming the file, the line, the key, what was expected and what came
 */
export async function readTrainConfig(path: string): Promise<ReadConfig> {
  const config = parseTrainConfig(await readText(path), path);
  return { config, hash: hashConfig(config) };
}

/** The same of a text that came from `file`. */
export function parseTrainConfig(text: string, file: string): TrainConfig {
  return parseConfig(text, file, trainConfigSchema);
}

/** Reads the config of an adapter; throws what `readTrainConfig` throws. */
export async function readAdapterConfig(path: string): Promise<AdapterConfig> {
  return parseAdapterConfig(await readText(path), path);
}

/** The same of a text that came from `file`. */
export function parseAdapterConfig(text: string, file: string): AdapterConfig {
  return parseConfig(text, file, adapterConfigSchema);
}

/** Whether a config says that an adapter is to be trained, whatever else is wrong with it. */
export async function isAdapterConfig(path: string): Promise<boolean> {
  const { contents } = parseDocument(await readText(path));
  return isMap(contents) && (contents.has('adapter') || contents.has('backbone'));
}

async function readText(path: string): Promise<string> {
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
