import { endings } from '../train/describe-run.js';
import type { EndReason, Figures } from '../train/loop.js';

export interface TrainedReport {
  /** The encoder's folder. */
  readonly out: string;
  readonly ended: EndReason;
  readonly metrics: Figures;
}

/** Prints what was trained, and what to do with it. */
export function printTrained(trained: TrainedReport, json = false): void {
  if (json) return console.log(JSON.stringify(trained));
  const { out, ended, metrics } = trained;
  const width = Math.max(...Object.keys(metrics).map(({ length }) => length));
  console.log(`${out} is written: ${endings[ended]}\n`);
  for (const [name, value] of Object.entries(metrics)) {
    console.log(`  ${name.padEnd(width)}  ${Number.isInteger(value) ? value : value.toFixed(4)}`);
  }
  console.log(`\nNext: nearvote build --data DIR --encoder ${out} --out index/NAME`);
}
