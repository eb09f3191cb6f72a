import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import pLimit from 'p-limit';
import { classifierOf, openPair, type OpenPairOptions } from '../pair.js';
import { createCancellation, type Cancellation } from '../domain/cancellation.js';
import type { Decision } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { imagesInFlight } from '../embed/embed-images.js';
import { applyCalibration, type VoteChoice } from '../examples/calibration-file.js';
import { contentDigest } from '../examples/index-store.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { readImageFile } from '../image/dataset/dataset.js';
import type { ImageFile } from '../image/dataset/walk-images.js';
import { inOrder, type Answer, type Answering } from './answers.js';

export interface LocalAnswersOptions extends Omit<OpenPairOptions, 'maxQueue'> {
  readonly vote: VoteChoice;
  /** How many to show. */
  readonly neighbours: number;
  readonly maxImageBytes: number;
  /** Told what whoever started the command should know. */
  readonly note: (text: string) => void;
}

/** Of image files that are read and not decided yet; more wait, but for one that is larger alone. */
const mostBytesHeld = 128 * 2 ** 20;

/**
 * Opens an index and its encoder in processes of their own, to classify files with.
 * @throws NearvoteError `index_*`, `encoder_*`, `worker_failed`
 */
export async function openLocalAnswers(options: LocalAnswersOptions): Promise<Answering> {
  const { vote, neighbours, maxImageBytes, note } = options;
  const inFlight = imagesInFlight(options);
  const pair = await openPair({ ...options, maxQueue: inFlight });
  const close = async (): Promise<void> => {
    await Promise.all([pair.pool.close(), pair.neighbours.close()]);
  };
  // Said before anything is written of what can only fail.
  if (pair.neighbours.state.examples === 0) {
    await close();
    throw new NearvoteError('index_empty', 'Expected an index with examples but it has none');
  }
  const { calibration, origin, warning } = applyCalibration(pair.calibration, vote);
  if (warning !== undefined) note(warning);
  const classifier = classifierOf(pair, {
    ...{ defaults: vote.settings, calibration },
    calibrationOrigin: origin,
  });
  const room = createRoom(mostBytesHeld);
  const alone = pLimit(1);

  /** An image that ends its worker takes those of its batch along: each is tried again while no other one is. */
  async function decide(bytes: Uint8Array, signal: Cancellation): Promise<Decision> {
    const once = async (): Promise<Decision> =>
      (await classifier.classify(bytes, { neighbours, signal })).decision;
    try {
      return await once();
    } catch (error) {
      if (!isLost(error)) throw error;
      return alone(once);
    }
  }

  async function answer({ path, fault }: ImageFile, signal: Cancellation): Promise<Answer> {
    try {
      if (fault !== undefined) throw faulty(path, fault);
      const { size } = await stat(path).catch(() => ({ size: 0 }));
      const leave = await room.enter(Math.min(size, maxImageBytes));
      try {
        const content = await readImageFile({ id: path, path, maxBytes: maxImageBytes });
        return { file: path, decision: await decide(content.bytes, signal) };
      } finally {
        leave();
      }
    } catch (error) {
      // What is wrong with the image alone; anything else ends the run.
      if (error instanceof NearvoteError && (error.code.startsWith('image_') || isLost(error))) {
        return { file: path, error: { code: error.code, message: error.message } };
      }
      throw error;
    }
  }

  const { published, encoder } = pair;
  const settings = calibration?.vote ?? vote.settings;
  return {
    circumstances: {
      index: published.name,
      version: published.version,
      sequence: classifier.index.sequence,
      content: contentDigest(published.manifest),
      encoder: encoderIdentity(encoder).digest,
      search: pair.neighbours.searchKind,
      calibration:
        calibration === undefined
          ? 'none'
          : createHash('sha256').update(JSON.stringify(calibration)).digest('hex'),
      k: settings.k,
      vote: settings.rule,
      temperature: settings.temperature,
      'prior-correction': settings.priorCorrection,
      neighbours,
      'max-image-bytes': maxImageBytes,
      'max-pixels': options.maxPixels ?? 'default',
      'max-decode-bytes': options.maxDecodeBytes ?? 'default',
    },
    answer: async function* (files, signal) {
      const stop = createCancellation();
      const onAbort = (): void => stop.cancel(new NearvoteError('client_gone', 'Nobody waits for the image'));
      signal?.addEventListener('abort', onAbort);
      try {
        yield* inOrder(files, inFlight, (file) => answer(file, stop.signal));
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      } finally {
        signal?.removeEventListener('abort', onAbort);
      }
    },
    close,
  };
}

function isLost(error: unknown): boolean {
  return error instanceof NearvoteError && error.code === 'worker_failed';
}

/** Why a file that was found while walking can never be read. */
export function faulty(path: string, fault: string): NearvoteError {
  return new NearvoteError('image_missing', `Expected to read ${path} but it cannot be read (${fault})`);
}

interface Room {
  /** Waits until so many bytes fit; what it gives frees them. */
  enter(bytes: number): Promise<() => void>;
}

function createRoom(most: number): Room {
  let held = 0;
  const waiting: (() => void)[] = [];
  const fits = (bytes: number): boolean => held === 0 || held + bytes <= most;
  return {
    enter: async (bytes) => {
      while (!fits(bytes)) await new Promise<void>((resolve) => waiting.push(resolve));
      held += bytes;
      return () => {
        held -= bytes;
        for (const wake of waiting.splice(0)) wake();
      };
    },
  };
}
