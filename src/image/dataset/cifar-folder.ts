import { open, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import {
  cifarKinds,
  compareFiles,
  countRecords,
  labelOfRecord,
  nameOfSplit,
  parseLabels,
  pixelsOfRecord,
  recordId,
} from './cifar.js';
import type { CifarKind } from './cifar.js';
import { countLabels, type Dataset } from './dataset.js';

const kindOf = (names: readonly string[]): CifarKind | undefined =>
  cifarKinds.find(({ files }) => names.some((name) => files.train.test(name) || files.test.test(name)));

/** False, too, for a folder that cannot be listed: whoever opens it next says why. */
export async function isCifarFolder(folder: string): Promise<boolean> {
  return kindOf(await readdir(folder).catch(() => [])) !== undefined;
}

/**
 * The official CIFAR binaries of one split, in the order of their files' numbers; every label is checked first.
 * @throws NearvoteError `dataset_missing` where the split's files are not there; `dataset_invalid` naming a wrong file
 */
export async function openCifarFolder(folder: string, split: 'train' | 'test'): Promise<Dataset> {
  const names = await readdir(folder);
  const kind = kindOf(names);
  const files = names.filter((name) => kind?.files[split].test(name)).sort(compareFiles);
  if (kind === undefined || files.length === 0) {
    throw new NearvoteError(
      'dataset_missing',
      `Expected the CIFAR binaries of the ${split} split in ${folder}`,
    );
  }
  const labels = names.includes(kind.labelsFile)
    ? parseLabels(await readFile(join(folder, kind.labelsFile), 'utf8'))
    : kind.labels;

  const batches: Batch[] = [];
  for (const file of files) {
    const path = join(folder, file);
    const count = countRecords(kind, path, (await stat(path)).size);
    batches.push({ file, count, record: recordReader({ path, count, kind }) });
  }

  async function* records() {
    for (const { file, count, record } of batches) {
      for (let index = 0; index < count; index++) {
        yield {
          place: { file, index },
          label: labelOfRecord(await record(index), { kind: known, labels, place: { file, index } }),
          record,
        };
      }
    }
  }
  const known = kind;
  const seen: string[] = [];
  for await (const { label } of records()) seen.push(label);

  return {
    name: nameOfSplit(kind, split),
    size: seen.length,
    labelCounts: countLabels(seen),
    async *images() {
      for await (const { place, label, record } of records()) {
        const id = recordId(place);
        yield { id, label, source: id, read: async () => pixelsOfRecord(await record(place.index), known) };
      }
    },
  };
}

interface Batch {
  readonly file: string;
  readonly count: number;
  readonly record: (index: number) => Promise<Uint8Array>;
}

/** 256 records are 0.8 MB; a few such pieces serve those who list ahead and those who read behind them. */
const pieceRecords = 256;
const keptPieces = 4;

/** Reads records by number, in pieces, so that going through them in order costs one read in 256. */
function recordReader({
  path,
  count,
  kind: { recordBytes },
}: {
  readonly path: string;
  readonly count: number;
  readonly kind: CifarKind;
}): (index: number) => Promise<Uint8Array> {
  const pieces = new Map<number, Promise<Uint8Array>>();

  async function readPiece(piece: number): Promise<Uint8Array> {
    const first = piece * pieceRecords;
    const bytes = new Uint8Array(Math.min(pieceRecords, count - first) * recordBytes);
    const file = await open(path, 'r');
    try {
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(
          bytes,
          filled,
          bytes.length - filled,
          first * recordBytes + filled,
        );
        if (bytesRead === 0)
          throw new NearvoteError(
            'dataset_invalid',
            `Expected ${count} records in ${path} but it was cut off since it was listed`,
          );
        filled += bytesRead;
      }
    } finally {
      await file.close();
    }
    return bytes;
  }

  function pieceOf(piece: number): Promise<Uint8Array> {
    const kept = pieces.get(piece) ?? readPiece(piece);
    // The newest use goes last, so the first is the one longest unused.
    pieces.delete(piece);
    pieces.set(piece, kept);
    for (const oldest of pieces.keys()) {
      if (pieces.size <= keptPieces) break;
      pieces.delete(oldest);
    }
    return kept;
  }

  return async (index) => {
    const bytes = await pieceOf(Math.floor(index / pieceRecords));
    const start = (index % pieceRecords) * recordBytes;
    return bytes.subarray(start, start + recordBytes);
  };
}
