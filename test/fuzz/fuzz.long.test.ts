import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { writeSmallIndex } from '../cli/small-index.js';
import { drawColour } from '../server/colour-classifier.js';
import { judge } from './judge.js';
import type { FuzzRequest } from './request.js';
import { fuzzRequest } from './requests.js';
import { drawSeedImages, type SeedImage } from './seed-images.js';
import { sendBytes } from './send-bytes.js';
import { models, serveChild, type ServedChild } from './served-child.js';

const cases = Number(process.env.NEARVOTE_FUZZ_CASES ?? 500);
/** The same cases in every run; another seed is another run. */
const seed = Number(process.env.NEARVOTE_FUZZ_SEED ?? 20_260_101);
/** A hang: the slowest case seen is a small part of this. */
const timeoutMs = 15_000;
/** For heads so damaged that nobody knows whether the server still waits for more. */
const quietMs = 150;

let folder: string;
let index: string;
let red: Buffer;
let seeds: readonly SeedImage[];
let server: ServedChild;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-fuzz-'));
  index = join(folder, 'colours');
  red = await drawColour('red', 32);
  const images = await Promise.all(
    ['red', 'green', 'blue'].map(async (label) => ({ label, bytes: await drawColour(label, 32) })),
  );
  await writeSmallIndex({ root: index, encoderDir: join(models, 'cifar10-compact'), images });
  seeds = await drawSeedImages();
  server = await serveChild(index);
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

async function classify(body: Uint8Array, mediaType: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${server.port}/classify`, {
    method: 'POST',
    headers: { 'content-type': mediaType },
    body,
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, text: await response.text() };
}

async function tryCase(request: FuzzRequest): Promise<string> {
  // A shrinking failure has to find a server, or everything would look like the crash before it.
  if (server.child.exitCode !== null || server.child.signalCode !== null) server = await serveChild(index);
  const halfCloseAfterMs = { yes: undefined, no: 0, unknown: quietMs }[request.whole];
  try {
    const outcome = await sendBytes({ ...request, port: server.port, halfCloseAfterMs, timeoutMs });
    if (outcome.kind === 'silent') await server.stop();
    const verdict = judge(request, outcome);
    const good = await classify(red, 'image/png');
    expect(good.status, `a good image afterwards: ${good.text}`).toBe(200);
    expect(JSON.parse(good.text)).toMatchObject({ label: 'red' });
    return verdict;
  } catch (error) {
    const { exitCode, signalCode } = server.child;
    throw new Error(
      [
        error instanceof Error ? error.message : String(error),
        `Server: exit code ${String(exitCode)}, signal ${String(signalCode)}, log: ${server.stderr()}`,
        `Request: ${request.bytes.toString('latin1', 0, 300)}`,
        `Request in base64: ${request.bytes.toString('base64')}`,
      ].join('\n'),
      { cause: error },
    );
  }
}

describe('a server under hostile bytes', () => {
  it('classifies every image that the cases are made from', async () => {
    for (const { name, mediaType, bytes } of seeds) {
      const answer = await classify(bytes, mediaType);
      expect(answer.status, `${name}: ${answer.text}`).toBe(200);
    }
  });

  it(
    `answers each of ${cases} damaged requests with 200 or a documented 4xx, and a good image after it`,
    { timeout: 60_000 + cases * 100 },
    async () => {
      const started = performance.now();
      const memory = (): Promise<number> => server.metric('process_resident_memory_bytes');
      // The first half grows the allocator to the largest images; after that memory has to level off.
      let halfway = 0;
      let done = 0;
      const { pid } = server.child;
      const verdicts = new Map<string, number>();
      let slowestMs = 0;
      await fc.assert(
        fc.asyncProperty(fuzzRequest(seeds), async (request) => {
          const sent = performance.now();
          const verdict = await tryCase(request);
          slowestMs = Math.max(slowestMs, performance.now() - sent);
          verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
          if (++done === Math.ceil(cases / 2)) halfway = await memory();
        }),
        {
          seed,
          numRuns: cases,
          // Before the test's own limit, so that a case that hangs is named even while it still shrinks.
          interruptAfterTimeLimit: 30_000 + cases * 80,
          markInterruptAsFailure: true,
          // The values of a case are thousands of bytes; the error names them once, in base64.
          reporter(run) {
            if (!run.failed) return;
            throw new Error(
              `Case ${run.numRuns} failed with NEARVOTE_FUZZ_SEED=${run.seed}, smallest after ${run.numShrinks} steps:\n` +
                (run.errorInstance instanceof Error ? run.errorInstance.message : String(run.errorInstance)),
            );
          },
        },
      );
      const after = await memory();
      console.info(
        `${cases} cases in ${((performance.now() - started) / 1000).toFixed(1)} s, slowest ${slowestMs.toFixed(0)} ms, ` +
          `memory ${(halfway / 1e6).toFixed(0)} MB halfway, ${(after / 1e6).toFixed(0)} MB at the end\n` +
          [...verdicts]
            .sort((a, b) => b[1] - a[1])
            .map(([verdict, count]) => `${count} ${verdict}`)
            .join('\n'),
      );
      expect(server.child.pid).toBe(pid);
      // GLib's warnings of sizes it refuses are libvips' business; a line of our own log is a fault.
      expect(server.stderr()).not.toContain('"level":');
      expect(await server.metric('nearvote_worker_restarts_total{process="encoder"}')).toBe(0);
      expect(after).toBeLessThan(halfway * 1.5);
    },
  );
});
