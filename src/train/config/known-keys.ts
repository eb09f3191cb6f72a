import { z } from 'zod';

type Path = readonly PropertyKey[];

/** The keys that a schema has for the object at `path` of `value`; none where it has no object there. */
export function knownKeys(schema: z.core.$ZodType, path: Path, value: unknown): readonly string[] {
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
export function childOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<PropertyKey, unknown>>)[key]
    : undefined;
}
