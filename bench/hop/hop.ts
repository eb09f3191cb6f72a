/* A question to another process or thread and its answer, after pauses.  npm run build && npx tsx bench/hop/hop.ts */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { superviseChild } from '../../src/processes/supervised-child.js';

const question = new Uint8Array(32 * 32 * 3);
const pausesMs = [0, 2, 10];
const times = { warmUp: 100, measured: 400 };
const beside = (file: string): URL => new URL(file, import.meta.url);

interface Way {
  readonly name: string;
  ask(): Promise<unknown>;
  end(): void;
}

/** Node's own channel between processes, with structured clones. */
function byIpc(): Way {
  const child = fork(fileURLToPath(beside('./ipc-answerer.mjs')), [], { serialization: 'advanced' });
  const ask = (): Promise<unknown> =>
    new Promise((resolve) => {
      child.once('message', resolve);
      child.send({ question });
    });
  return { name: "process, Node's channel", ask, end: () => child.kill() };
}

/** The frames that the server's own processes speak. */
async function byFrames(): Promise<Way> {
  const child = superviseChild<unknown>({
    ...{
      file: beside('./frame-answerer.mjs'),
      setup: {},
      jobDeadlineMs: 10_000,
      heapMegabytes: 128,
      nice: 0,
    },
    ...{ yielding: false, onReady: () => undefined, onRestart: () => undefined },
  });
  await child.started;
  const ask = (): Promise<unknown> => child.run({ words: {}, parts: [question] });
  return { name: 'process, frames over a pipe', ask, end: () => child.stop() };
}

function byThread(): Way {
  const thread = new Worker(beside('./thread-answerer.mjs'));
  const ask = (): Promise<unknown> =>
    new Promise((resolve) => {
      thread.once('message', resolve);
      thread.postMessage({ question });
    });
  return { name: 'thread', ask, end: () => void thread.terminate() };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The median, in microseconds. */
async function medianOf(way: Way, pauseMs: number): Promise<number> {
  const measured: number[] = [];
  for (let i = 0; i < times.warmUp + times.measured; i++) {
    if (pauseMs > 0) await pause(pauseMs);
    const started = performance.now();
    await way.ask();
    if (i >= times.warmUp) measured.push(1_000 * (performance.now() - started));
  }
  return measured.sort((a, b) => a - b)[Math.floor(measured.length / 2)] ?? NaN;
}

const rows: string[][] = [];
for (const way of [byIpc(), await byFrames(), byThread()]) {
  const medians: string[] = [];
  for (const pauseMs of pausesMs) medians.push((await medianOf(way, pauseMs)).toFixed(0));
  rows.push([way.name, ...medians]);
  way.end();
}
console.log('Microseconds from question (3 KB) to answer (1 KB), median:');
console.log(markdownTable(['', ...pausesMs.map((ms) => `after ${ms} ms`)], rows));
