import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from '../domain/progress.js';

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

export interface LineProgressOptions {
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
