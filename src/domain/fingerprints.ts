/** Of an image's sha256: enough that a million images and a million others share none by chance (1 in 280). */
export const fingerprintBytes = 6;

/** Six bytes each of the digests of images, ascending and each once: an order that says nothing of the images' own. */
export function packFingerprints(digests: Iterable<Uint8Array>): Uint8Array {
  return packed(Float64Array.from(digests, (digest) => fingerprintAt(digest, 0)));
}

/** The images of several packs as one. */
export function joinFingerprints(packs: readonly Uint8Array[]): Uint8Array {
  const values = new Float64Array(packs.reduce((sum, pack) => sum + pack.length, 0) / fingerprintBytes);
  let place = 0;
  for (const pack of packs) {
    for (let i = 0; i < pack.length / fingerprintBytes; i++) values[place++] = fingerprintAt(pack, i);
  }
  return packed(values);
}

function packed(fingerprints: Float64Array): Uint8Array {
  const values = fingerprints.sort();
  const distinct = values.filter((value, i) => value !== values[i - 1]);
  const bytes = Buffer.alloc(distinct.length * fingerprintBytes);
  for (const [i, value] of distinct.entries()) {
    bytes.writeUIntBE(value, i * fingerprintBytes, fingerprintBytes);
  }
  return bytes;
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
