import type { ReportPage, Section } from '../../src/report/section.js';

export const hostile = `<script>alert("1")</script>'&`;

/** What labels and file names can be: markup, nothing, right to left, overrides, control characters, a book. */
const labels = [
  hostile,
  '',
  'עברית عربي',
  'a\u202ecba',
  '\u0000\u0007\ud800',
  'x'.repeat(5_000),
  '🐈'.repeat(99),
];

const figures = [NaN, 0, 1, 0.5, -1, 2, Infinity];

const drawn: readonly Section[] = [
  {
    kind: 'table',
    title: hostile,
    note: hostile,
    columns: [{ name: hostile, align: 'right' }, { name: '' }],
    rows: [...labels.map((label) => [label, label]), [], ['one']],
  },
  {
    kind: 'confusion',
    title: hostile,
    labels,
    counts: labels.map((_, row) => labels.map((__, column) => (row === 0 ? 0 : (figures[column] ?? 1)))),
  },
  { kind: 'confusion', title: 'one label', labels: ['only'], counts: [[3]] },
  {
    kind: 'reliability',
    title: hostile,
    series: [
      { name: hostile, bins: figures.map((figure) => ({ count: 1, confidence: figure, accuracy: figure })) },
      { name: 'none', bins: [{ count: 0, confidence: NaN, accuracy: NaN }] },
    ],
  },
  {
    kind: 'curve',
    title: hostile,
    x: hostile,
    y: hostile,
    diagonal: hostile,
    series: [{ name: hostile, points: figures.map((figure) => [figure, 0.5] as const) }],
  },
  {
    kind: 'bars',
    title: hostile,
    series: [hostile, ''],
    groups: labels.map((label, i) => ({ label, values: i === 0 ? [] : [figures[i] ?? NaN, NaN] })),
  },
  {
    kind: 'map',
    title: hostile,
    maps: [
      { name: hostile, points: labels.map((label, i) => ({ x: figures[i] ?? NaN, y: 0, label })) },
      { name: 'one point', points: [{ x: 3, y: 3, label: 'only' }] },
    ],
  },
  {
    kind: 'pictures',
    title: hostile,
    rows: labels.map((caption) => ({ caption, pictures: [{ caption, mark: 'other' }] })),
  },
];

const empty: readonly Section[] = [
  { kind: 'table', title: '', columns: [], rows: [] },
  { kind: 'confusion', title: '', labels: [], counts: [] },
  { kind: 'reliability', title: '', series: [] },
  { kind: 'reliability', title: '', series: [{ name: '', bins: [] }] },
  { kind: 'curve', title: '', x: '', y: '', diagonal: '', series: [] },
  { kind: 'bars', title: '', series: [], groups: [] },
  { kind: 'map', title: '', maps: [] },
  { kind: 'map', title: '', maps: [{ name: '', points: [] }] },
  { kind: 'pictures', title: '', rows: [] },
];

/** Every kind of section with the worst it can be given, and with nothing. */
export const hostilePage: ReportPage = {
  title: hostile,
  subtitle: hostile,
  facts: [{ name: hostile, value: hostile }],
  sections: [...drawn, ...empty],
};
