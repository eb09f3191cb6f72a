import type { z } from 'zod';

const kinds: Readonly<Record<string, string>> = {
  ...{ string: 'text', number: 'a number', int: 'a whole number', boolean: 'true or false' },
  ...{ array: 'a list', object: 'an object', null: 'null' },
};

/** What is wrong with a JSON value, in a sentence that names the field; `value` is the whole of it. */
export function sayFault(issue: z.core.$ZodIssue | undefined, value: unknown): string {
  const field = issue === undefined || issue.path.length === 0 ? 'it' : issue.path.join('.');
  if (issue === undefined) return `${field} is something else`;
  const there = issue.path.reduce<unknown>(
    (inside, key) => (inside as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key],
    value,
  );
  if (issue.code === 'unrecognized_keys') {
    return `${field} has ${issue.keys.join(', ')}, which is not known`;
  }
  if (there === undefined) return `${field} is missing`;
  if (issue.message.startsWith('Expected')) return `${field} is wrong: ${issue.message}`;
  switch (issue.code) {
    case 'invalid_type':
      return `${field} is ${kindOf(there)} where ${kinds[issue.expected] ?? issue.expected} is expected`;
    case 'invalid_value':
      return `${field} is none of ${issue.values.map((one) => JSON.stringify(one)).join(', ')}`;
    case 'invalid_union':
      return `${field} is none that is known`;
    case 'too_small':
      return there === '' || (Array.isArray(there) && there.length === 0)
        ? `${field} is empty`
        : `${field} is too small: at least ${issue.minimum} is expected`;
    case 'too_big':
      return `${field} is too large: at most ${issue.maximum} is expected`;
    default:
      return `${field} is not what is expected there`;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  const kind = Array.isArray(value) ? 'array' : typeof value;
  return kinds[kind] ?? kind;
}
