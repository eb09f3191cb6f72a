import type { Logger } from 'pino';
import { askCanaries } from '../bundles/ask-canaries.js';
import { findByDigest, publishedOf, type Bringing, type FetchedBundle } from '../bundles/bring.js';
import { createBundleFeed, type BundleFeed, type Opened } from '../bundles/bundle-feed.js';
import { parseDigestUrl } from '../bundles/bundle-url.js';
import { openCache, type Shelved } from '../bundles/cache.js';
import { NearvoteError } from '../domain/errors.js';
import type { PublishedVersion } from '../examples/index-store.js';
import { findEncoder, openPair, type OpenPair, type OpenPairOptions } from '../pair.js';
import type { LivePair } from '../server/live-pair.js';
import type { ServedIndex } from '../server/serving.js';
import type { ServeFlags } from './serve-options.js';
import type { NamedIndex } from './which-indexes.js';

/** Before the second try of a download. */
const pauseMs = 1_000;
const attempts = 5;

export interface FetchedIndex {
  readonly feed: BundleFeed;
  /** Opens what is to be served now, and asks its canary queries. */
  open(options: Omit<OpenPairOptions, 'index'>): Promise<OpenPair>;
}

/**
 * Where a served index comes from when it is fetched.
 * @throws NearvoteError `usage` for an encoder that is told wrongly
 */
export function openFetchedIndex(
  { name, source }: Pick<NamedIndex, 'name'> & { readonly source: NonNullable<NamedIndex['source']> },
  { flags, logger }: { readonly flags: ServeFlags; readonly logger: Logger },
): FetchedIndex {
  const rules = {
    ...{ allowHttp: flags.allowHttp, s3PathStyle: flags.s3PathStyle },
    ...{ mostBytes: flags.maxBundleBytes, stallMs: flags.fetchTimeout, pauseMs, attempts },
  };
  const encoders = (flags.encoder ?? []).map((url) => parseDigestUrl(url, rules));
  const bringing = { cache: openCache(flags.cacheDir), rules };
  const feed = createBundleFeed({ source, name, bringing, logger, pollMs: flags.pollSeconds * 1000 });

  async function openBundle(
    { bundle, bringing }: { readonly bundle: FetchedBundle; readonly bringing: Bringing },
    options: Omit<OpenPairOptions, 'index'>,
  ): Promise<Opened<OpenPair>> {
    const published = await publishedOf(bundle);
    const { encoderDir, shelved } = await encoderOf(published, { models: options.models, bringing });
    try {
      const pair = await openPair({ ...options, index: bundle.root, encoderDir });
      try {
        if (bundle.canaries !== undefined) await askCanaries(pair.neighbours, bundle.canaries);
      } catch (error) {
        await Promise.allSettled([pair.neighbours.close(), pair.pool.close()]);
        throw error;
      }
      return { value: pair, encoder: shelved };
    } catch (error) {
      await shelved?.release();
      throw error;
    }
  }

  async function encoderOf(
    published: PublishedVersion,
    { models, bringing }: { readonly models: string; readonly bringing: Bringing },
  ): Promise<{ readonly encoderDir: string; readonly shelved?: Shelved }> {
    try {
      return { encoderDir: (await findEncoder(published, models)).encoderDir };
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      const other = await findByDigest(published, { models, sources: encoders, bringing });
      if (other === undefined) throw error;
      return other;
    }
  }

  return {
    feed,
    open: (options) => feed.open((bundle, bringing) => openBundle({ bundle, bringing }, options)),
  };
}

/** Serves, from its first load on, what a feed brings; a reload looks for it at once. */
export function followFeed(live: LivePair, served: ServedIndex, feed: BundleFeed): LivePair {
  const swap = served.reload;
  return {
    ...live,
    load: async () => {
      const pair = await live.load();
      feed.follow(swap);
      served.reload = async () => {
        await feed.look();
        const { name, version } = served.pair?.published ?? pair.published;
        return { name, version };
      };
      return pair;
    },
  };
}
