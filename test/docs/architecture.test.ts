import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { drawFigures } from '../../bench/draw-figures.js';

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

describe('the figures of the documents', () => {
  it('are what npx tsx bench/draw-figures.ts draws of the imports and the measured times', () => {
    for (const [file, content] of Object.entries(drawFigures())) {
      expect(readFileSync(`${root}/${file}`, 'utf8'), file).toBe(content);
    }
  });
});

describe('docs/decisions', () => {
  // A path in src, or from the root; what is between backticks may be a command.
  it('name only files that exist', () => {
    const folder = `${root}/docs/decisions`;
    const text = readdirSync(folder)
      .map((file) => readFileSync(`${folder}/${file}`, 'utf8'))
      .join('\n');
    const named = [...text.matchAll(/[a-z0-9][a-z0-9./-]*\.ts\b/g)].map(([file]) => file);
    expect(named.length).toBeGreaterThan(10);
    const missing = named.filter(
      (file) => !['', 'src/'].some((start) => existsSync(`${root}/${start}${file}`)),
    );
    expect(missing).toEqual([]);
  });
});
