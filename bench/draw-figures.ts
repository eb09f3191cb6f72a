/*
 * The figures of README and docs/architecture.md, from the imports in src/ and the tables in docs/benchmarks.md.
 *   npx tsx bench/draw-figures.ts
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Each figure by the name of its file, from the root. */
export function drawFigures(): Readonly<Record<string, string>> {
  return { 'docs/way.svg': drawWay(), 'docs/house.svg': drawHouse(readImports()) };
}

const style = `<style>
svg{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;--paper:#fff;--box:#f5f6f8;--ink:#1b1f24;--soft:#57606a;--line:#8b949e;--http:#0072b2;--work:#d55e00;--index:#009e73}
@media (prefers-color-scheme:dark){svg{--paper:#14171b;--box:#1e2329;--ink:#e8eaed;--soft:#a2abb5;--line:#6b7580;--http:#5ab0f0;--work:#ff8a3d;--index:#2ccb9b}}
text{fill:var(--ink)}.soft{fill:var(--soft);font-size:11.5px}.code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:11.5px}.name{font-weight:600;font-size:15px}
.paper{fill:var(--paper)}.box{fill:var(--box);stroke:var(--line)}.arrow{fill:none;stroke:var(--line);stroke-width:1.5}.head{fill:var(--line)}
.http{fill:var(--http)}.work{fill:var(--work)}.index{fill:var(--index)}
</style>`;

interface Size {
  readonly width: number;
  readonly height: number;
}

function svg({ width, height }: Size, title: string, shapes: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">`,
    style,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...shapes,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, content: string, kind = ''): string {
  return `<text x="${x}" y="${y}" text-anchor="middle"${kind === '' ? '' : ` class="${kind}"`}>${content}</text>`;
}

interface Stage {
  readonly name: string;
  readonly shape: string;
  /** From src/. */
  readonly files: readonly string[];
  readonly process: 'http' | 'work' | 'index';
  readonly cost: string;
}

/** What a stage costs an image alone, by the table under "Under load". */
function costOf(row: string): string {
  const page = readFileSync(`${root}docs/benchmarks.md`, 'utf8');
  const [, cost] = new RegExp(`^\\| ${row} +\\| ([0-9.]+) +\\|`, 'm').exec(page) ?? [];
  if (cost === undefined) throw new Error(`Expected a row "${row}" in docs/benchmarks.md`);
  return `${cost} ms of a core`;
}

function shippedDimension(): number {
  const manifest = readFileSync(`${root}models/cifar10-wide-int8/encoder.json`, 'utf8');
  return (JSON.parse(manifest) as { output: { dimension: number } }).output.dimension;
}

function stages(): readonly Stage[] {
  return [
    {
      name: 'bytes',
      shape: 'JPEG, PNG, WebP, …',
      files: ['server/body.ts', 'server/multipart.ts'],
      process: 'http',
      cost: '',
    },
    {
      name: 'pixels',
      shape: 'uint8 [height, width, 3]',
      files: ['image/decode.ts', 'image/resample.ts'],
      process: 'http',
      cost: costOf('decode, as alone'),
    },
    {
      name: 'embedding',
      shape: `float32 [${shippedDimension()}], unit length`,
      files: ['encoder/pool/pool.ts', 'encoder/onnx-runtime.ts'],
      process: 'work',
      cost: costOf('encoder, as alone'),
    },
    {
      name: 'neighbours',
      shape: 'the 20 most similar',
      files: ['neighbours/index-owner.ts', 'neighbours/hnsw.ts'],
      process: 'index',
      cost: costOf('search, as alone'),
    },
    {
      name: 'vote',
      shape: 'a score for each label',
      files: ['vote/vote.ts', 'vote/confidence.ts'],
      process: 'http',
      cost: '',
    },
    {
      name: 'answer',
      shape: 'label, confidence, outcome',
      files: ['classify.ts', 'server/schemas.ts'],
      process: 'http',
      cost: '',
    },
  ];
}

const processes = {
  http: 'the HTTP process',
  work: 'a process that encodes',
  index: 'the process that holds the index',
} as const;

