import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { markdownTable } from '../src/domain/markdown-table.js';

/**
 * npx tsx bench/train-step.ts [STEPS]: one training step of 256 images (512 views) of 32 x 32 on 2 threads, ours and
 * PyTorch's in turns, each in a process of its own, after two steps that do not count. Python is NEARVOTE_PYTHON or python3.
 */
const steps = Number(process.argv[2] ?? 7);
const python = process.env['NEARVOTE_PYTHON'] ?? 'python3';
const networks = process.argv[3]?.split(',') ?? ['compact', 'resnet20'];

interface Reply {
  readonly ms: number;
  readonly peakKb: number;
}

function start(command: string, args: readonly string[]) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`${command} ended with ${String(code)} before it had answered`);
  });
  died.catch(() => undefined);
  // What cannot be written because it died is told by that.
  child.stdin.on('error', () => undefined);
  return {
    ask: async (question: string): Promise<Reply> => {
      child.stdin.write(`${question}\n`);
      const [line] = (await Promise.race([once(lines, 'line'), died])) as [string];
      return JSON.parse(line) as Reply;
    },
    end: async () => {
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const rows: string[][] = [];
for (const network of networks) {
  const args = [network, '256', '32', '2'];
  const torch = 'bench/train_step_torch.py';
  const sides = {
    nearvote: start(process.execPath, ['--import', 'tsx', 'bench/train-step-child.ts', ...args]),
    pytorch: start(python, [torch, ...args]),
    'pytorch, channels last': start(python, [torch, ...args, 'channels_last']),
  };
  const times = new Map<string, number[]>();
  for (let step = -2; step < steps; step++) {
    for (const [name, side] of Object.entries(sides)) {
      const { ms } = await side.ask('step');
      if (step >= 0) times.set(name, [...(times.get(name) ?? []), ms]);
    }
  }
  const ours = { ms: median(times.get('nearvote') ?? []), peakKb: (await sides.nearvote.ask('peak')).peakKb };
  for (const [name, side] of Object.entries(sides)) {
    const [ms, { peakKb }] = [median(times.get(name) ?? []), await side.ask('peak')];
    const ratios = [ours.ms / ms, ours.peakKb / peakKb].map((ratio) => ratio.toFixed(2));
    rows.push([network, name, ms.toFixed(0), (peakKb / 1024).toFixed(0), ...ratios]);
    await side.end();
  }
}
console.log(
  markdownTable(
    [
      'network',
      'by',
      'ms a step (median)',
      'peak RSS, MiB',
      'nearvote / this, time',
      'nearvote / this, memory',
    ],
    rows,
  ),
);
