import fc from 'fast-check';

import { chunksOf, dimensionFields, mendContainer } from './image-parts.js';

/** Bytes past which a case only costs time. */
const maxBytes = 400_000;

/** A place in a file of any length: counted from its start, where the structure is, or a share of it. */
type Place = readonly ['byte' | 'millionth', number];

type Mutation =
  | { readonly kind: 'flip'; readonly at: Place; readonly bit: number }
  | { readonly kind: 'overwrite' | 'insert'; readonly at: Place; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly at: Place }
  | { readonly kind: 'delete'; readonly at: Place; readonly length: number }
  | {
      readonly kind: 'copy';
      readonly at: Place;
      readonly length: number;
      readonly to: Place;
      readonly times: number;
    }
  | { readonly kind: 'swap'; readonly at: Place; readonly length: number; readonly to: Place }
  | { readonly kind: 'splice'; readonly at: Place; readonly other: number; readonly to: Place }
  | { readonly kind: 'header'; readonly length: number; readonly other: number }
  | { readonly kind: 'dimension'; readonly which: number; readonly value: number }
  | { readonly kind: 'chunk'; readonly which: number; readonly times: number };

const place: fc.Arbitrary<Place> = fc.oneof(
  fc.tuple(fc.constant('byte' as const), fc.nat({ max: 80 })),
  fc.tuple(fc.constant('millionth' as const), fc.nat({ max: 1_000_000 })),
);

/** What lengths, counts and offsets break on, then anything. */
const hostileBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc
    .constantFrom(
      ...['ff', '00', '80', 'ffff', '0000', '0001', '0100', 'ffffffff', '7fffffff', '80000000', '00000000'],
      ...['00000001', '01000000', 'ffffff7f', 'ffd8', 'ffd9', 'ffda', '0d0a', '0d0a0d0a', '2d2d'],
    )
    .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
  fc.uint8Array({ minLength: 1, maxLength: 16 }),
);

const other = fc.nat({ max: 1000 });
const length = fc.integer({ min: 1, max: 400 });
const hugeOrOdd = fc.oneof(
  fc.constantFrom(0, 1, 7071, 16_383, 16_384, 30_000, 65_500, 65_535, 1_000_000, 0x7fffffff, 0xffffffff),
  fc.nat({ max: 0xffffffff }),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat({ max: 7 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('overwrite' as const), at: place, bytes: hostileBytes }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('insert' as const), at: place, bytes: hostileBytes }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('truncate' as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), at: place, length }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('copy' as const),
      ...{ at: place, length, to: place, times: fc.integer({ min: 1, max: 200 }) },
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('swap' as const), at: place, length, to: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('splice' as const), at: place, other, to: place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ...{ kind: fc.constant('header' as const), length: fc.integer({ min: 1, max: 64 }), other },
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('dimension' as const),
      which: fc.nat({ max: 7 }),
      value: hugeOrOdd,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{
        kind: fc.constant('chunk' as const),
        which: fc.nat({ max: 20 }),
        times: fc.integer({ min: 1, max: 300 }),
      },
    }),
  },
);

export interface Damage {
  readonly mutations: readonly Mutation[];
  /** Whether checksums are made right again, so that the decoder gets to see the damage. */
  readonly mended: boolean;
}

export const damage: fc.Arbitrary<Damage> = fc.record({
  mutations: fc.array(mutation, { minLength: 1, maxLength: 4 }),
  mended: fc.boolean(),
});

/** The file with the damage done to it; `others` are what it is spliced with. */
export function applyDamage(
  file: Uint8Array,
  { mutations, mended }: Damage,
  others: readonly Uint8Array[],
): Buffer {
  const damaged = mutations.reduce<Buffer>((bytes, one) => mutate(bytes, one, others), Buffer.from(file));
  return mended ? mendContainer(damaged) : damaged;
}

function mutate(file: Buffer, mutation: Mutation, others: readonly Uint8Array[]): Buffer {
  if (file.length === 0) return file;
  const stranger = (which: number): Buffer => Buffer.from(others[which % others.length] ?? file);
  switch (mutation.kind) {
    case 'flip': {
      const at = offsetIn(file, mutation.at);
      return patched(file, at, Uint8Array.of((file[at] ?? 0) ^ (1 << mutation.bit)));
    }
    case 'overwrite':
      return patched(file, offsetIn(file, mutation.at), mutation.bytes);
    case 'insert':
      return inserted(file, offsetIn(file, mutation.at), mutation.bytes);
    case 'truncate':
      return file.subarray(0, offsetIn(file, mutation.at));
    case 'delete': {
      const at = offsetIn(file, mutation.at);
      return Buffer.concat([file.subarray(0, at), file.subarray(at + mutation.length)]);
    }
    case 'copy':
      return repeated(file, sliceAt(file, mutation), offsetIn(file, mutation.to), mutation.times);
    case 'swap': {
      const [at, to] = [offsetIn(file, mutation.at), offsetIn(file, mutation.to)];
      const [first, second] = [sliceAt(file, mutation), file.subarray(to, to + mutation.length)];
      return patched(patched(file, at, second), to, first);
    }
    case 'splice': {
      const rest = stranger(mutation.other);
      return Buffer.concat([
        file.subarray(0, offsetIn(file, mutation.at)),
        rest.subarray(offsetIn(rest, mutation.to)),
      ]);
    }
    case 'header':
      return patched(file, 0, stranger(mutation.other).subarray(0, mutation.length));
    case 'dimension': {
      const all = dimensionFields(file);
      const field = all[mutation.which % all.length];
      if (field === undefined) return file;
      const bytes = Buffer.alloc(field.bytes);
      const value = mutation.value % 2 ** (8 * field.bytes);
      if (field.littleEndian) bytes.writeUIntLE(value, 0, field.bytes);
      else bytes.writeUIntBE(value, 0, field.bytes);
      return patched(file, field.at, bytes);
    }
    case 'chunk': {
      const chunks = chunksOf(file);
      const [from, to] = chunks[mutation.which % chunks.length] ?? [0, 0];
      return repeated(file, file.subarray(from, to), to, mutation.times);
    }
  }
}

function offsetIn(file: Buffer, [unit, value]: Place): number {
  return unit === 'byte' ? Math.min(value, file.length) : Math.floor((value / 1_000_001) * file.length);
}

function sliceAt(
  file: Buffer,
  { at, length: size }: { readonly at: Place; readonly length: number },
): Buffer {
  const from = offsetIn(file, at);
  return file.subarray(from, from + size);
}

/** As long as before: what would stick out is cut off. */
function patched(file: Buffer, at: number, bytes: Uint8Array): Buffer {
  const copy = Buffer.from(file);
  copy.set(bytes.subarray(0, Math.max(copy.length - at, 0)), Math.min(at, copy.length));
  return copy;
}

function inserted(file: Buffer, at: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([file.subarray(0, at), bytes, file.subarray(at)]);
}

function repeated(file: Buffer, slice: Buffer, at: number, times: number): Buffer {
  const most = Math.floor((maxBytes - file.length) / Math.max(slice.length, 1));
  const copies = Array.from({ length: Math.max(Math.min(times, most), 0) }, () => slice);
  return inserted(file, at, Buffer.concat(copies));
}
