import { z } from 'zod';
import { childOf, knownKeys } from './known-keys.js';

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
