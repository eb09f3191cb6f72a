/*
 * The rate of classify of this checkout, whose index takes no change, against an earlier one: both built, both serving, in turns.
 *   npm run build && npx tsx bench/changes/against.ts --before CHECKOUT [--rounds 5]
 */
import { parseArgs } from 'node:util';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { drawImages } from '../drawn-images.js';
import { median } from '../figures.js';
import { startLoad } from '../load.js';
import { startRealServer } from '../real-server.js';
import { machine } from '../report.js';

const { values } = parseArgs({
  options: { before: { type: 'string' }, rounds: { type: 'string', default: '5' } },
});
if (values.before === undefined) throw new Error('Expected --before CHECKOUT');
const connections = [1, 8, 32, 64];
const bodies = await drawImages({ count: 256, width: 32, height: 32, formats: ['png'], seed: 1 });

/** Both serve at once, one idle while the other is asked, in turns of seconds: the machine's own pace cancels out. */
const sides = await Promise.all(
  [undefined, values.before].map(async (root) => {
    const server = await startRealServer([], root === undefined ? {} : { root });
    return { server, load: await startLoad({ server, contentType: 'image/png', bodies }) };
  }),
);

/** Images a second. */
async function rate(side: (typeof sides)[number] | undefined, at: number): Promise<number> {
  if (side === undefined) throw new Error('Expected two servers');
  const { answered, seconds } = await side.load.closed({ connections: at, seconds: 2, warmupSeconds: 0.5 });
  return answered / seconds;
}

const ratios = connections.map((): number[] => []);
const now = connections.map((): number[] => []);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [i, at] of connections.entries()) {
    // Whichever goes first finds another machine: they take turns at that too.
    const order = round % 2 === 0 ? [0, 1, 1, 0] : [1, 0, 0, 1];
    const sums = [0, 0];
    for (const side of order) sums[side] = (sums[side] ?? NaN) + (await rate(sides[side], at));
    const [own = NaN, before = NaN] = sums;
    now[i]?.push(own / 2);
    ratios[i]?.push(own / before);
  }
}
for (const { server, load } of sides) {
  load.stop();
  await server.stop();
}
console.log(`${machine()}. Medians of ${values.rounds} rounds\n`);
console.log(
  markdownTable(
    ['connections', 'images/s', 'against before', 'least and most'],
    connections.map((each, i) => {
      const of = ratios[i] ?? [];
      const range = `${Math.min(...of).toFixed(3)} to ${Math.max(...of).toFixed(3)}`;
      return [each, median(now[i] ?? []).toFixed(0), median(of).toFixed(3), range];
    }),
  ),
);
