import { readFile } from 'node:fs/promises';
import { LineCounter, isMap, isNode, parseDocument, type Document } from 'yaml';
import { NearvoteError } from '../../domain/errors.js';
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
  let text: string;
  try {
    text = await readFile(path, 'utf8');
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
  const config = parseTrainConfig(text, path);
  return { config, hash: hashConfig(config) };
}

/** The same of a text that came from `file`. */
export function parseTrainConfig(text: string, file: string): TrainConfig {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  const [syntax] = document.errors;
  if (syntax !== undefined) {
    throw new NearvoteError('config_invalid', `Expected YAML in ${file} but: ${syntax.message}`, {
      cause: syntax,
    });
  }
  const value: unknown = document.toJS();
  const parsed = trainConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const { path, message } = explainIssue(issue, trainConfigSchema, value);
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
