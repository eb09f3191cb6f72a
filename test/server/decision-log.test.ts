import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Classification } from '../../src/classify.js';
import { openDecisionLog, type DecisionLog } from '../../src/server/decision-log.js';
import { decisionSchema } from '../../src/server/schemas.js';
import { aCalibration } from '../examples/a-calibration.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import { startTestServer } from './test-server.js';

let folder: string;
let lost: number;
let red: Buffer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-log-'));
  lost = 0;
  red = await drawColour('red');
});
afterEach(() => rm(folder, { recursive: true }));

const open = (file: string, maxFileBytes = 1_000_000): Promise<DecisionLog> =>
  openDecisionLog({
    file,
    maxFileBytes,
    rotations: 2,
    onLost: (lines) => (lost += lines),
    now: () => new Date('2026-01-02T03:04:05.678Z'),
  });
const classified = (): Promise<Classification> => createColourClassifier().classify(red, { neighbours: 2 });
const linesOf = async (file: string): Promise<unknown[]> =>
  (await readFile(file, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);

describe('the decision log', () => {
  it('holds one line a decision that the server gave, whole when the log is closed', async () => {
    const file = join(folder, 'decisions.jsonl');
    const decisionLog = await open(file);
    const server = await startTestServer({ decisionLog });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        server.ask('/classify?neighbours=2', {
          method: 'POST',
          headers: { 'content-type': 'image/png' },
          body: red,
        }),
      ),
    );
    await server.ask('/classify', { method: 'POST', headers: { 'content-type': 'image/png' }, body: 'bad' });
    await server.close();
    await decisionLog.close();
    const lines = await linesOf(file);
    const ids = answers.map((answer) => decisionSchema.parse(answer.body).id);
    expect(lines.map((line) => String(Reflect.get(Object(line) as object, 'id'))).sort()).toEqual(
      [...ids].sort(),
    );
    expect(lines[0]).toEqual({
      time: '2026-01-02T03:04:05.678Z',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      label: 'red',
      outcome: 'known',
      confidence: expect.closeTo(1, 3) as number,
      calibrated: false,
      topSimilarity: 1,
      neighbours: ['red-0', 'red-1'],
      index: { name: 'colours', version: '1', sequence: 0 },
      encoder: { name: 'mean-colour', version: '2' },
    });
    expect(lost).toBe(0);
  });

  it('has the p-value of a calibrated decision', async () => {
    const file = join(folder, 'decisions.jsonl');
    const log = await open(file);
    log.write(await createColourClassifier(aCalibration()).classify(await drawColour('black')));
    await log.close();
    expect(await linesOf(file)).toEqual([
      expect.objectContaining({ outcome: 'unknown', calibrated: true, pValue: 0.1 }),
    ]);
  });

  it('goes on at the end of a file that is there', async () => {
    const file = join(folder, 'decisions.jsonl');
    await writeFile(file, '{"id":"old"}\n');
    const log = await open(file);
    log.write(await classified());
    await log.close();
    const lines = await linesOf(file);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toEqual({ id: 'old' });
  });

  it('is rotated by size without losing a line, and keeps two old files', async () => {
    const file = join(folder, 'decisions.jsonl');
    const log = await open(file, 500);
    for (let i = 0; i < 5; i++) log.write(await classified());
    await log.close();
    const names = (await readdir(folder)).sort();
    expect(names).toEqual(['decisions.jsonl', 'decisions.jsonl.1', 'decisions.jsonl.2']);
    const counts = await Promise.all(names.map(async (name) => (await linesOf(join(folder, name))).length));
    expect(counts).toEqual([1, 2, 2]);
  });

  it('is output_unwritable where it cannot be opened', async () => {
    await writeFile(join(folder, 'file'), '');
    for (const file of [join(folder, 'file', 'decisions.jsonl'), folder]) {
      await expect(open(file)).rejects.toMatchObject({ code: 'output_unwritable' });
    }
  });

  it('reports each line that a broken disk loses, and writes again when it is mended', async () => {
    const inner = join(folder, 'inner');
    const file = join(inner, 'decisions.jsonl');
    // A rotation finds a file in the place of its folder.
    const log = await open(file, 10);
    await rm(inner, { recursive: true });
    await writeFile(inner, '');
    const one = await classified();
    log.write(one);
    await expect.poll(() => lost).toBe(1);
    log.write(one);
    log.write(one);
    await expect.poll(() => lost).toBe(3);
    await rm(inner);
    log.write(one);
    await log.close();
    expect(lost).toBe(3);
    const written = await Promise.all(
      (await readdir(inner)).map((name) => readFile(join(inner, name), 'utf8')),
    );
    expect(written.join('')).toContain(one.decision.id);
  });
});
