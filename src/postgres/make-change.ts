import { randomUUID } from 'node:crypto';
import type { Change } from '../examples/journal-record.js';
import { continuedBy, type Changed, type ChangeRequest } from '../neighbours/changes.js';
import type { IndexState } from '../neighbours/neighbours.js';
import { planChanges } from '../neighbours/plan-changes.js';
import type { Database, Query } from './database.js';
import { loadFor, planStateOf } from './plan-state.js';
import { changeColumns, parseChange, readHead, readLabels, stateOf, type Head } from './records.js';
import { writeChanges } from './write-changes.js';

export interface Made {
  readonly answer: Changed;
  /** Of the index once the change is made. */
  readonly state: IndexState;
}

/** What an attempt has written whose commit may have been lost, or its answer. */
interface Written {
  readonly first: number;
  readonly answer: Changed;
}

/**
 * Plans a change against what the database holds and writes it, once, whatever becomes of the connection.
 * @throws NearvoteError as `planChanges`; `index_missing`, `database_unreachable`
 */
export function makeChange(
  database: Database,
  { key, name }: Pick<Head, 'key' | 'name'>,
  request: ChangeRequest,
  at: () => Date,
): Promise<Made> {
  const id = randomUUID();
  let written: Written | undefined;
  return database.transaction('write', async (query): Promise<Made> => {
    // Whoever changes an index holds its head: sequences are given in the order of commits, without gaps.
    const head = await readHead(query, name, 'for update');
    if (written !== undefined && (await isWritten(query, { key, sequence: written.first, id }))) {
      return { answer: written.answer, state: stateOf(head, await readLabels(query, key)) };
    }
    const loaded = await loadFor(query, head, request);
    const planned = planStateOf(head, loaded);
    const { changes: drafts, outcomes, reverts } = planChanges(planned.state, planned.history, request);
    if (drafts.length === 0) {
      const answer = { sequence: head.sequence, operation: null, outcomes };
      return { answer, state: stateOf(head, loaded.labels) };
    }
    const { reason, who } = request;
    const continues =
      request.kind === 'add' && request.continues !== undefined
        ? continuedBy(request, await newestChange(query, key))
        : undefined;
    const operation = await writeChanges(query, {
      ...{ head, loaded, drafts, reason, who, reverts, continues },
      ...{ at: at(), request: id },
    });
    const answer = { sequence: head.sequence + drafts.length, operation, outcomes };
    written = { first: head.sequence + 1, answer };
    return { answer, state: stateOf(await readHead(query, name), await readLabels(query, key)) };
  });
}

interface Mark {
  readonly key: number;
  readonly sequence: number;
  readonly id: string;
}

async function isWritten(query: Query, { key, sequence, id }: Mark): Promise<boolean> {
  const rows = await query(
    'select from nearvote.changes where index_key = $1 and sequence = $2 and request = $3',
    [key, sequence, id],
  );
  return rows.length > 0;
}

async function newestChange(query: Query, key: number): Promise<Change | undefined> {
  const rows = await query(
    `select ${changeColumns} from nearvote.changes where index_key = $1 order by sequence desc limit 1`,
    [key],
  );
  return rows.map(parseChange)[0];
}
