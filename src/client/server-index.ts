import { NearvoteError } from '../domain/errors.js';
import { sequenceAmong } from '../curate/diff-index.js';
import type {
  EditRequest,
  FoldedVersion,
  LogRequest,
  ManagedIndex,
  TeachRequest,
} from '../curate/managed-index.js';
import type { BoundedDifference } from '../curate/look-aside.js';
import type { VerifiedIndex } from '../curate/verify-index.js';
import type { Taught } from '../curate/taught.js';
import type { Progress } from '../domain/progress.js';
import type { ChangeKind, LoggedChange } from '../examples/journal-record.js';
import type { Changed, ChangeOutcome } from '../neighbours/changes.js';
import {
  changesSchema,
  compactedSchema,
  differencesSchema,
  editedSchema,
  indexesSchema,
  operationSchema,
  verificationSchema,
  versionsSchema,
} from './index-answers.js';
import { createIndexRequests, type Asking, type IndexRequests } from './index-requests.js';
import {
  createServerConnection,
  type RetryOptions,
  type ServerConnectionOptions,
} from './server-connection.js';
import {
  fetchBundle,
  sendBundle,
  type FetchBundle,
  type FetchedBundle,
  type SendBundle,
  type SentBundle,
} from './server-bundle.js';
import { teachServer } from './teach-server.js';

export interface ServerIndexOptions extends ServerConnectionOptions {
  /** By name; the server's first unless told. */
  readonly index?: string | undefined;
  /** Another only in tests. */
  readonly retry?: Partial<Pick<RetryOptions, 'retries' | 'pauseMs'>> | undefined;
}

/** An index of a server. */
export interface ServerIndex extends ManagedIndex {
  teach(request: TeachRequest, progress: Progress): Promise<Taught>;
  compact(): Promise<FoldedVersion>;
  /** Of which at most `limit` examples of each kind are named, be that more than a server names. */
  diff(asked: {
    readonly from: string;
    readonly to: string;
    readonly limit: number;
  }): Promise<BoundedDifference>;
  verify(): Promise<VerifiedIndex>;
  /** The names of all indexes of the server. */
  names(): Promise<readonly string[]>;
  exportTo(asked: FetchBundle): Promise<FetchedBundle>;
  importFrom(asked: SendBundle): Promise<SentBundle>;
}

/** Of one page; a server lists no more. */
const mostInPage = 1_000;
/** Node's fetch waits no longer for an answer to begin. */
const long = { method: 'POST', timeoutMs: 290_000 } as const;
const defaultRetry = { retries: 6, pauseMs: (n: number): number => 250 * 2 ** n };

/**
 * An index of a server that runs, asked with its admin key. What the server refuses has its own code and message.
 * @throws NearvoteError `usage` for an address or a key that is none
 */
export function createServerIndex(options: ServerIndexOptions): ServerIndex {
  const { index, signal } = options;
  const requests = createIndexRequests({
    connection: createServerConnection(options),
    index,
    retry: { ...defaultRetry, signal, ...options.retry },
  });
  const describe: ManagedIndex['describe'] = async () => {
    const { current, ...described } = await requests.ask('versions', versionsSchema);
    const { name, sequence, changesSince, examples, labels, encoder } = described;
    const { dimension, search, dataset, versions, bytes } = described;
    return {
      ...{ name, version: current, sequence, changesSince, examples, labels, encoder },
      ...{ dimension, search, dataset, versions, bytes },
    };
  };
  return {
    teach: (request, progress) => teachServer(requests, request, progress),
    change: (request) => change(requests, request),
    log: (request) => log(requests, request),
    describe,
    diff: ({ from, to, limit }) => {
      const query = { from, to, limit: Math.min(Math.max(limit, 1), mostInPage) };
      return requests.ask('differences', differencesSchema, { query });
    },
    verify: () => requests.ask('verification', verificationSchema, long),
    names: async () => (await requests.ask('readyz', indexesSchema)).indexes.map(({ name }) => name),
    exportTo: (asked) => fetchBundle(requests, asked),
    importFrom: (asked) => sendBundle(requests, asked),
    compact: async () => {
      const { name, version, sequence, examples, changed, refused } = await requests.ask(
        'versions',
        compactedSchema,
        long,
      );
      return { name, version, sequence, examples, changed, refused: refused ?? undefined };
    },
    sequenceCalled: async (state) =>
      /^\d{1,15}$/.test(state) ? Number(state) : sequenceAmong((await describe()).versions, state),
  };
}

async function change(requests: IndexRequests, request: EditRequest): Promise<Changed> {
  const { reason, who } = request;
  const said = { ...(reason === null ? {} : { reason }), ...(who === null ? {} : { who }) };
  if (request.kind === 'edit') {
    const { acts } = request;
    const edited = await requests.ask('changes', editedSchema, jsonOf({ acts, ...said }));
    return { sequence: edited.sequence, operation: edited.operation, outcomes: edited.outcomes };
  }
  const [path, asked] =
    request.kind === 'rename'
      ? [`labels/${segment(request.from)}`, jsonOf({ to: request.to, ...said })]
      : [`changes/${request.sequence}/${request.kind}`, jsonOf(said)];
  const { sequence, operation } = await requests.ask(path, operationSchema, asked);
  return {
    sequence,
    operation,
    outcomes: operation === null ? [] : await outcomesOf(requests, operation, sequence),
  };
}

/** What became of each example by an operation, the last of all changes then. */
async function outcomesOf(
  requests: IndexRequests,
  operation: number,
  sequence: number,
): Promise<ChangeOutcome[]> {
  const limit = sequence - operation + 1;
  const changes = await log(requests, { before: sequence + 1, limit }).catch((error: unknown) => {
    if (!(error instanceof NearvoteError)) throw error;
    throw new NearvoteError(
      error.code,
      `The change was made and nearvote index revert ${operation}, with the same --server and --index, takes it back, but what it came to cannot be told: ${error.message}`,
      { cause: error },
    );
  });
  // An example may be deleted and restored as another by the same operation.
  const byId = new Map<string, ChangeOutcome>();
  for (const { id, kind, label, was } of changes.toReversed()) {
    byId.delete(id);
    byId.set(id, { outcome: outcomeOf[kind], id, label: label ?? was ?? '' });
  }
  return [...byId.values()];
}

const outcomeOf = {
  add: 'added',
  relabel: 'relabelled',
  delete: 'deleted',
  restore: 'restored',
} as const satisfies Record<ChangeKind, ChangeOutcome['outcome']>;

async function log(
  requests: IndexRequests,
  { limit, before, id }: LogRequest,
): Promise<readonly LoggedChange[]> {
  const changes: LoggedChange[] = [];
  let from = before;
  while (changes.length < limit) {
    const query = { before: from, id, limit: Math.min(limit - changes.length, mostInPage) };
    const page = await requests.ask('changes', changesSchema, { query });
    changes.push(...page.changes);
    if (page.next === null || page.changes.length === 0) break;
    from = page.next;
  }
  return changes;
}

function jsonOf(value: object): Asking {
  return { method: 'POST', body: { bytes: JSON.stringify(value), contentType: 'application/json' } };
}

/** @throws NearvoteError `usage` for what an address leaves out */
function segment(label: string): string {
  if (label !== '.' && label !== '..') return encodeURIComponent(label);
  throw new NearvoteError('usage', `Expected a label that can stand in an address but received ${label}`);
}
