import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';

export interface FileDigest {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

export function digestBytes(bytes: Uint8Array): FileDigest {
  return { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
}

const pieceBytes = 1 << 20;

/** Hashes a file in bounded memory. @throws the file system's own error */
export async function digestFile(path: string): Promise<FileDigest> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'r');
  try {
    // While one piece is hashed, the next one is read.
    let [piece, other] = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)];
    let { bytesRead } = await file.read(piece, 0, pieceBytes);
    while (bytesRead > 0) {
      const reading = file.read(other, 0, pieceBytes);
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
      [piece, other] = [other, piece];
      ({ bytesRead } = await reading);
    }
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** A new file that is hashed as it is written. */
export interface HashedFile {
  write(bytes: Uint8Array): void;
  /** May be called again; the first call writes what is still in memory. */
  close(): FileDigest;
}

const bufferBytes = 1 << 18;

/** Creates a file; a write is a copy into memory until 256 KiB have gathered. @throws the file system's own error */
export function createHashedFile(path: string): HashedFile {
  const fd = openSync(path, 'wx');
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(bufferBytes);
  let filled = 0;
  let bytes = 0;
  let digest: FileDigest | undefined;

  function put(chunk: Uint8Array): void {
    hash.update(chunk);
    bytes += chunk.length;
    for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
  }

  function flush(): void {
    put(buffer.subarray(0, filled));
    filled = 0;
  }

  return {
    write: (chunk) => {
      if (filled + chunk.length > bufferBytes) flush();
      if (chunk.length > bufferBytes) return put(chunk);
      buffer.set(chunk, filled);
      filled += chunk.length;
    },
    close: () => {
      if (digest !== undefined) return digest;
      try {
        flush();
      } finally {
        closeSync(fd);
        digest = { sha256: hash.digest('hex'), bytes };
      }
      return digest;
    },
  };
}
