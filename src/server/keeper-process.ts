/* The process that keeps decisions on the disk; server/decision-keeper.ts starts it. */
import { messageOf, NearvoteError } from '../domain/errors.js';
import { contentDigest } from '../embed/image-key.js';
import {
  openKeptDecisions,
  setAsideKeptDecisions,
  type KeptDecision,
  type KeptDecisions,
} from '../examples/kept-decisions.js';
import { keptPicture } from '../image/kept-picture.js';
import { answerParent } from '../processes/child.js';
import { bytesOf, floatsOf, type Frame } from '../processes/frames.js';
import type { KeepJob, KeeperJob, KeeperReady, KeeperReply, KeeperSetup } from './keeper-messages.js';

let setup: KeeperSetup | undefined;
let store: KeptDecisions | undefined;
/** How often what is too old is left out while nothing new comes. */
const forgetEveryMs = 60_000;

async function setUp(given: unknown): Promise<KeeperReady> {
  setup = given as KeeperSetup;
  try {
    await open();
    return {};
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { setAside: await beginAnew() };
  } finally {
    setInterval(forgetOld, forgetEveryMs).unref();
  }
}

async function open(): Promise<KeptDecisions> {
  if (setup === undefined) throw new NearvoteError('not_ready', 'Expected a setup before the first job');
  return (store = await openKeptDecisions({ ...setup, now: () => new Date() }));
}

/** What was kept is for convenience: a damaged file is left to whoever wants to look at it. */
async function beginAnew(): Promise<string> {
  store?.close();
  store = undefined;
  const aside = await setAsideKeptDecisions(setup?.root ?? '', new Date());
  await open();
  return aside;
}

function isDamage(error: unknown): boolean {
  return error instanceof NearvoteError && error.code === 'index_invalid';
}

function forgetOld(): void {
  try {
    store?.forgetOld();
  } catch {
    // The next decision that is kept says what is wrong.
  }
}

/** What is wrong with the file is part of an answer: an error would be taken for a fault of this process. */
async function run({ words, parts }: Frame): Promise<Frame> {
  try {
    return await answerTo(store ?? (await open()), words as KeeperJob, parts);
  } catch (error) {
    const code = error instanceof NearvoteError ? error.code : 'internal';
    const setAside = isDamage(error) ? await beginAnew() : undefined;
    return reply({ error: { code, message: messageOf(error) }, setAside });
  }
}

async function answerTo(kept: KeptDecisions, job: KeeperJob, parts: Frame['parts']): Promise<Frame> {
  switch (job.ask) {
    case 'keep': {
      const decisions = await readDecisions(job, parts);
      kept.keep(decisions);
      return reply({ unreadable: job.decisions.length - decisions.length });
    }
    case 'find': {
      const found = kept.find(job.id);
      if (found === undefined) return reply({});
      const { decision, at, digest, encoder, embedding, picture } = found;
      const { mediaType, bytes } = picture;
      return reply({ found: { decision, at: at.getTime(), digest, encoder, mediaType } }, [
        bytesOf(embedding),
        bytes,
      ]);
    }
    case 'review':
      return reply({ page: kept.review(job.query) });
    case 'answered':
      kept.answered(job.digest);
      return reply({});
  }
}

function reply(words: KeeperReply, parts: Frame['parts'] = []): Frame {
  return { words, parts };
}

/** Large pictures are made smaller here, where nobody waits for it. */
async function readDecisions({ decisions }: KeepJob, parts: Frame['parts']): Promise<KeptDecision[]> {
  const read: KeptDecision[] = [];
  for (const [i, { decision, at, encoder }] of decisions.entries()) {
    const file = parts[2 * i + 1] ?? new Uint8Array(0);
    try {
      read.push({
        ...{ decision, at: new Date(at), encoder },
        digest: contentDigest({ kind: 'file', bytes: file }).toString('hex'),
        embedding: floatsOf(parts[2 * i]),
        picture: await keptPicture(file),
      });
    } catch (error) {
      // It was decoded once; what cannot be made smaller is not kept.
      if (!(error instanceof NearvoteError)) throw error;
    }
  }
  return read;
}

answerParent({ setUp, run });
