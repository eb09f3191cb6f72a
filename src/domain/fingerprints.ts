/** Of an image's sha256: enough that a million images and a million others share none by chance (1 in 280). */
export const fingerprintBytes = 6;

/** Six bytes each of the digests of images, ascending and each once: an order that says nothing of the images' own. */
export function packFingerprints(digests: Iterable<Uint8Array>): Uint8Array {
  const values = Float64Array.from([...digests].map((digest) => fingerprintAt(digest, 0))).sort();
  const distinct = values.filter((value, i) => value !== values[i - 1]);
  const packed = Buffer.alloc(distinct.length * fingerprintBytes);
  for (const [i, value] of distinct.entries())
    packed.writeUIntBE(value, i * fingerprintBytes, fingerprintBytes);
  return packed;
}

/** The images of several packs as one. */
export function joinFingerprints(packs: readonly Uint8Array[]): Uint8Array {
  const each = packs.flatMap((packed) =>
    Array.from({ length: packed.length / fingerprintBytes }, (_, i) => packed.subarray(i * fingerprintBytes)),
  );
  return packFingerprints(each);
}

/** Whether an image, by its digest, is one of those that were packed. */
export function recognise(packed: Uint8Array): (digest: Uint8Array) => boolean {
  return (digest) => {
    const wanted = fingerprintAt(digest, 0);
    let low = 0;
    let high = packed.length / fingerprintBytes;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (fingerprintAt(packed, middle) < wanted) low = middle + 1;
      else high = middle;
    }
    return low * fingerprintBytes < packed.length && fingerprintAt(packed, low) === wanted;
  };
}

/** Whether these bytes are what `packFingerprints` makes: whole fingerprints, each above the one before. */
export function arePacked(packed: Uint8Array): boolean {
  if (packed.length % fingerprintBytes !== 0) return false;
  for (let i = 1; i < packed.length / fingerprintBytes; i++) {
    if (fingerprintAt(packed, i) <= fingerprintAt(packed, i - 1)) return false;
  }
  return true;
}

/** 48 bits, which a number holds exactly. */
function fingerprintAt(bytes: Uint8Array, place: number): number {
  const at = place * fingerprintBytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUIntBE(at, fingerprintBytes);
}
