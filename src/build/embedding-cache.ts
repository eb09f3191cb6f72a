import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Embeddings by image, on disk: what resumes a killed build and makes a new folder cost only its own images. */
export interface EmbeddingCache {
  readonly size: number;
  get(key: Buffer): Float32Array | undefined;
  set(key: Buffer, embedding: Float32Array): void;
  /** Writes what is still in memory. */
  close(): void;
}

export interface EmbeddingCacheOptions {
  readonly dir: string;
  /** Of the encoder: each has a file of its own. */
  readonly encoderSha256: string;
  readonly dimension: number;
}

const keyBytes = 32;
const checksumBytes = 4;
const recordsPerWrite = 128;
const scanBytes = 1 << 20;

/**
 * Opens the cache of an encoder: fixed records of key, embedding and checksum, only ever appended. A record that a kill
 * or a full disk tore is overwritten, one whose checksum is wrong is passed over. Only keys are held in memory. Calls
 * are synchronous: a hit costs less than a trip to the thread pool would.
 * @throws the file system's own error
 */
export function openEmbeddingCache(options: EmbeddingCacheOptions): EmbeddingCache {
  const { dir, encoderSha256, dimension } = options;
  const recordBytes = keyBytes + dimension * 4 + checksumBytes;
  mkdirSync(dir, { recursive: true });
  // 'a+' would append wherever the file ends, torn records and all.
  const path = join(dir, `${encoderSha256.slice(0, 16)}-${dimension}.bin`);
  const file = openSync(path, 'a');
  closeSync(file);
  const fd = openSync(path, 'r+');
  const places = new Map<string, number>();
  const pending = Buffer.alloc(recordsPerWrite * recordBytes);
  let pendingRecords = 0;
  let written = Math.floor(fstatSync(fd).size / recordBytes);
  ftruncateSync(fd, written * recordBytes);
  let open = true;
  scan();

  function scan(): void {
    const perRead = Math.max(1, Math.floor(scanBytes / recordBytes));
    const chunk = Buffer.alloc(perRead * recordBytes);
    for (let first = 0; first < written; first += perRead) {
      const bytes = readSync(fd, chunk, 0, chunk.length, first * recordBytes);
      for (let i = 0; (i + 1) * recordBytes <= bytes; i++) {
        const record = chunk.subarray(i * recordBytes, (i + 1) * recordBytes);
        if (isWhole(record)) places.set(keyOf(record), first + i);
      }
    }
  }

  function flush(): void {
    const bytes = pendingRecords * recordBytes;
    for (let done = 0; done < bytes;) {
      done += writeSync(fd, pending, done, bytes - done, written * recordBytes + done);
    }
    written += pendingRecords;
    pendingRecords = 0;
  }

  return {
    get size() {
      return places.size;
    },
    get: (key) => {
      const place = open ? places.get(keyOf(key)) : undefined;
      if (place === undefined) return undefined;
      const bytes = new Uint8Array(dimension * 4);
      if (place >= written) {
        const start = (place - written) * recordBytes + keyBytes;
        bytes.set(pending.subarray(start, start + bytes.length));
      } else if (readSync(fd, bytes, 0, bytes.length, place * recordBytes + keyBytes) < bytes.length) {
        return undefined;
      }
      return new Float32Array(bytes.buffer);
    },
    set: (key, embedding) => {
      // An image may still be on its way when a build gives up.
      const name = keyOf(key);
      if (!open || places.has(name)) return;
      const record = pending.subarray(pendingRecords * recordBytes, (pendingRecords + 1) * recordBytes);
      key.copy(record);
      record.set(new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.byteLength), keyBytes);
      record.writeUInt32LE(checksumOf(record), recordBytes - checksumBytes);
      places.set(name, written + pendingRecords);
      pendingRecords++;
      if (pendingRecords === recordsPerWrite) flush();
    },
    close: () => {
      if (!open) return;
      open = false;
      try {
        flush();
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** One character a byte: the smallest string that holds a key. */
function keyOf(record: Buffer): string {
  return record.toString('latin1', 0, keyBytes);
}

function isWhole(record: Buffer): boolean {
  return record.readUInt32LE(record.length - checksumBytes) === checksumOf(record);
}

/** FNV-1a over 32-bit words, all but the last: http://www.isthe.com/chongo/tech/comp/fnv/. Zeros do not pass. */
function checksumOf(record: Buffer): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < record.length - checksumBytes; at += 4) {
    hash = Math.imul(hash ^ record.readInt32LE(at), 0x01000193);
  }
  return hash >>> 0;
}
