import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { renderPage } from '../../src/report/render-page.js';
import type { ReportPage, Section } from '../../src/report/section.js';
import { hostile, hostilePage } from './hostile-page.js';

const pageOf = (...sections: readonly Section[]): string =>
  renderPage({ title: 'report', subtitle: '', facts: [], sections });

const count = (text: string, part: string): number => text.split(part).length - 1;

const voids = new Set(['meta', 'img']);

/** A tag as the page writes them: lower case, its attributes in double quotes. */
const tags = /<(\/?)([a-zA-Z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<]*")?)*)(\/?)>/g;

/** The names of a page's elements; fails where one is closed that is not open, as escaped markup never is. */
function elementsOf(html: string): Set<string> {
  const names = new Set<string>();
  const open: string[] = [];
  for (const [, slash, name = '', , closed] of html.matchAll(tags)) {
    names.add(name);
    if (slash === '/') expect(open.pop()).toBe(name);
    else if (closed !== '/' && !voids.has(name)) open.push(name);
  }
  expect(open).toEqual([]);
  return names;
}

test('whatever labels and file names hold stays text', () => {
  const html = renderPage(hostilePage);
  expect(elementsOf(html)).not.toContain('script');
  expect(html).not.toContain('<script');
  expect(html).not.toContain(hostile);
  // Every < begins one of the tags above: none came in with a label.
  expect(count(html, '<')).toBe([...html.matchAll(tags)].length + count(html, '<!doctype html>'));
  for (const character of ['\u0000', '\u0007', '\u202e', '\ud800<']) expect(html).not.toContain(character);
});

test('no figure that is none gets into the drawings', () => {
  const html = renderPage(hostilePage);
  for (const [, value = ''] of html.matchAll(
    / (?:d|x|y|width|height|font-size|fill-opacity|transform)="([^"]*)"/g,
  )) {
    expect(value).not.toMatch(/NaN|Infinity|undefined|--/);
  }
});

