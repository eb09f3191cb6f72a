import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import { countImages, walkImages, type ImageFile } from '../image/dataset/walk-images.js';
import type { Answering } from './answers.js';
import { openResultFile, type ResultFile } from './result-file.js';

export interface ClassifyToCsvOptions {
  /** Image files, and folders of them. */
  readonly paths: readonly string[];
  readonly csv: string;
  /** Begin anew where there is such a file. */
  readonly overwrite: boolean;
  /** Opens what classifies; `files` are left to do. */
  readonly open: (files: number) => Promise<Answering>;
  /** Stops after the row at work. */
  readonly signal?: AbortSignal | undefined;
  /** Told what whoever started the run should know. */
  readonly note: (text: string) => void;
}

export interface BatchResult {
  readonly csv: string;
  /** Rows of the file, of this run and of those before it. */
  readonly rows: number;
  /** Of all of them, those of files that could not be classified. */
  readonly failed: number;
  /** Rows of this run. */
  readonly added: number;
  /** Of this run. */
  readonly seconds: number;
  /** Before every file had its row. */
  readonly stopped: boolean;
}

/**
 * Classifies files into a CSV with a row each, in the order in which they are found. Files that have a row are not
 * classified again: a run that was ended goes on where it was, however it ended.
 * @throws NearvoteError `image_missing` where there is nothing to classify, `output_exists`, `output_unwritable`, and what
 * `open` and the answering throw; rows that were written stay
 */
export async function classifyToCsv(options: ClassifyToCsvOptions, progress: Progress): Promise<BatchResult> {
  const { paths, csv, overwrite, open } = options;
  const file = await openResultFile({ file: csv, overwrite });
  try {
    const passedOver = new Map<string, number>();
    const left = await countImages(paths, {
      own: file.own,
      passedOver,
      counts: ({ path }) => !file.has(path),
    });
    if (left === 0 && file.rows === 0) {
      throw new NearvoteError('image_missing', `Expected images in ${paths.join(', ')} but there are none`);
    }
    notePassedOver(passedOver, options.note);
    const answering = await open(left);
    try {
      return await answerInto(file, { ...options, answering, left }, progress);
    } finally {
      await answering.close();
    }
  } finally {
    await file.close();
  }
}

interface AnswerIntoOptions extends ClassifyToCsvOptions {
  readonly answering: Answering;
  readonly left: number;
}

async function answerInto(
  file: ResultFile,
  { paths, csv, answering, left, signal, note }: AnswerIntoOptions,
  progress: Progress,
): Promise<BatchResult> {
  await file.begin(answering.circumstances);
  const before = file.rows;
  if (before > 0) note(`${csv} has ${before} rows; ${left} files are left to do`);
  let { version } = answering.circumstances;
  const started = performance.now();
  if (left > 0) progress.start({ name: 'classify', total: left, unit: 'images' });
  for await (const answer of answering.answer(unclaimed(file, paths, signal), signal)) {
    // A server may be given another index meanwhile.
    if ('decision' in answer && answer.decision.index.version !== version) {
      note(
        `the index is at version ${answer.decision.index.version} from ${answer.file} on, and was at ${String(version)}; the column index_version tells the rows apart`,
      );
      ({ version } = answer.decision.index);
      await file.record({ ...answering.circumstances, version });
    }
    file.append(answer);
    progress.advance(1);
    if (signal?.aborted === true) break;
  }
  progress.finish();
  return {
    csv,
    rows: file.rows,
    failed: file.failed,
    added: file.rows - before,
    seconds: (performance.now() - started) / 1_000,
    stopped: signal?.aborted === true,
  };
}

async function* unclaimed(
  file: ResultFile,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageFile> {
  for await (const found of walkImages(paths, { own: file.own })) {
    if (signal?.aborted === true) return;
    if (file.claim(found.path)) yield found;
  }
}

function notePassedOver(passedOver: ReadonlyMap<string, number>, note: (text: string) => void): void {
  if (passedOver.size === 0) return;
  const said = [...passedOver].sort().map(([what, count]) => `${count} ${what}`);
  note(`passed over what is no image by its name or kind: ${said.join(', ')}`);
}
