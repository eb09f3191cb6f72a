import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Classification } from '../../src/classify.js';
import { contentDigest } from '../../src/embed/image-key.js';
import {
  createDecisionKeeper,
  type DecisionKeeper,
  type DecisionKeeperOptions,
} from '../../src/server/decision-keeper.js';
import { seededRandom } from '../neighbours/unit-vectors.js';
import { childrenRunning } from '../processes/children-running.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';

const encoder = 'ef'.repeat(32);
const classifier = createColourClassifier();

let base = '';
let root = '';
let made = 0;
let lost: string[] = [];
let setAside: string[] = [];
let restarts: string[] = [];
let restarted: () => void = () => undefined;
const open: DecisionKeeper[] = [];
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-keeper-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = join(base, `colours-${made++}`);
  await mkdir(root);
  [lost, setAside, restarts] = [[], [], []];
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((keeper) => keeper.close()));
});

function start(options: Partial<DecisionKeeperOptions> = {}): DecisionKeeper {
  const keeper = createDecisionKeeper({
    ...{ root, most: 100, mostMs: 3_600_000, now: () => new Date() },
    onLost: (decisions, error) => lost.push(`${decisions}: ${error.message}`),
    onSetAside: (path) => setAside.push(path),
    onRestart: (reason) => {
      restarts.push(reason);
      restarted();
    },
    ...options,
  });
  open.push(keeper);
  return keeper;
}

async function classify(keeper: DecisionKeeper, image: Uint8Array): Promise<Classification> {
  const classification = await classifier.classify(image);
  keeper.keep({ classification, image, encoder });
  return classification;
}

describe('a decision keeper', () => {
  it('finds a decision at once that it was given just now, with its embedding and its picture', async () => {
    const keeper = start();
    const image = await drawColour('teal');
    const { decision, embedding } = await classify(keeper, image);
    expect(await keeper.find(decision.id)).toMatchObject({
      ...{ decision, embedding, encoder },
      digest: contentDigest({ kind: 'file', bytes: image }).toString('hex'),
      picture: { bytes: Uint8Array.from(image), mediaType: 'image/png' },
    });
    await expect(keeper.find('another')).rejects.toMatchObject({ code: 'decision_missing' });
    expect(lost).toEqual([]);
  });

  it('makes a large picture smaller, under the digest of the image that was sent', async () => {
    const keeper = start();
    const random = seededRandom(1);
    const raw = Buffer.from(Array.from({ length: 600 * 400 * 3 }, () => 256 * random()));
    const image = await sharp(raw, { raw: { width: 600, height: 400, channels: 3 } })
      .png()
      .toBuffer();
    expect(image.length).toBeGreaterThan(256 * 1024);
    const { decision } = await classify(keeper, image);
    const { picture, digest } = await keeper.find(decision.id);
    expect(picture.mediaType).toBe('image/webp');
    expect(picture.bytes.length).toBeLessThan(256 * 1024);
    expect(digest).toBe(contentDigest({ kind: 'file', bytes: image }).toString('hex'));
  });

  it('lists what a person should look at, and not what was answered, also when it is opened again', async () => {
    const first = start();
    const cyan = await classify(first, await drawColour('cyan'));
    await classify(first, await drawColour('red'));
    await classify(first, await drawColour('yellow'));
    const page = await first.review({ below: 0.8, limit: 10 });
    expect(page.waiting).toBe(2);
    expect(page.decisions.map(({ decision }) => decision.confidence)).toEqual([0.5, 0.5]);
    await first.answered((await first.find(cyan.decision.id)).digest);
    expect((await first.review({ below: 0.8, limit: 10 })).waiting).toBe(1);
    await first.close();
    const second = start();
    expect((await second.review({ below: 0.8, limit: 10 })).waiting).toBe(1);
    await classify(second, await drawColour('cyan'));
    expect((await second.review({ below: 0.8, limit: 10 })).waiting).toBe(1);
  });

  it('goes on after its process was killed, with all that it had kept', async () => {
    const keeper = start();
    const { decision } = await classify(keeper, await drawColour('navy'));
    await keeper.find(decision.id);
    const ended = new Promise<void>((resolve) => (restarted = resolve));
    for (const pid of childrenRunning('keeper-process')) process.kill(pid, 'SIGKILL');
    await ended;
    // Given while there is no process.
    const next = await classify(keeper, await drawColour('olive'));
    await expect
      .poll(
        () =>
          keeper.find(next.decision.id).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    expect((await keeper.find(decision.id)).decision).toEqual(decision);
    expect(restarts).toEqual(['signal SIGKILL']);
  });

  it('begins anew beside a damaged file, and tells where that lies', async () => {
    writeFileSync(join(root, 'review.db'), Buffer.alloc(8_192, 'damaged'));
    const keeper = start();
    const { decision } = await classify(keeper, await drawColour('teal'));
    expect((await keeper.find(decision.id)).decision.id).toBe(decision.id);
    expect(setAside).toHaveLength(1);
    expect(await readdir(root)).toContain(setAside[0]?.split('/').at(-1));
  });

  it('reports what waits beyond its bound as lost, and neither throws nor waits', async () => {
    const keeper = start();
    const classification = await classifier.classify(await drawColour('teal'));
    const image = Buffer.alloc(12 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      keeper.keep({
        classification: { ...classification, decision: { ...classification.decision, id: randomUUID() } },
        image,
        encoder,
      });
    }
    expect(lost).toEqual(['1: more than 33554432 bytes wait to be kept']);
  });

  it.skipIf(process.getuid?.() === 0)(
    'loses what comes where the folder cannot be written, and says why',
    async () => {
      await chmod(root, 0o555);
      const keeper = start();
      const { decision } = await classify(keeper, await drawColour('teal'));
      await expect(keeper.find(decision.id)).rejects.toThrow();
      expect(lost).toHaveLength(1);
    },
  );
});
