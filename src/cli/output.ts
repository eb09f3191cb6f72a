import { access, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { clearLine, cursorTo } from 'node:readline';
import { Presets, SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import type { TableSection } from '../report/section.js';
import type { Narration } from '../train/describe-run.js';
import { printable, printableLines, printError } from './printable.js';

/**
 * Whether a file could be written, before the long work that makes it.
 * @throws NearvoteError `output_unwritable`
 */
export async function checkWritable(file: string): Promise<void> {
  await access(dirname(resolve(file)), constants.W_OK).catch((cause: unknown) => {
    throw unwritable(file, cause);
  });
}

/**
 * Writes a file that was asked for, and says so on stderr.
 * @throws NearvoteError `output_unwritable`
 */
export async function writeOutput(file: string, text: string): Promise<void> {
  await writeWhole(file, text).catch((cause: unknown) => {
    throw unwritable(file, cause);
  });
  printError(printable(`${file} is written`));
}

/** Writes beside the file and renames, so that a full disk leaves what was there, and no part of a file. */
async function writeWhole(file: string, text: string): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  // A pipe or a device cannot be replaced, nor should what /dev/stdout leads to.
  if ((there !== undefined && !there.isFile()) || resolve(file).startsWith('/dev/')) {
    await writeFile(file, text);
    return;
  }
  const place = there === undefined ? file : await realpath(file);
  const staged = `${place}.${process.pid}.part`;
  try {
    await writeFile(staged, text, { mode: there?.mode });
    await rename(staged, place);
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  }
}

function unwritable(file: string, cause: unknown): NearvoteError {
  const reason = systemCodeOf(cause);
  return new NearvoteError('output_unwritable', `Expected to write ${file} but cannot (${reason})`, {
    cause,
  });
}

/** No line between rows. */
export const noRules = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** A table of a page for a terminal, with the same figures. */
export function tableOf({ columns, rows }: TableSection): string {
  const table = new Table({
    head: columns.map(({ name }) => name),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const row of rows) table.push(row.map((cell) => (typeof cell === 'string' ? printable(cell) : cell)));
  return table.toString();
}

/** Lines of a training on stderr unless told; a terminal also has one that is rewritten with every step. */
export function createNarration(stream: ProgressStream = process.stderr): Narration {
  const live = stream.isTTY === true;
  function clear(): void {
    if (!live) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  }
  return {
    say: (line) => {
      clear();
      stream.write(`${printableLines(line)}\n`);
    },
    show: (line) => {
      clear();
      if (live && line !== undefined) stream.write(printable(line));
    },
  };
}

/** Where progress goes: a terminal gets a bar, anything else plain lines. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

/** Progress with rate and time left, on stderr unless told: stdout is for results. */
export function createProgress(stream: ProgressStream = process.stderr): Progress {
  return stream.isTTY === true ? barProgress(stream) : lineProgress({ stream, now: () => performance.now() });
}

function barProgress(stream: ProgressStream): Progress {
  let bar: SingleBar | undefined;
  let started = 0;
  let done = 0;
  return {
    start: ({ name, total, unit }) => {
      bar?.stop();
      bar = new SingleBar(
        {
          stream,
          format: `${name} {bar} {value}/{total} ${unit} | {rate} ${unit}/s | {eta_formatted} left`,
          hideCursor: true,
          etaBuffer: 100,
          stopOnComplete: false,
        },
        Presets.shades_classic,
      );
      started = performance.now();
      done = 0;
      bar.start(total, 0, { rate: 0 });
    },
    advance: (by) => {
      done += by;
      bar?.increment(by, { rate: rateOf(done, performance.now() - started) });
    },
    finish: () => {
      bar?.stop();
      bar = undefined;
    },
  };
}

const msBetweenLines = 5_000;

interface LineProgressOptions {
  readonly stream: NodeJS.WritableStream;
  /** In milliseconds. */
  readonly now: () => number;
}

/** A line every few seconds, and one at the end of each stage. */
export function lineProgress({ stream, now }: LineProgressOptions): Progress {
  let stage: { name: string; total: number; unit: string } | undefined;
  let done = 0;
  let started = 0;
  let written = 0;

  function write(): void {
    if (stage === undefined) return;
    const elapsedMs = now() - started;
    const rate = rateOf(done, elapsedMs);
    const left = rate > 0 && done < stage.total ? `, ${Math.ceil((stage.total - done) / rate)} s left` : '';
    stream.write(`${stage.name}: ${done}/${stage.total} ${stage.unit}, ${rate} ${stage.unit}/s${left}\n`);
    written = now();
  }

  return {
    start: (next) => {
      stage = next;
      done = 0;
      started = written = now();
    },
    advance: (by) => {
      done += by;
      if (now() - written >= msBetweenLines) write();
    },
    finish: () => {
      write();
      stage = undefined;
    },
  };
}

/** A second, to three figures. */
function rateOf(done: number, elapsedMs: number): number {
  return elapsedMs > 0 ? Number(((done * 1000) / elapsedMs).toPrecision(3)) : 0;
}