/** A picture's way: a box for each stage, with its files and what it costs. */
function drawWay(): string {
  const [width, gap, top, height] = [184, 20, 16, 128];
  const all = stages();
  const shapes = all.flatMap(({ name, shape, files, process, cost }, i) => {
    for (const file of files) {
      if (!existsSync(`${root}src/${file}`)) throw new Error(`Expected src/${file}`);
    }
    const x = gap + i * (width + gap);
    const middle = x + width / 2;
    return [
      `<rect class="box" x="${x}" y="${top}" width="${width}" height="${height}" rx="6"/>`,
      `<rect class="${process}" x="${x}" y="${top}" width="${width}" height="5" rx="2.5"/>`,
      text(middle, top + 30, name, 'name'),
      text(middle, top + 50, shape, 'soft'),
      ...files.map((file, line) => text(middle, top + 74 + 16 * line, file, 'code')),
      ...(cost === '' ? [] : [text(middle, top + 116, cost)]),
      ...(i + 1 === all.length
        ? []
        : [
            `<path class="arrow" marker-end="url(#head)" d="M${x + width + 2} ${top + height / 2}H${x + width + gap - 2}"/>`,
          ]),
    ];
  });
  const legend = Object.entries(processes).flatMap(([process, words], i) => {
    const x = gap + i * 230;
    return [
      `<rect class="${process}" x="${x}" y="${top + height + 20}" width="22" height="5" rx="2.5"/>`,
      `<text class="soft" x="${x + 30}" y="${top + height + 27}">in ${words}</text>`,
    ];
  });
  const size = { width: gap + all.length * (width + gap), height: top + height + 44 };
  return svg(size, 'The way of a picture: bytes, pixels, embedding, neighbours, vote, answer', [
    ...shapes,
    ...legend,
  ]);
}

/** What each room of src/ imports of the others; a file of src/ itself is a room. */
type Imports = ReadonlyMap<string, ReadonlySet<string>>;

function readImports(): Imports {
  const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts'))
    .sort();
  const roomOf = (file: string): string => file.replace(/\/.*/, '/');
  const imports = new Map(files.map((file) => [roomOf(file), new Set<string>()]));
  for (const file of files) {
    const source = readFileSync(`${root}src/${file}`, 'utf8');
    for (const [, from, later] of source.matchAll(
      /^(?:import|export)\b(?:[^;]*?from)? ?'(\.[^']+)'|import\('(\.[^']+)'\)/gm,
    )) {
      const to = posix.join(posix.dirname(file), from ?? later ?? '').replace(/\.js$/, '.ts');
      if (roomOf(to) !== roomOf(file)) imports.get(roomOf(file))?.add(roomOf(to));
    }
  }
  return imports;
}

/** Of the house: a room, or a bend of an arrow that passes a layer. */
interface Place {
  readonly room?: string;
  readonly layer: number;
  /** Where arrows from here lead, a layer down. */
  readonly below: Place[];
  /** From the left. */
  x: number;
}

const [roomWidth, bendWidth, roomHeight, layerHeight] = [112, 18, 34, 74];

/**
 * Rooms in layers, each above all that it imports. An import that follows from others has no arrow.
 * (Layers by longest path, order by barycentres: Sugiyama, Tagawa & Toda 1981.)
 */
