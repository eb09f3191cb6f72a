import { NearvoteError } from '../domain/errors.js';
import { publishFolder } from '../encoder/add/publish.js';
import { endings } from '../train/describe-run.js';
import type { EndReason, Figures } from '../train/loop.js';

export interface Trained {
  readonly ended: EndReason;
  readonly step: number;
  readonly metrics: Figures;
}

export interface PublishTrainedOptions {
  /** The encoder's folder. */
  readonly out: string;
  readonly force?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/**
 * Writes what was trained, and says what it is and what to do with it.
 * @throws NearvoteError `shutting_down` for a training that was told to stop: it can go on, and nothing is written
 */
export async function publishTrained(
  { ended, step, metrics }: Trained,
  { out, force = false, json = false }: PublishTrainedOptions,
  files: () => Files | Promise<Files>,
): Promise<void> {
  if (ended === 'stopped') {
    throw new NearvoteError('shutting_down', `stopped at step ${step}: ${endings.stopped}`);
  }
  await publishFolder({ dir: out, files: await files(), force });
  if (json) return console.log(JSON.stringify({ out, ended, metrics }));
  console.log(`${out} is written: ${endings[ended]}\n`);
  const width = Math.max(...Object.keys(metrics).map(({ length }) => length));
  for (const [name, value] of Object.entries(metrics)) {
    console.log(`  ${name.padEnd(width)}  ${Number.isInteger(value) ? value : value.toFixed(4)}`);
  }
  console.log(`\nNext: nearvote build --data DIR --encoder ${out} --out index/NAME`);
}

type Files = Readonly<Record<string, Uint8Array | string>>;
