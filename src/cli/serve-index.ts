import type { Logger } from 'pino';
import { compactAside } from '../build/compact-aside.js';
import {
  calibrateTaughtAside,
  type AskedCalibration,
  type TaughtCalibration,
} from '../calibrate/taught-aside.js';
import { NearvoteError } from '../domain/errors.js';
import { encoderIdentity } from '../encoder/manifest.js';
import type { SharedPools } from '../encoder/pool/shared-pools.js';
import { adviseAside } from '../evaluate/advise-aside.js';
import type { VoteChoice } from '../examples/calibration-file.js';
import { versionsKept } from '../examples/publish.js';
import { lockWriter } from '../examples/writer.js';
import { openPair, resolveShipped, type OpenPairOptions } from '../pair.js';
import { createDecisionKeeper } from '../server/decision-keeper.js';
import { followIndex, type Following } from '../server/following.js';
import { createLabelAdvice } from '../server/label-advice.js';
import { createLiveChanges, type LiveChangesOptions } from '../server/live-changes.js';
import { createLivePair, type LivePair } from '../server/live-pair.js';
import type { Metrics } from '../server/metrics.js';
import { createRecalibration } from '../server/recalibration.js';
import type { ServedIndex, Serving } from '../server/serving.js';
import { defaultUnknown } from '../vote/unknown.js';
import { followFeed, openFetchedIndex } from './serve-bundle.js';
import type { ServeFlags } from './serve-options.js';
import type { NamedIndex } from './which-indexes.js';

export interface ServedIndexParts {
  readonly flags: ServeFlags;
  readonly serving: Serving;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly pools: SharedPools;
  readonly vote: VoteChoice;
  /** Whether this server may change what it serves. */
  readonly mayChange: boolean;
}

/** Makes one index of a server ready to be loaded: what changes it, follows it, keeps of it, and replaces it. */
export async function openServedIndex(
  { name, index: told, url, source }: NamedIndex,
  parts: ServedIndexParts,
): Promise<{ readonly live: LivePair; readonly following: Following }> {
  const { flags, serving, metrics, logger, pools, vote, mayChange } = parts;
  const index = url?.indexUrl ?? told;
  const ofIndex = logger.child({ index: name });
  const served = serving.find(name);
  const fetched = source && openFetchedIndex({ name, source }, { flags, logger: ofIndex });
  const root = url === undefined && fetched === undefined ? resolveShipped(index) : undefined;
  served.bundle = fetched?.feed;
  served.changes = createLiveChanges({
    writer: fetched === undefined ? await writerOf(root, { mayChange, logger: ofIndex }) : unchangeable,
    logger: ofIndex,
    neighbours: () => served.pair?.neighbours,
    compact: root === undefined ? undefined : () => compactAside({ root, keep: versionsKept, threads: 1 }),
    reload: () => served.reload(),
    onCompacted: (result) => metrics.compacted(name, result),
  });
  if (root !== undefined) {
    served.advice = createLabelAdvice(
      () => adviseAside({ root, seed: 1 }),
      (err) => ofIndex.warn({ err }, 'no advice on labels could be drawn'),
    );
  }
  served.recalibrate = createRecalibration({
    compact: () => served.changes.compact(),
    calibrate: (asked) => calibrateServed(served, { ...asked, root, flags, vote }),
    reload: () => served.reload(),
    logger: ofIndex,
  });
  if (root !== undefined && flags.keepImages !== undefined) {
    served.kept = {
      reviewBelow: flags.review ? flags.reviewBelow : undefined,
      keeper: createDecisionKeeper({
        ...{ root, most: flags.keepImages, mostMs: flags.keepImagesFor, now: () => new Date() },
        onLost: (decisions, err) => {
          metrics.decisionsLost(name, decisions);
          ofIndex.warn({ err, decisions }, 'decisions could not be kept');
        },
        onSetAside: (path) => ofIndex.warn({ path }, 'what was kept of decisions was damaged; it lies aside'),
        onRestart: (reason) =>
          ofIndex.warn({ reason }, 'the process that keeps decisions has ended and is being replaced'),
      }),
    };
  }
  const following = fetched?.feed ?? followIndex({ served, root, logger: ofIndex });
  metrics.watchIndex(name, { served, following });
  const live = createLivePair({
    ...{ serving, served, metrics, logger: ofIndex, vote, staleAfter: flags.staleAfter },
    providers: flags.providers,
    requestTimeoutMs: flags.requestTimeout,
    open: ({ besideOthers }) => {
      const options: Omit<OpenPairOptions, 'index'> = {
        ...{ ...flags, name, pools, besideOthers },
        access: served.changes.readonlyBecause === undefined ? 'write' : 'read',
        onUnprotected: (reason) => ofIndex.warn({ reason }, 'a build may remove the version that is served'),
        onSlower: (reason) => logger.warn(reason),
        onDatabase: (message) => ofIndex.warn(message),
        onBatch: (size) => metrics.batch(size),
        onProcessEnd: (process, reason) => {
          metrics.processEnded(process, name);
          // Which encodes for all that share its encoder.
          const log = process === 'encoder' ? logger : ofIndex;
          log.warn({ process, reason }, 'a process has ended and is being replaced');
        },
      };
      return fetched === undefined ? openPair({ ...options, index }) : fetched.open(options);
    },
  });
  return { live: fetched === undefined ? live : followFeed(live, served, fetched.feed), following };
}

interface ServedCalibrationParts extends AskedCalibration {
  /** Undefined for an index in PostgreSQL. */
  readonly root: string | undefined;
  readonly flags: ServeFlags;
  readonly vote: VoteChoice;
}

/** By the rule and the epsilon of the calibration from before, where there is one. */
async function calibrateServed(
  served: ServedIndex,
  parts: ServedCalibrationParts,
): Promise<TaughtCalibration> {
  const { root, share, replace, flags, vote } = parts;
  const { pair } = served;
  if (root === undefined) {
    throw new NearvoteError(
      'index_readonly',
      'Expected an index in a folder, which is calibrated on what it was taught, but this one lies in PostgreSQL',
    );
  }
  if (pair === undefined)
    throw new NearvoteError('not_ready', 'Expected a loaded index but it is still loading');
  const { name, sha256, digest } = encoderIdentity(pair.encoder);
  const { rule: unknownRule, epsilon } = served.classifier?.calibration?.unknown ?? defaultUnknown;
  return calibrateTaughtAside({
    ...{ root, share, encoder: { name, sha256, digest }, vote: vote.settings, clampK: true },
    ...{ search: flags.search, threads: 1, unknownRule, epsilon, seed: 0 },
    ...{ replace, replaceBy: '?replace=true', staleAfter: flags.staleAfter },
  });
}

/** The writer's lock of an index, or why this server does not have it: then it serves it as others change it. */
async function writerOf(
  root: string | undefined,
  { mayChange, logger }: { readonly mayChange: boolean; readonly logger: Logger },
): Promise<LiveChangesOptions['writer']> {
  if (!mayChange) return { absent: 'it was started without an admin key' };
  if (root === undefined) return anybody;
  try {
    return await lockWriter(root);
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    logger.warn({ reason: error.message }, 'the index is served read-only');
    return { absent: error.message };
  }
}

/** The next poll would lose what was changed here, and another server would never have it. */
const unchangeable = {
  absent: 'it is a bundle that was fetched; change the index that it is exported from, and export that again',
};

/** In PostgreSQL any number of servers change an index: each change holds its head. */
const anybody = { assertHeld: () => Promise.resolve(), release: () => Promise.resolve() };
