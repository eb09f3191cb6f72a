import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import type { DecodeCost } from './decode-cost.js';

/** Enough to keep every core busy; the rest wait as compressed bytes, which are smaller than pixels. */
const smallAtOnce = 2 * availableParallelism();

/** libuv has four threads for all decodes of a process: two of them are kept for small images. */
const largeAtOnce = 2;

/** Above either an image is large: about 5 megapixels of a PNG or a third of a second. */
const smallBytes = 16_000_000;
const smallSamples = 100_000_000;

const isLarge = ({ bytes, samples }: DecodeCost): boolean => bytes > smallBytes || samples > smallSamples;

interface Turn {
  readonly cost: DecodeCost;
  /** All large images that are being decoded at once take no more than this. */
  readonly maxBytes: number;
}

export interface DecodeTurns {
  /** For a look at a header, which takes the turn of a small image. */
  look<T>(read: () => Promise<T> | T): Promise<T>;
  /** Begins `decode` when its turn has come: small images pass the large ones, which wait in their order. */
  run<T>(turn: Turn, decode: () => Promise<T>): Promise<T>;
}

export function createDecodeTurns(): DecodeTurns {
  const small = pLimit(smallAtOnce);
  const waiting: { readonly turn: Turn; readonly begin: () => void }[] = [];
  let large = 0;
  let bytes = 0;

  function beginNext(): void {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const { cost, maxBytes } = next.turn;
      if (large > 0 && (large >= largeAtOnce || bytes + cost.bytes > maxBytes)) return;
      waiting.shift();
      large++;
      bytes += cost.bytes;
      next.begin();
    }
  }

  return {
    look: (read) => small(async () => read()),
    async run(turn, decode) {
      if (!isLarge(turn.cost)) return small(decode);
      await new Promise<void>((begin) => {
        waiting.push({ turn, begin });
        beginNext();
      });
      try {
        return await decode();
      } finally {
        large--;
        bytes -= turn.cost.bytes;
        beginNext();
      }
    },
  };
}
