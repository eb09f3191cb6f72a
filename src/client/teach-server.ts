import type { TeachRequest } from '../curate/managed-index.js';
import { createTeaching, type Taught, type Teaching } from '../curate/taught.js';
import { errorCodes, NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
import type { LabelledFiles } from '../image/dataset/labelled-files.js';
import type { Changed, ChangeOutcome } from '../neighbours/changes.js';
import { addedOneSchema, addedSchema } from './index-answers.js';
import type { Asking, IndexRequests, Refused } from './index-requests.js';
import { encodeForm } from './server-connection.js';

/** Of one request: far below what a server takes unless it is told less, and then they are sent in halves. */
const most = { images: 16, bytes: 16_000_000 };

/** An image that was read, or why it cannot be. */
interface Item {
  readonly file: string;
  readonly source: string;
  readonly label: string;
  readonly read: Uint8Array | NearvoteError;
}

type Said = Pick<TeachRequest, 'id' | 'reason' | 'who'>;

/**
 * Sends image files to a server that makes them examples, some at a time, each request going on with the one before, so that
 * all are one operation unless somebody else changes the index meanwhile. An image that is refused is left out and told.
 * @throws NearvoteError what the server refuses, with what was added before
 */
export async function teachServer(
  requests: IndexRequests,
  { files, signal, ...said }: TeachRequest,
  progress: Progress,
): Promise<Taught> {
  const teaching = createTeaching(0);
  progress.start({ name: 'teaching', total: files.size, unit: 'images' });
  try {
    for await (const group of groups(files)) {
      await teachGroup(requests, teaching, { ...said, group });
      progress.advance(group.length);
      if (signal?.aborted === true) break;
    }
  } catch (error) {
    throw teaching.interrupted(error);
  }
  progress.finish();
  return teaching.result();
}

/** Files of one label by the request. */
async function* groups(files: LabelledFiles): AsyncGenerator<Item[]> {
  let group: Item[] = [];
  let bytes = 0;
  for await (const image of files.images()) {
    const { id, label, source } = image;
    const item = { file: id, label, source, read: await readOrRefuse(image) };
    const size = item.read instanceof NearvoteError ? 0 : item.read.byteLength;
    const isFull = group.length >= most.images || bytes + size > most.bytes || group[0]?.label !== label;
    if (group.length > 0 && isFull) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(item);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

async function readOrRefuse(image: LabelledImage): Promise<Uint8Array | NearvoteError> {
  try {
    const content = await image.read();
    if (content.kind === 'file') return content.bytes;
    return new NearvoteError('image_unsupported', 'Expected an image file but there are pixels alone');
  } catch (error) {
    if (error instanceof NearvoteError && error.code.startsWith('image_')) return error;
    throw error;
  }
}

async function teachGroup(
  requests: IndexRequests,
  teaching: Teaching,
  { group, ...said }: Said & { readonly group: readonly Item[] },
): Promise<void> {
  const readable = group.filter(({ read }) => !(read instanceof NearvoteError));
  const answer =
    readable.length === 0
      ? { outcomes: [] }
      : await send(requests, { ...said, continues: teaching.operation }, readable);
  if (answer === 'too much') {
    const half = Math.ceil(group.length / 2);
    await teachGroup(requests, teaching, { ...said, group: group.slice(0, half) });
    await teachGroup(requests, teaching, { ...said, group: group.slice(half) });
    return;
  }
  const outcomes = [...answer.outcomes];
  for (const { file, read } of group) {
    const outcome = read instanceof NearvoteError ? refused(read.code, read.message) : outcomes.shift();
    if (outcome !== undefined) teaching.settle(file, outcome);
  }
  if (answer.made !== undefined) teaching.made([], { ...answer.made, outcomes: [] });
}

interface Answered {
  readonly outcomes: readonly ChangeOutcome[];
  /** Absent where nothing was taken. */
  readonly made?: Pick<Changed, 'sequence' | 'operation'>;
}

interface Sent extends Said {
  readonly continues: number | undefined;
}

async function send(
  requests: IndexRequests,
  { id, reason, who, continues }: Sent,
  items: readonly Item[],
): Promise<Answered | 'too much'> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ label: items[0]?.label, id, reason, who, continues })) {
    if (value !== undefined && value !== null) form.set(name, String(value));
  }
  for (const { read, source } of items) {
    if (read instanceof NearvoteError) continue;
    form.append(id === undefined ? 'images' : 'image', new Blob([Buffer.from(read)]), source);
  }
  const sending: Asking = { method: 'POST', body: await encodeForm(form) };
  const reply = await requests.tell('examples', sending);
  if (reply.kind === 'refused') {
    if (isTooMuch(reply) && items.length > 1) return 'too much';
    if (!reply.code.startsWith('image_') && !isTooMuch(reply) && !isOfOne(reply)) {
      throw requests.refusal(reply, sending);
    }
    return { outcomes: [refused(reply.code, reply.detail)] };
  }
  if (id !== undefined) {
    const { sequence, outcome, ...one } = requests.read(reply.body, addedOneSchema, sending);
    const operation = outcome === 'unchanged' ? null : sequence;
    return { made: { sequence, operation }, outcomes: [{ outcome, ...one }] };
  }
  const { sequence, operation, results } = requests.read(reply.body, addedSchema, sending);
  if (results.length !== items.length) throw requests.strange(sending);
  const outcomes = results.map((one): ChangeOutcome => {
    if (!('error' in one)) return one;
    const { code, detail, title = code } = one.error;
    return refused(errorCodes.find((known) => known === code) ?? 'server_refused', detail ?? title);
  });
  return { made: { sequence, operation }, outcomes };
}

function isTooMuch({ code }: Refused): boolean {
  return code === 'too_many_images' || code === 'body_too_large';
}

/** A fault of the example, not of the request. */
function isOfOne({ code }: Refused): boolean {
  return code === 'example_conflict';
}

function refused(code: NearvoteError['code'], message: string): ChangeOutcome {
  return { outcome: 'refused', code, message };
}