test('nothing is asked of the network, and the policy lets through the style alone', () => {
  const html = renderPage(hostilePage);
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? '';
  const hash = createHash('sha256').update(style).digest('base64');
  expect(html).toContain(
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; img-src data:;`,
  );
  expect(html).not.toMatch(/https?:|url\(|@import|<link| style=| on[a-z]+=/);
});

test('a page without sections is a page', () => {
  expect([...elementsOf(pageOf())]).toContain('main');
});

test('a confusion matrix shows every count that is not zero, and says it in words', () => {
  const html = pageOf({
    kind: 'confusion',
    title: 'Confusion',
    labels: ['cat', 'dog'],
    counts: [
      [30, 10],
      [0, 7],
    ],
  });
  expect(html).toContain('<title>cat given as dog: 10 of 40 (25.0 %)</title>');
  expect(html).toContain('<title>dog given as dog: 7 of 7 (100.0 %)</title>');
  expect(count(html, ' given as ')).toBe(3);
});

test('a matrix of a hundred labels says shares of the row instead of counts', () => {
  const labels = Array.from({ length: 100 }, (_, i) => `label ${i}`);
  const counts = labels.map((_, i) => labels.map((__, j) => (i === j ? 19_500 : j === 0 ? 500 : 0)));
  const html = pageOf({ kind: 'confusion', title: 'Confusion', labels, counts });
  expect(html).toContain('label 7 given as label 0: 500 of 20000 (2.5 %)');
  expect(html).not.toContain('>500</text>');
  expect(count(html, '>98</text>')).toBe(99);
});

test('a map of five thousand points stays small', () => {
  const points = Array.from({ length: 5_000 }, (_, i) => ({
    x: Math.sin(i) * 37,
    y: Math.cos(i * 1.7) * 37,
    label: `class ${i % 10}`,
  }));
  const html = pageOf({ kind: 'map', title: 'Map', maps: [{ name: 'all', points }] });
  expect(html.length).toBeLessThan(130_000);
});

test('a label has the same colour and shape in both maps, though one lacks the label before it', () => {
  const point = (label: string): { x: number; y: number; label: string } => ({ x: 0, y: 0, label });
  const html = pageOf({
    kind: 'map',
    title: 'Maps',
    maps: [
      { name: 'A', points: [point('a'), point('b')] },
      { name: 'B', points: [point('b')] },
    ],
  });
  const drawn = [...html.matchAll(/<title>b<\/title><path class="([^"]*)"/g)].map(([, classes]) => classes);
  expect(drawn).toHaveLength(2);
  expect(drawn[0]).toBe(drawn[1]);
});

test('what a border says of a picture is written below it', () => {
  const image = { bytes: Uint8Array.from([1, 2, 3]), type: 'image/webp' } as const;
  const html = pageOf({
    kind: 'pictures',
    title: 'Mistakes',
    rows: [
      {
        caption: 'cat taken for dog',
        pictures: [
          { caption: 'query', mark: 'subject', image },
          { caption: 'first', mark: 'other' },
          { caption: 'second', mark: 'same' },
        ],
      },
    ],
  });
  expect(html).toContain('src="data:image/webp;base64,AQID"');
  expect(html).toContain('image not at hand');
  for (const said of ['this image', '✗ other label', '✓ same label']) expect(html).toContain(said);
});

test('a bar is as long as its share, and a share that is none is a dash', () => {
  const group = (label: string, value: number): { label: string; values: number[] } => ({
    label,
    values: [value],
  });
  const html = pageOf({
    kind: 'bars',
    title: 'Per class',
    series: ['recall'],
    groups: [group('a', 1), group('b', 0.25), group('c', NaN)],
  });
  const widths = [...html.matchAll(/<rect class="f0"[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
  expect(widths[1]).toBeCloseTo((widths[0] ?? NaN) / 4, 0);
  expect(widths[2]).toBe(0);
  expect(html).toContain('>–</text>');
});

test('a ROC is drawn from corner to corner', () => {
  const page: ReportPage['sections'][number] = {
    kind: 'curve',
    title: 'ROC',
    x: 'false positive rate',
    y: 'true positive rate',
    diagonal: 'chance',
    series: [
      {
        name: 'distance',
        points: [
          [0, 0],
          [0, 1],
          [1, 1],
        ],
      },
    ],
  };
  // The diagonal goes from the lower left by one side to the right and one up.
  const [, left, bottom, side] = /class="diagonal" d="M([\d.]+) ([\d.]+)l([\d.]+) /.exec(pageOf(page)) ?? [];
  const [x, y, length] = [Number(left), Number(bottom), Number(side)];
  expect(pageOf(page)).toContain(`d="M${x} ${y}L${x} ${y - length}L${x + length} ${y - length}"`);
});

test('a table of some rows is shown whole, and one of many scrolls', () => {
  const table = (rows: number): string =>
    pageOf({
      kind: 'table',
      title: 'Table',
      columns: [{ name: 'row' }],
      rows: Array.from({ length: rows }, (_, i) => [`${i}`]),
    });
  expect(table(17)).not.toContain('class="scroll tall"');
  expect(table(200)).toContain('class="scroll tall"');
});

test('a reliability bar ends where its gap begins, and a line says how often answers were right', () => {
  const html = pageOf({
    kind: 'reliability',
    title: 'Reliability',
    series: [{ name: 'one', bins: [{ count: 5, confidence: 0.25, accuracy: 0.5 }] }],
  });
  // 340 pixels high from 12: 0.25 is at 267 and 0.5 at 182.
  expect(html).toMatch(/class="f0" x="67" y="267" width="338" height="85"/);
  expect(html).toMatch(/class="gap" x="67" y="182" width="338" height="85"/);
  expect(html).toContain('class="s0 reached" d="M67 182h338"');
});