function drawHouse(imports: Imports): string {
  const layers = placesOf(imports);
  for (let sweep = 0; sweep < 12; sweep++) {
    for (const layer of layers) spread(layer, (place) => place.below.map(({ x }) => x));
    for (const layer of layers.toReversed()) {
      const above = layers[(layer[0]?.layer ?? 0) + 1] ?? [];
      spread(layer, (place) => above.filter(({ below }) => below.includes(place)).map(({ x }) => x));
    }
  }
  const all = layers.flat();
  const left = Math.min(...all.map(({ x }) => x)) - roomWidth / 2 - 16;
  const width = Math.max(...all.map(({ x }) => x)) + roomWidth / 2 + 16 - left;
  for (const place of all) place.x = Math.round(place.x - left);
  const yOf = ({ layer }: Place): number => 14 + (layers.length - 1 - layer) * layerHeight;
  const arrows = all.flatMap((place) =>
    place.room === undefined ? [] : place.below.map((next) => arrowPath(place, next, yOf)),
  );
  const boxes = all.flatMap((place) =>
    place.room === undefined
      ? []
      : [
          `<rect class="box" x="${place.x - roomWidth / 2}" y="${yOf(place)}" width="${roomWidth}" height="${roomHeight}" rx="5"/>`,
          text(place.x, yOf(place) + 22, place.room, 'code'),
        ],
  );
  const height = 14 + layers.length * layerHeight;
  const note = text(
    Math.round(width / 2),
    height - 14,
    'an arrow leads to what a folder imports; those that follow from others are left out',
    'soft',
  );
  return svg({ width: Math.round(width), height }, 'The folders of src and what they import', [
    ...arrows,
    ...boxes,
    note,
  ]);
}

/** Layers from the lowest, which imports nothing. @throws where rooms import each other in a ring */
function placesOf(imports: Imports): Place[][] {
  const reach = (room: string): Set<string> =>
    new Set([...(imports.get(room) ?? [])].flatMap((next) => [next, ...reach(next)]));
  const depthOf = (room: string): number =>
    Math.max(0, ...[...(imports.get(room) ?? [])].map((next) => 1 + depthOf(next)));
  const rooms = new Map<string, Place>();
  const layers: Place[][] = [];
  const add = (place: Place): Place => {
    (layers[place.layer] ??= []).push(place);
    place.x = (layers[place.layer]?.length ?? 0) * roomWidth;
    return place;
  };
  for (const room of imports.keys()) rooms.set(room, add({ room, layer: depthOf(room), below: [], x: 0 }));
  for (const [room, direct] of imports) {
    const told = [...direct].filter(
      (next) => ![...direct].some((other) => other !== next && reach(other).has(next)),
    );
    for (const next of told) {
      const end = rooms.get(next);
      let from = rooms.get(room);
      if (end === undefined) continue;
      while (from !== undefined && from.layer > end.layer + 1) {
        const bend = add({ layer: from.layer - 1, below: [], x: 0 });
        from.below.push(bend);
        from = bend;
      }
      from?.below.push(end);
    }
  }
  return layers;
}

/** Orders a layer by where its neighbours are, and moves each as near to them as the others let it. */
function spread(layer: Place[], neighboursOf: (place: Place) => readonly number[]): void {
  const wanted = new Map(
    layer.map((place) => {
      const xs = neighboursOf(place);
      return [place, xs.length === 0 ? place.x : xs.reduce((sum, x) => sum + x, 0) / xs.length];
    }),
  );
  const wish = (place: Place): number => wanted.get(place) ?? place.x;
  layer.sort((a, b) => wish(a) - wish(b));
  let [free, shift] = [-Infinity, 0];
  for (const place of layer) {
    const half = (place.room === undefined ? bendWidth : roomWidth) / 2 + 8;
    place.x = Math.max(wish(place), free + half);
    shift += place.x - wish(place);
    free = place.x + half;
  }
  // What was pushed to the right is taken back as a whole.
  for (const place of layer) place.x -= shift / layer.length;
}

/** Through every bend, straight down at each. */
function arrowPath(from: Place, first: Place, yOf: (place: Place) => number): string {
  let [x, y] = [from.x, yOf(from) + roomHeight];
  let path = `M${x} ${y}`;
  for (let next: Place | undefined = first; next !== undefined; next = next.below[0]) {
    const end = yOf(next);
    const middle = (y + end) / 2;
    path += `C${x} ${middle} ${next.x} ${middle} ${next.x} ${end}`;
    if (next.room !== undefined) break;
    path += `V${end + roomHeight}`;
    [x, y] = [next.x, end + roomHeight];
  }
  return `<path class="arrow" marker-end="url(#head)" d="${path}"/>`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, content] of Object.entries(drawFigures())) writeFileSync(`${root}${file}`, content);
}
