import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}/docs/architecture.md`, 'utf8');

describe('docs/architecture.md', () => {
  it('has one line for every folder that holds source files and none for a folder that is gone', () => {
    const listed = [...page.matchAll(/^- `([^`]+)\/`/gm)].map(([, folder]) => folder);
    const folders = readdirSync(`${root}/src`, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => file.endsWith('.ts') && file.includes('/'))
      .map((file) => dirname(file));
    expect(listed.toSorted()).toEqual([...new Set(folders)].toSorted());
  });

  it('names only files that exist', () => {
    const named = [...page.matchAll(/`([a-z][a-z/-]*\.ts)`/g)].map(([, file]) => file ?? '');
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((file) => !existsSync(`${root}/src/${file}`))).toEqual([]);
  });
});
