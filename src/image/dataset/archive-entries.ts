import { on } from 'node:events';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { Writable } from 'node:stream';
import { Parser } from 'tar';
import type { ReadEntry } from 'tar';
import { NearvoteError } from '../../domain/errors.js';

/** One file of an archive; its content must be read before the next is asked for. */
export interface ArchiveEntry {
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
export async function* archiveEntries(
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

export function damagedArchive(path: string, error: unknown): NearvoteError {
  const reason = error instanceof Error ? error.message : String(error);
  return new NearvoteError('dataset_invalid', `Expected a whole .tar.gz in ${path} but received: ${reason}`, {
    cause: error,
  });
}
