import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { type AdapterConfig, adapterConfigSchema, type TrainConfig, trainConfigSchema } from './schema.js';

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
    const reason = systemCodeOf(cause);
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

/** What is wrong with a config, where, in one sentence. */
interface Fault {
  /** Of keys; what an unknown key is in, and the key itself. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A zod issue as what was expected and what came. */
function explainIssue(issue: z.core.$ZodIssue, schema: z.core.$ZodType, value: unknown): Fault {
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const path = [...issue.path, key];
    const known = knownKeys(schema, issue.path, value);
    return { path, message: `Expected one of the keys ${known.join(', ')} but received ${pathOf(path)}` };
  }
  const received = issue.path.reduce(childOf, value);
  const came = received === undefined ? 'nothing' : JSON.stringify(received);
  return { path: issue.path, message: `Expected ${expectation(issue)} but received ${came}` };
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return nameOf(issue.expected);
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `${sizeOf(issue.origin)} ${issue.inclusive === false ? 'above' : 'of at least'} ${issue.minimum}`;
    case 'too_big':
      return `${sizeOf(issue.origin)} ${issue.inclusive === false ? 'below' : 'of at most'} ${issue.maximum}`;
    case 'invalid_union':
      return 'options' in issue
        ? `one of ${String(issue.options).replaceAll(',', ', ')}`
        : inWords(issue.message);
    default:
      return inWords(issue.message);
  }
}

/** The schema's own messages begin as ours do. */
function inWords(message: string): string {
  return message.replace(/^Expected /, '');
}

function nameOf(type: string): string {
  const names: Readonly<Record<string, string>> = {
    int: 'a whole number',
    number: 'a number',
    string: 'text',
    boolean: 'true or false',
    array: 'a list',
    tuple: 'a list of two numbers',
    object: 'keys and values',
  };
  return names[type] ?? type;
}

function sizeOf(origin: string): string {
  if (origin === 'string') return 'text of a length';
  return origin === 'array' ? 'a list of a length' : 'a number';
}

/** `augment[1].scale`. */
function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the whole' : z.core.toDotPath(path);
}

type Path = readonly PropertyKey[];

/** The keys that a schema has for the object at `path` of `value`; none where it has no object there. */
function knownKeys(schema: z.core.$ZodType, path: Path, value: unknown): readonly string[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodDiscriminatedUnion) {
    const option = optionOf(inner, value);
    return option === undefined ? [] : knownKeys(option, path, value);
  }
  const [first, ...rest] = path;
  if (inner instanceof z.ZodObject) {
    if (first === undefined) return Object.keys(inner.shape);
    const next = inner.shape[String(first)] as z.core.$ZodType | undefined;
    return next === undefined ? [] : knownKeys(next, rest, childOf(value, first));
  }
  if (inner instanceof z.ZodArray && first !== undefined) {
    return knownKeys(inner.element, rest, childOf(value, first));
  }
  return [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.def.innerType);
  }
  return schema;
}

function optionOf(union: z.ZodDiscriminatedUnion, value: unknown): z.core.$ZodType | undefined {
  const kind = childOf(value, union.def.discriminator);
  return union.options.find(
    (option) =>
      option instanceof z.ZodObject &&
      (option.shape[union.def.discriminator] as z.core.$ZodType | undefined)?._zod.values?.has(
        kind as z.core.util.Primitive,
      ) === true,
  );
}

/** What lies at a key or place of an object or array. */
function childOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<PropertyKey, unknown>>)[key]
    : undefined;
}
