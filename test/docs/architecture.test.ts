import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('docs/architecture.md', () => {
  it('has one line for every source file and none for a file that is gone', () => {
    const page = readFileSync(`${root}/docs/architecture.md`, 'utf8');
    const listed = [...page.matchAll(/^- `([^`]+\.ts)`/gm)].map(([, file]) => file);
    const files = readdirSync(`${root}/src`, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => file.endsWith('.ts'));
    expect(listed.toSorted()).toEqual(files.toSorted());
  });
});
