import { messageOf } from '../domain/errors.js';
import { checkReached, type ReplicaState } from '../neighbours/neighbours.js';
import type { Database } from './database.js';
import type { Head } from './records.js';

/** A copy of the database that PostgreSQL keeps, and that may be some changes behind it. */
export interface Replica {
  readonly database: Database;
  readonly state: ReplicaState;
  /** Whether it has made a change, by what it says now where that is not known; false where it does not answer. */
  reaches(sequence: number): Promise<boolean>;
  /** How far the database itself was just found to be. */
  hearPrimary(sequence: number): void;
  /** How far the replica was just found to be. */
  hear(sequence: number): void;
  /** Asks it how far it is. */
  look(): Promise<void>;
  /** Counts a read that went to the database itself. */
  missed(): void;
}

export interface ReplicaOptions {
  readonly database: Database;
  readonly head: Pick<Head, 'key' | 'name' | 'version' | 'encoder' | 'sequence'>;
  /** Told when it is lost, and when it is back. */
  readonly onChange: (message: string) => void;
}

export function createReplica({ database, head, onChange }: ReplicaOptions): Replica {
  let sequence = -1;
  let primary = head.sequence;
  let caughtUpAt = performance.now();
  let passed = 0;
  let looking: Promise<void> | undefined;
  let why: string | undefined;

  function hear(found: number): void {
    sequence = Math.max(sequence, found);
    if (sequence >= primary) caughtUpAt = performance.now();
    if (why !== undefined) onChange('the replica of the index answers again');
    why = undefined;
  }

  async function ask(): Promise<void> {
    try {
      const rows = await database.select({
        settings: [],
        // Of another server's database the key may be another index.
        sql: 'select sequence from nearvote.indexes where key = $1 and name = $2 and version = $3 and encoder = $4',
        values: [head.key, head.name, head.version, head.encoder],
      });
      const [row] = rows;
      if (row === undefined) throw new Error('it does not have the index');
      hear(Number(row['sequence']));
    } catch (error) {
      sequence = -1;
      if (why === undefined) {
        onChange(`the replica of the index cannot be read; the database itself is: ${messageOf(error)}`);
      }
      why = messageOf(error);
    }
  }

  function look(): Promise<void> {
    looking ??= ask().finally(() => (looking = undefined));
    return looking;
  }

  return {
    database,
    get state() {
      const behind = Math.max(0, primary - Math.max(0, sequence));
      const isReady = why === undefined && sequence >= 0;
      return {
        ...{ ready: isReady, behind, passed },
        lagSeconds: isReady && behind === 0 ? 0 : (performance.now() - caughtUpAt) / 1000,
      };
    },
    reaches: async (wanted) => {
      if (why !== undefined && !database.reachable) return false;
      if (sequence < wanted || why !== undefined) await look();
      return sequence >= wanted;
    },
    hearPrimary: (found) => {
      // Up to now it was as far as anybody knew.
      if (found > primary && sequence >= primary) caughtUpAt = performance.now();
      primary = Math.max(primary, found);
    },
    hear,
    look,
    missed: () => {
      passed++;
    },
  };
}

/** One reading of either database. */
interface Reads<T> {
  readonly primary: () => Promise<T>;
  /** Undefined where there is no replica. */
  readonly replica: (() => Promise<T>) | undefined;
  readonly sequenceOf: (found: T) => number;
}

/** Reads of which no later one is of a state before what this server has answered with. */
export interface MonotoneReader {
  /** @throws NearvoteError `index_behind`, and what the database itself threw */
  read<T>(atLeast: number | undefined, reads: Reads<T>): Promise<T>;
  /** What a change was answered with. */
  tell(sequence: number): void;
}

/**
 * Reads from the replica where that is as far as is asked for, and as every answer before; else, and where the replica fails,
 * from the database itself, whose word it is.
 */
export function createMonotoneReader(replica: Replica | undefined): MonotoneReader {
  let told = 0;

  async function readReplica<T>(wanted: number, reads: Reads<T>): Promise<T | undefined> {
    if (replica === undefined || reads.replica === undefined) return undefined;
    const found = (await replica.reaches(wanted)) ? await reads.replica().catch(() => undefined) : undefined;
    if (found !== undefined) {
      const sequence = reads.sequenceOf(found);
      replica.hear(sequence);
      if (sequence >= wanted) return found;
    }
    replica.missed();
    return undefined;
  }

  return {
    read: async (atLeast, reads) => {
      let found = await readReplica(Math.max(told, atLeast ?? 0), reads);
      if (found === undefined) {
        found = await reads.primary();
        checkReached(reads.sequenceOf(found), atLeast);
      }
      told = Math.max(told, reads.sequenceOf(found));
      return found;
    },
    tell: (sequence) => {
      told = Math.max(told, sequence);
    },
  };
}
