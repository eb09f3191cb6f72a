import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../bench/drawn-images.js';
import { summarise } from '../../bench/load.js';
import { poissonArrivals, runOpenLoop, type OpenLoopResult } from '../../bench/open-loop.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/classify`;
}

function load(url: string): Promise<OpenLoopResult> {
  const body = Buffer.from('image');
  return runOpenLoop({
    url,
    contentType: 'image/png',
    body: () => body,
    ratePerSecond: 200,
    seconds: 0.5,
    random: seededRandom(3),
  });
}

describe('poissonArrivals', () => {
  it('comes at the rate asked for, with gaps that are exponential', () => {
    const arrivals = poissonArrivals({ ratePerSecond: 500, seconds: 100, random: seededRandom(1) });
    // A count of mean 50,000 has a standard deviation of 224.
    expect(Math.abs(arrivals.length - 50_000)).toBeLessThan(4 * 224);
    const gaps = Array.from(arrivals.subarray(1), (at, i) => at - (arrivals[i] ?? NaN));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    // Of an exponential distribution: the deviation is the mean, and a share of 1/e is longer than it.
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1);
    expect(gaps.filter((gap) => gap > mean).length / gaps.length).toBeCloseTo(1 / Math.E, 2);
  });
});

describe('runOpenLoop', () => {
  it('charges a server that stalls for every request that was due meanwhile', async () => {
    const held: (() => void)[] = [];
    let released = 0;
    const result = await load(
      await listen((req, res) => {
        req.resume();
        const answer = (): void => void res.end('{}');
        if (released > 0) return answer();
        held.push(answer);
        if (held.length > 1) return;
        setTimeout(() => {
          released = Date.now();
          for (const each of held) each();
        }, 300);
      }),
    );
    const stalledUntil = released - result.startedAt;
    const waited = [...result.dueMs.entries()].filter(([, due]) => due < stalledUntil);
    // 200 a second for at least 0.3 s: a loop that waits for answers would have sent a handful.
    expect(waited.length).toBeGreaterThan(30);
    for (const [n, due] of waited) {
      // Two clocks, of which one has whole milliseconds.
      expect(result.latencyMs[n]).toBeGreaterThanOrEqual(stalledUntil - due - 2);
    }
    expect(summarise(result)).toMatchObject({
      sent: result.status.length,
      ok: result.status.length,
      lost: 0,
    });
  });

  it('counts from when a request was due even where the generator itself was late', async () => {
    const url = await listen((req, res) => req.resume().once('end', () => res.end('{}')));
    const running = load(url);
    const blockedUntil = performance.now() + 200;
    const blockedFrom = Date.now();
    while (performance.now() < blockedUntil);
    const result = await running;
    const endOfBlock = blockedFrom + 200 - result.startedAt;
    const late = [...result.dueMs.entries()].filter(([, due]) => due < endOfBlock - 2);
    expect(late.length).toBeGreaterThan(10);
    for (const [n, due] of late) {
      expect(result.latencyMs[n]).toBeGreaterThanOrEqual(endOfBlock - due - 2);
      expect(result.lateMs[n]).toBeGreaterThanOrEqual(endOfBlock - due - 2);
    }
  });

  it('tells refused, failed and lost requests apart', async () => {
    let n = 0;
    const result = await load(
      await listen((req, res) => {
        const turn = n++ % 4;
        if (turn === 3) return void req.socket.destroy();
        res.statusCode = [200, 429, 503][turn] ?? 0;
        req.resume().once('end', () => res.end('{}'));
      }),
    );
    const { sent, ok, tooMany, serverErrors, otherAnswers, lost } = summarise(result);
    expect(ok + tooMany + serverErrors + lost).toBe(sent);
    expect(otherAnswers).toBe(0);
    for (const count of [ok, tooMany, serverErrors, lost])
      expect(Math.abs(count - sent / 4)).toBeLessThanOrEqual(1);
  });
});
