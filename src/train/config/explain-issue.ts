import { z } from 'zod';

/** What is wrong with a config, where, in one sentence. */
export interface Fault {
  /** Of keys; what an unknown key is in, and the key itself. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A zod issue as what was expected and what came. */
export function explainIssue(issue: z.core.$ZodIssue, schema: z.core.$ZodType, value: unknown): Fault {
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
export function pathOf(path: readonly PropertyKey[]): string {
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
