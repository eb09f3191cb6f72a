/*
 * The rate of classify of this checkout, whose index takes no change, against an earlier one: both built, in turns.
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

/** Images a second at each number of connections. */
async function rates(root: string | undefined): Promise<number[]> {
  const server = await startRealServer([], root === undefined ? {} : { root });
  const load = await startLoad({ server, contentType: 'image/png', bodies });
  try {
    const measured: number[] = [];
    for (const each of connections) {
      const { answered, seconds } = await load.closed({ connections: each, seconds: 4, warmupSeconds: 1 });
      measured.push(answered / seconds);
    }
    return measured;
  } finally {
    load.stop();
    await server.stop();
  }
}

const ratios = connections.map((): number[] => []);
const now: number[][] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  // Whichever goes first finds another machine: they take turns at that too.
  const isFirst = round % 2 === 0;
  const first = await rates(isFirst ? undefined : values.before);
  const second = await rates(isFirst ? values.before : undefined);
  const [own, before] = isFirst ? [first, second] : [second, first];
  now.push(own);
  for (const [i, of] of ratios.entries()) of.push((own[i] ?? NaN) / (before[i] ?? NaN));
}
console.log(`${machine()}. Medians of ${now.length} rounds\n`);
console.log(
  markdownTable(
    ['connections', 'images/s', 'against before', 'least and most'],
    connections.map((each, i) => {
      const of = ratios[i] ?? [];
      const range = `${Math.min(...of).toFixed(3)} to ${Math.max(...of).toFixed(3)}`;
      return [each, median(now.map((rate) => rate[i] ?? NaN)).toFixed(0), median(of).toFixed(3), range];
    }),
  ),
);
