/* A process that changes an index until it is killed; bench/changes/kill.ts starts it. It says what it is about to do and, once that is acknowledged, that it was. */
import { writeSync } from 'node:fs';
import { NearvoteError } from '../../src/domain/errors.js';
import { compactIndex } from '../../src/build/compact.js';
import { readPublished } from '../../src/examples/index-store.js';
import type { ChangeRequest } from '../../src/neighbours/changes.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { directions, dimension } from './plain-list.js';

const [root = '', seed = '1'] = process.argv.slice(2);
const say = (words: object): void => void writeSync(1, `${JSON.stringify(words)}\n`);
const now = (): Date => new Date();
const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };

let state = (Number(seed) % 2147483646) + 1;
const pick = (count: number): number => {
  state = (state * 48271) % 2147483647;
  return Math.floor(((state - 1) / 2147483646) * count);
};

const open = async (): Promise<EmbeddedIndex> =>
  openEmbeddedIndex({
    ...(await readPublished(root)),
    ...{ search: 'auto', threads: 1, access: 'write', now },
  });

function draw(index: EmbeddedIndex, round: number): ChangeRequest {
  const why = { reason: null, who: null };
  const positions = [...index.positions()];
  const act = pick(10);
  if (act < 4 || positions.length < 10) {
    const examples = Array.from({ length: 1 + pick(3) }, (_, i) => {
      const drawn = pick(directions.length);
      return {
        id: `s${seed}-${round}-${i}`,
        label: `label ${pick(5)}`,
        source: String(drawn),
        digest: `${seed.padStart(6, '0')}${String(round).padStart(6, '0')}${i}`.padEnd(64, '0'),
        embedding: directions[drawn] ?? new Float32Array(dimension),
      };
    });
    return { kind: 'add', examples, ...why };
  }
  const { id } = index.exampleAt(positions[pick(positions.length)] ?? 0);
  if (act < 6) return { kind: 'edit', acts: [{ kind: 'relabel', id, label: `label ${pick(5)}` }], ...why };
  if (act < 9) return { kind: 'edit', acts: [{ kind: 'delete', id }], ...why };
  return { kind: 'rename', from: index.exampleAt(positions[0] ?? 0).label, to: `label ${pick(5)}`, ...why };
}

let index = await open();
say({ ready: true });
for (let round = 0; ; round++) {
  const request = draw(index, round);
  say({ begun: request.kind });
  const { sequence } = await index.change(request);
  say({ acknowledged: sequence });
  if (pick(25) !== 0) continue;
  say({ begun: 'compact' });
  await compactIndex({ root, keep: 1, threads: 1, progress: silent, now }).catch((error: unknown) => {
    // Killed as it took the lock, a process leaves one without a name, which is nobody's only after half a minute.
    if (!(error instanceof NearvoteError && error.message.includes('holds its lock'))) throw error;
  });
  await index.close();
  index = await open();
}
