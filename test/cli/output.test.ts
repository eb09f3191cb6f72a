import { Writable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { createNarration, createProgress, lineProgress, type ProgressStream } from '../../src/cli/output.js';
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

describe('what a training says', () => {
  it('shows what a file name could do to a terminal as an escape', () => {
    for (const isTTY of [false, true]) {
      let written = '';
      const stream = { isTTY, write: (text: string) => void (written += text) };
      const narration = createNarration(stream as unknown as ProgressStream);
      narration.say('skipped evil\u001b]0;title\u0007.jpg');
      narration.show('step\u009b2J');
      expect(written).toContain('skipped evil\\u001b]0;title\\u0007.jpg\n');
      expect(written).not.toContain('\u009b');
    }
  });
});

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

interface Captured extends Writable {
  readonly text: string;
  isTTY?: boolean;
}

function capture(): Captured {
  let text = '';
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  return Object.defineProperty(stream, 'text', { get: () => text }) as Captured;
}

describe('progress', () => {
  it('writes a line every five seconds with rate and time left, and one at the end', () => {
    const stream = capture();
    let now = 0;
    const progress = lineProgress({ stream, now: () => now });
    progress.start({ name: 'embedding', total: 100, unit: 'images' });
    for (let i = 0; i < 100; i++) {
      now += 120;
      progress.advance(1);
    }
    progress.finish();
    progress.finish();
    expect(stream.text.split('\n')).toEqual([
      'embedding: 42/100 images, 8.33 images/s, 7 s left',
      'embedding: 84/100 images, 8.33 images/s, 2 s left',
      'embedding: 100/100 images, 8.33 images/s',
      '',
    ]);
  });

  it('writes plain lines where there is no terminal, even for a stage that took no time', () => {
    const stream = capture();
    const progress = createProgress(stream);
    progress.start({ name: 'measuring', total: 0, unit: 'queries' });
    progress.finish();
    expect(stream.text).toMatch(/^measuring: 0\/0 queries, 0 queries\/s\n$/);
  });

  it('draws a bar on a terminal and leaves its last state there', () => {
    const stream = Object.assign(capture(), {
      isTTY: true,
      columns: 120,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    });
    const progress = createProgress(stream);
    progress.start({ name: 'embedding', total: 10, unit: 'images' });
    progress.advance(10);
    progress.finish();
    progress.finish();
    expect(stream.text).toContain('embedding');
    expect(stream.text).toContain('10/10 images');
  });
});
