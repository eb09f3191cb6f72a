import { Counter, Gauge, type Registry } from 'prom-client';
import type { BundleState } from '../bundles/bundle-feed.js';
import { NearvoteError } from '../domain/errors.js';
import type { ReplicaState } from '../neighbours/neighbours.js';
import type { Following } from './following.js';
import type { ServedIndex } from './serving.js';

/** An index of the server, as it is at a scrape. */
interface WatchedIndex {
  readonly served: Pick<ServedIndex, 'classifier' | 'pair' | 'changes' | 'workersReady' | 'bundle'>;
  readonly following: Pick<Following, 'staleSeconds'>;
}

/** What is counted of an index that changes while it answers. */
export interface IndexMetrics {
  /** Asked at every scrape. */
  watchIndex(name: string, watched: WatchedIndex): void;
  compacted(name: string, result: 'ok' | 'failed'): void;
  decisionsLost(name: string, decisions: number): void;
  /** A search that failed. */
  searchFailed(name: string, error: unknown): void;
}

/** @param series what each index is called in its series, by its name */
export function createIndexMetrics(registry: Registry, series: ReadonlyMap<string, string>): IndexMetrics {
  const registers = [registry];
  const watching = new Map<string, WatchedIndex>();

  const gauge = (name: string, help: string, value: (watched: WatchedIndex) => number): void => {
    new Gauge({
      ...{ name, help, labelNames: ['index'], registers },
      collect() {
        for (const [index, name] of series) {
          const watched = watching.get(index);
          this.set({ index: name }, watched === undefined ? 0 : value(watched));
        }
      },
    });
  };
  gauge('nearvote_index_ready', '1 where requests for the index can be answered', ({ served }) =>
    Number(served.classifier !== undefined && served.workersReady()),
  );
  gauge(
    'nearvote_index_examples',
    'Examples in the index',
    ({ served }) => served.classifier?.index.examples ?? 0,
  );
  gauge(
    'nearvote_index_sequence',
    'Number of the last change that the index has made',
    ({ served }) => served.classifier?.index.sequence ?? 0,
  );
  gauge(
    'nearvote_index_changed_examples',
    'Examples that were added, left out or relabelled since the version was built; a compaction folds them in',
    ({ served }) => served.pair?.neighbours.state.changed ?? 0,
  );
  gauge('nearvote_index_writable', '1 where this server may change the index', ({ served }) =>
    Number(served.changes.readonlyBecause === undefined),
  );
  gauge(
    'nearvote_index_stale_seconds',
    'Since the changes of another process were last seen; 0 where this server makes them',
    ({ following }) => following.staleSeconds,
  );
  gauge(
    'nearvote_calibration_changed_share',
    'Share of the examples that changed since the calibration; 0 without one',
    ({ served }) => served.classifier?.calibrationAge?.changedSince ?? 0,
  );
  gauge('nearvote_calibration_stale', '1 where the calibration should be fitted anew', ({ served }) =>
    Number(served.classifier?.calibrationAge?.stale ?? false),
  );
  const eachBundle = (take: (index: string, state: BundleState) => void): void => {
    for (const [index, name] of series) {
      const state = watching.get(index)?.served.bundle?.state;
      if (state !== undefined) take(name, state);
    }
  };
  const ofBundles = (name: string, help: string, value: (state: BundleState) => number): void => {
    new Gauge({
      ...{ name, help, labelNames: ['index'], registers },
      collect() {
        eachBundle((index, state) => this.set({ index }, value(state)));
      },
    });
  };
  ofBundles(
    'nearvote_bundle_last_success_timestamp_seconds',
    'When what is fetched was last seen to be served; 0 before',
    ({ lastSuccess }) => (lastSuccess?.getTime() ?? 0) / 1000,
  );
  ofBundles(
    'nearvote_bundle_failing',
    '1 while a bundle or its pointer cannot be fetched, read or served, and the one before goes on',
    ({ failure }) => Number(failure !== undefined),
  );
  new Counter({
    name: 'nearvote_bundle_failures_total',
    help: 'Times that a bundle or its pointer could not be fetched, read or served',
    labelNames: ['index'],
    registers,
    collect() {
      this.reset();
      eachBundle((index, { failures }) => this.inc({ index }, failures));
    },
  });
  const ofReplica = (name: string, help: string, value: (state: ReplicaState) => number): void =>
    gauge(name, `${help}; 0 without a replica`, ({ served }) => {
      const state = served.pair?.neighbours.replica;
      return state === undefined ? 0 : value(state);
    });
  ofReplica('nearvote_index_replica_ready', '1 where the replica of the index is read', ({ ready }) =>
    Number(ready),
  );
  ofReplica(
    'nearvote_index_replica_behind_changes',
    'Changes that the replica has not made yet',
    ({ behind }) => behind,
  );
  ofReplica(
    'nearvote_index_replica_lag_seconds',
    'Since the replica was last as far as the index',
    ({ lagSeconds }) => lagSeconds,
  );
  new Counter({
    name: 'nearvote_index_replica_passed_reads_total',
    help: 'Reads that went to the database since the replica was too far behind, or did not answer',
    ...{ labelNames: ['index'], registers },
    collect() {
      // It is counted where the reads are; a counter is given no value but by adding to 0.
      this.reset();
      for (const [index, name] of series)
        this.inc({ index: name }, watching.get(index)?.served.pair?.neighbours.replica?.passed ?? 0);
    },
  });
  const compactions = new Counter({
    name: 'nearvote_index_compactions_total',
    help: 'Foldings of the changes of an index into a new version',
    labelNames: ['index', 'result'],
    registers,
  });
  const lost = new Counter({
    name: 'nearvote_kept_decisions_lost_total',
    help: 'Decisions that could not be kept for feedback: the disk is full or too slow',
    labelNames: ['index'],
    registers,
  });
  const incomplete = new Counter({
    name: 'nearvote_index_incomplete_searches_total',
    help: 'Searches that found fewer neighbours than there are, which is an error: the graph should be made anew',
    labelNames: ['index'],
    registers,
  });
  for (const index of series.values()) {
    lost.inc({ index }, 0);
    incomplete.inc({ index }, 0);
    for (const result of ['ok', 'failed']) compactions.inc({ index, result }, 0);
  }

  return {
    watchIndex: (name, watched) => {
      if (series.has(name)) watching.set(name, watched);
    },
    searchFailed: (name, error) => {
      const index = series.get(name);
      const isIncomplete = error instanceof NearvoteError && error.code === 'search_incomplete';
      if (index !== undefined && isIncomplete) incomplete.inc({ index });
    },
    decisionsLost: (name, decisions) => {
      const index = series.get(name);
      if (index !== undefined) lost.inc({ index }, decisions);
    },
    compacted: (name, result) => {
      const index = series.get(name);
      if (index !== undefined) compactions.inc({ index, result });
    },
  };
}
