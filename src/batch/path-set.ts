import { createHash } from 'node:crypto';

/** Paths that were met, 16 bytes or so each however long they are. */
export interface PathSet {
  readonly size: number;
  has(path: string): boolean;
  /** Whether it is new. */
  add(path: string): boolean;
}

/**
 * 64 bits of each path's sha256 in one table with open addressing: two of a million paths are taken for the same once in
 * 37 million such runs.
 */
export function createPathSet(): PathSet {
  let table = new Uint32Array(2 * 1024);
  let size = 0;

  /** Of the slot that holds it, or of the empty one where it would go. */
  function slotOf(high: number, low: number): number {
    const slots = table.length / 2;
    let slot = low % slots;
    while (!isEmpty(slot) && (table[2 * slot] !== high || table[2 * slot + 1] !== low))
      slot = (slot + 1) % slots;
    return slot;
  }

  const isEmpty = (slot: number): boolean => table[2 * slot] === 0 && table[2 * slot + 1] === 0;

  function put(high: number, low: number): boolean {
    const slot = slotOf(high, low);
    if (!isEmpty(slot)) return false;
    table[2 * slot] = high;
    table[2 * slot + 1] = low;
    size++;
    return true;
  }

  function grow(): void {
    const old = table;
    table = new Uint32Array(2 * old.length);
    size = 0;
    for (let i = 0; i < old.length; i += 2) {
      const [high = 0, low = 0] = [old[i], old[i + 1]];
      if (high !== 0 || low !== 0) put(high, low);
    }
  }

  return {
    get size() {
      return size;
    },
    has: (path) => !isEmpty(slotOf(...wordsOf(path))),
    add: (path) => {
      if (4 * size >= table.length) grow();
      return put(...wordsOf(path));
    },
  };
}

function wordsOf(path: string): [high: number, low: number] {
  const digest = createHash('sha256').update(path).digest();
  // Both nought is what an empty slot holds.
  return [digest.readUInt32LE(0), digest.readUInt32LE(4) || 1];
}
