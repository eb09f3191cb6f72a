import type { EncoderManifest } from '../manifest.js';
import type { EncoderPool } from './pool.js';

/** One pool for each encoder, however many indexes use it. */
export interface SharedPools {
  /** Images that wait, in all pools together. */
  readonly queueDepth: number;
  /**
   * A share in the pool of an encoder: the one that another has a share in where every field of their encoder.json is the
   * same, else a new one. Closing a share gives it back once; the pool is closed with its last share.
   * @throws what starting the pool threw, to everyone who waited for it
   */
  share(encoder: EncoderManifest, start: () => Promise<EncoderPool>): Promise<EncoderPool>;
}

interface Shared {
  readonly starting: Promise<EncoderPool>;
  shares: number;
}

export function createSharedPools(): SharedPools {
  /** By encoder.json, those that may be shared. */
  const shareable = new Map<string, Shared>();
  /** Those that run, the ones among them that are being closed. */
  const running = new Set<EncoderPool>();

  async function close(pool: EncoderPool): Promise<void> {
    try {
      await pool.close();
    } finally {
      running.delete(pool);
    }
  }

  async function started(start: () => Promise<EncoderPool>): Promise<EncoderPool> {
    const pool = await start();
    running.add(pool);
    return pool;
  }

  return {
    get queueDepth() {
      let depth = 0;
      for (const pool of running) depth += pool.queueDepth;
      return depth;
    },
    share: async (encoder, start) => {
      const key = JSON.stringify(encoder);
      const shared = shareable.get(key) ?? { starting: started(start), shares: 0 };
      shareable.set(key, shared);
      shared.shares += 1;
      const giveBack = (): boolean => {
        shared.shares -= 1;
        if (shared.shares > 0) return false;
        // From here on nobody gets a share in it: the next asks for a pool of its own.
        if (shareable.get(key) === shared) shareable.delete(key);
        return true;
      };
      let pool: EncoderPool;
      try {
        pool = await shared.starting;
      } catch (error) {
        giveBack();
        throw error;
      }
      let closing: Promise<void> | undefined;
      return {
        get queueDepth() {
          return pool.queueDepth;
        },
        get ready() {
          return closing === undefined && pool.ready;
        },
        runtime: pool.runtime,
        slower: pool.slower,
        embed: (pixels, options) => pool.embed(pixels, options),
        close: () => (closing ??= giveBack() ? close(pool) : Promise.resolve()),
      };
    },
  };
}
