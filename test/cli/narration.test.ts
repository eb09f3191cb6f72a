import { describe, expect, it } from 'vitest';
import { createNarration, type ProgressStream } from '../../src/cli/output.js';
import { createStepReport } from '../../src/train/describe-run.js';

const stepAt = (step: number) => ({
  step,
  totalSteps: 100,
  loss: step,
  gradientNorm: 1,
  learningRate: 0.25,
  fraction: step / 100,
  elapsedSeconds: 100 + 12 * step,
});

async function told(stream: { isTTY: boolean; written: string }): Promise<string[]> {
  const lines: string[] = [];
  const written = {
    write: (text: string) => {
      stream.written += text;
      return true;
    },
  };
  const narration = createNarration(Object.assign(stream, written) as unknown as ProgressStream);
  const say = (line: string): Promise<void> => {
    lines.push(line);
    narration.say(line);
    return Promise.resolve();
  };
  const report = createStepReport({ batch: 24, elapsedSeconds: 100, say, show: narration.show });
  for (let step = 1; step <= 7; step++) await report(stepAt(step));
  narration.show(undefined);
  return lines;
}

describe('the report of steps', () => {
  it('says twice a minute the mean loss since the line before, the rate and the time left', async () => {
    const stream = { isTTY: false, written: '' };
    const lines = await told(stream);
    expect(lines).toEqual([
      'step 3/100  loss 2.0000  rate 0.250  2.00 images/s  1 h 13 min left',
      'step 6/100  loss 5.0000  rate 0.250  2.00 images/s  44 min 55 s left',
    ]);
    expect(stream.written).toBe(lines.map((line) => `${line}\n`).join(''));
  });

  it('rewrites one line of a terminal with every other step, and takes it away', async () => {
    const stream = { isTTY: true, written: '' };
    expect(await told(stream)).toHaveLength(2);
    const shown = stream.written.split('\u001b[1G\u001b[2K');
    expect(shown.map((text) => text.split('  ')[0])).toEqual([
      '',
      'step 1/100',
      'step 2/100',
      'step 3/100',
      'step 4/100',
      'step 5/100',
      'step 6/100',
      'step 7/100',
      '',
    ]);
  });
});
