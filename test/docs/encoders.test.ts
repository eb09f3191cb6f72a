import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { encoderCommand } from '../../src/cli/encoder.js';
import { dtypes } from '../../src/encoder/hub/pull.js';
import { encoderManifestSchema } from '../../src/encoder/manifest.js';

const page = readFileSync(new URL('../../docs/encoders.md', import.meta.url), 'utf8');

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly anyOf?: readonly Shape[];
}

/** Every field, with dots; what stands in one of several shapes is a field of its own. */
function fieldsOf({ properties, anyOf = [] }: Shape, prefix = ''): string[] {
  const own = Object.entries(properties ?? {}).flatMap(([name, shape]) => {
    const inner = fieldsOf(shape, `${prefix}${name}.`);
    return inner.length > 0 ? inner : [`${prefix}${name}`];
  });
  return [...own, ...anyOf.flatMap((shape) => fieldsOf(shape, prefix))];
}

/** A geometry's sizes are said in its own lines. */
const isSaid = (field: string): boolean => !/geometry\.(resize|crop)\./.test(field);

describe('docs/encoders.md', () => {
  it('has a line for every field of encoder.json, and none for one that is not', () => {
    const schema = z.toJSONSchema(encoderManifestSchema, { io: 'input' }) as Shape;
    const fields = fieldsOf(schema).filter(isSaid);
    const listed = [...page.slice(page.indexOf('## encoder.json')).matchAll(/^\| `([^`]+)` /gm)].map(
      ([, field]) => field,
    );
    expect(listed.toSorted()).toEqual([...fields, 'input.geometry.resize', 'input.geometry.crop'].toSorted());
  });

  it('names every dtype and every command that there is', () => {
    for (const dtype of dtypes) expect(page).toContain(`\`${dtype}\``);
    for (const { name } of encoderCommand().commands.map((command) => ({ name: command.name() }))) {
      if (name !== 'show') expect(page).toContain(`encoder ${name}`);
    }
  });
});
