import { NearvoteError } from '../../domain/errors.js';
import type { ImageContent } from './dataset.js';

const cifarWidth = 32;
const planeBytes = cifarWidth * cifarWidth;

/** As batches.meta.txt and fine_label_names.txt have them, in the order of their numbers. */
const cifar10Labels: readonly string[] = `
  airplane automobile bird cat deer dog frog horse ship truck
`
  .trim()
  .split(/\s+/);

const cifar100Labels: readonly string[] = `
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
  can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
  dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
  lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
  pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
  seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
  tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
  worm
`
  .trim()
  .split(/\s+/);

/** The official binary version, https://www.cs.toronto.edu/~kriz/cifar.html: label bytes, then a plane each of R, G, B. */
export interface CifarKind {
  readonly name: 'cifar10' | 'cifar100';
  /** The label is the last of them: CIFAR-100 has its coarse label before it. */
  readonly labelBytes: 1 | 2;
  readonly recordBytes: number;
  readonly files: { readonly train: RegExp; readonly test: RegExp };
  readonly labelsFile: string;
  /** Where that file is missing. */
  readonly labels: readonly string[];
}

export const cifarKinds: readonly CifarKind[] = [
  {
    name: 'cifar10',
    labelBytes: 1,
    recordBytes: 1 + 3 * planeBytes,
    files: { train: /^data_batch_\d+\.bin$/, test: /^test_batch\.bin$/ },
    labelsFile: 'batches.meta.txt',
    labels: cifar10Labels,
  },
  {
    name: 'cifar100',
    labelBytes: 2,
    recordBytes: 2 + 3 * planeBytes,
    files: { train: /^train\.bin$/, test: /^test\.bin$/ },
    labelsFile: 'fine_label_names.txt',
    labels: cifar100Labels,
  },
];

/** In words: everybody's images of this name are the same ones. */
export function nameOfSplit({ name }: Pick<CifarKind, 'name'>, split: 'train' | 'test'): string {
  return `${name} (${split})`;
}

/** Whether a dataset's name says which images it has; that of a folder or a list does not. */
export function namesItsImages(dataset: string): boolean {
  return cifarKinds.some((kind) =>
    (['train', 'test'] as const).some((split) => nameOfSplit(kind, split) === dataset),
  );
}

/** Where a record lies: in the `index`-th place of `file`, of which only the base name is shown. */
export interface RecordPlace {
  readonly file: string;
  readonly index: number;
}

export const recordId = ({ file, index }: RecordPlace): string => `${file}#${String(index).padStart(5, '0')}`;

/** @throws NearvoteError `dataset_invalid` where the label byte names no label */
export function labelOfRecord(
  record: Uint8Array,
  {
    kind,
    labels,
    place,
  }: { readonly kind: CifarKind; readonly labels: readonly string[]; readonly place: RecordPlace },
): string {
  const number = record[kind.labelBytes - 1] ?? NaN;
  const label = labels[number];
  if (label === undefined) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected a label below ${labels.length} in ${recordId(place)} but received ${number}`,
    );
  }
  return label;
}

/** The pixels of one record, from planes to `[32, 32, 3]`. */
export function pixelsOfRecord(record: Uint8Array, { labelBytes }: CifarKind): ImageContent {
  const pixels = new Uint8Array(3 * planeBytes);
  for (let i = 0; i < planeBytes; i++) {
    const from = labelBytes + i;
    pixels[3 * i] = record[from] ?? 0;
    pixels[3 * i + 1] = record[from + planeBytes] ?? 0;
    pixels[3 * i + 2] = record[from + 2 * planeBytes] ?? 0;
  }
  return { kind: 'pixels', pixels, width: cifarWidth, height: cifarWidth };
}

/** The label names, one a line. */
export function parseLabels(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** @throws NearvoteError `dataset_invalid` where `bytes` is no whole number of records, as in a cut-off file */
export function countRecords({ recordBytes, name }: CifarKind, file: string, bytes: number): number {
  if (bytes === 0 || bytes % recordBytes !== 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected ${name} records of ${recordBytes} bytes in ${file} but received ${bytes} bytes: is it truncated?`,
    );
  }
  return bytes / recordBytes;
}

/** data_batch_10 after data_batch_9. */
export function compareFiles(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}
