import { on } from 'node:events';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { Writable } from 'node:stream';
import { Parser } from 'tar';
import type { ReadEntry } from 'tar';
import { messageOf, NearvoteError } from '../../domain/errors.js';
import {
  cifarKinds,
  countRecords,
  labelOfRecord,
  nameOfSplit,
  parseLabels,
  pixelsOfRecord,
  recordId,
} from './cifar.js';
import type { CifarKind, RecordPlace } from './cifar.js';
import type { Dataset, LabelledImage } from './dataset.js';

type Split = 'train' | 'test';

/**
 * The official .tar.gz of the CIFAR binaries, streamed anew for every listing and never unpacked: an image holds its
 * own 3 KB until it is let go. In the archive's order.
 * @throws NearvoteError `dataset_missing` where the split is not in it; `dataset_invalid` where it is damaged
 */
export async function openCifarArchive(path: string, split: Split): Promise<Dataset> {
  const { kind, labels, labelCounts } = await survey(path, split);
  return {
    name: nameOfSplit(kind, split),
    size: [...labelCounts.values()].reduce((sum, count) => sum + count, 0),
    labelCounts,
    async *images(): AsyncGenerator<LabelledImage> {
      for await (const part of parts(path, split)) {
        if (part.is === 'labels') continue;
        const { record, place } = part;
        const id = recordId(place);
        const label = labelOfRecord(record, { kind, labels, place });
        const content = pixelsOfRecord(record, kind);
        yield { id, label, source: id, read: () => Promise.resolve(content) };
      }
    },
  };
}

type Part =
  | { readonly is: 'labels'; readonly labels: readonly string[] }
  | {
      readonly is: 'record';
      readonly kind: CifarKind;
      readonly record: Uint8Array;
      readonly place: RecordPlace;
    };

interface Survey {
  readonly kind: CifarKind;
  readonly labels: readonly string[];
  readonly labelCounts: ReadonlyMap<string, number>;
}

/** One pass for the kind, the label names (which may come last) and how often each label occurs. */
async function survey(path: string, split: Split): Promise<Survey> {
  let kind: CifarKind | undefined;
  let named: readonly string[] | undefined;
  /** By label number: the first record that has it, and how many do. */
  const seen = new Map<number, { readonly record: Uint8Array; readonly place: RecordPlace; count: number }>();
  for await (const part of parts(path, split)) {
    if (part.is === 'labels') {
      named = part.labels;
      continue;
    }
    kind = part.kind;
    const number = part.record[kind.labelBytes - 1] ?? NaN;
    const first = seen.get(number) ?? { record: part.record.slice(), place: part.place, count: 0 };
    first.count++;
    seen.set(number, first);
  }
  if (kind === undefined) {
    throw new NearvoteError(
      'dataset_missing',
      `Expected the CIFAR binaries of the ${split} split in ${path}`,
    );
  }
  const labels = named ?? kind.labels;
  const counts: [string, number][] = [];
  for (const { record, place, count } of seen.values()) {
    counts.push([labelOfRecord(record, { kind, labels, place }), count]);
  }
  return { kind, labels, labelCounts: new Map(counts.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

async function* parts(path: string, split: Split): AsyncGenerator<Part> {
  const kindOf = (name: string) =>
    cifarKinds.find(({ files, labelsFile }) => files[split].test(name) || labelsFile === name);
  try {
    for await (const { name, size, content } of archiveEntries(path, (name) => kindOf(name) !== undefined)) {
      const kind = kindOf(name);
      if (kind === undefined) continue;
      if (kind.labelsFile === name) {
        yield { is: 'labels', labels: parseLabels(await textOf(content)) };
        continue;
      }
      const count = countRecords(kind, `${name} of ${path}`, size);
      let index = 0;
      for await (const record of recordsOf(content, kind)) {
        yield { is: 'record', kind, record, place: { file: name, index } };
        index++;
      }
      if (index !== count) throw damagedArchive(path, `${index} of ${count} records of ${name}`);
    }
  } catch (error) {
    throw error instanceof NearvoteError ? error : damagedArchive(path, error);
  }
}

async function textOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Whole records; a view into the stream's chunk, to be copied by whoever keeps it. */
async function* recordsOf(
  content: AsyncIterable<Uint8Array>,
  { recordBytes }: CifarKind,
): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of content) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; at + recordBytes <= bytes.length; at += recordBytes) yield bytes.subarray(at, at + recordBytes);
    rest = bytes.subarray(at);
  }
}

/** One file of an archive; its content must be read before the next is asked for. */
interface ArchiveEntry {
  /** Without its folders. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The files of a .tar or .tar.gz whose name is `wanted`, streamed in its order; nothing is held and nothing unpacked.
 * @throws NearvoteError `dataset_invalid` where the archive is damaged or ends early
 */
async function* archiveEntries(
  path: string,
  wanted: (name: string) => boolean,
): AsyncGenerator<ArchiveEntry> {
  const source = createReadStream(path);
  const finished = new AbortController();
  let current: ReadEntry | undefined;
  const parser = new Parser({
    strict: true,
    filter: (entryPath, entry) => 'type' in entry && entry.type === 'File' && wanted(basename(entryPath)),
  });
  const entries = on(parser, 'entry', { signal: finished.signal }) as AsyncIterable<[ReadEntry]>;
  parser.on('end', () => finished.abort());
  // A broken archive leaves its last entry without an end: whoever reads it must hear of it too.
  parser.on('error', (error: Error) => current?.destroy(error));
  source.on('error', (error) => parser.abort(error));
  // It has the methods that pipe needs, not the class.
  source.pipe(parser as unknown as Writable);
  try {
    for await (const [entry] of entries) {
      current = entry;
      // Heard below, or by whoever reads the entry; without a listener it would end the process.
      entry.on('error', () => undefined);
      yield { name: basename(entry.path), size: entry.size, content: entry };
    }
  } catch (error) {
    if (finished.signal.aborted || error instanceof NearvoteError) return;
    throw damagedArchive(path, error);
  } finally {
    source.destroy();
  }
}

function damagedArchive(path: string, error: unknown): NearvoteError {
  const reason = messageOf(error);
  return new NearvoteError('dataset_invalid', `Expected a whole .tar.gz in ${path} but received: ${reason}`, {
    cause: error,
  });
}
