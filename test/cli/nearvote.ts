import { execFile, type ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';
import { onTestFinished } from 'vitest';

/** The repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));
/** The command, as `npm test` has built it. */
export const cli = join(root, 'dist/cli/main.js');

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command to its end, in the repository. */
export function nearvote(...args: string[]): Promise<Ran> {
  return nearvoteIn(root, ...args);
}

/** Runs the built command to its end, in a folder. It encodes with one worker unless told: a second takes longer to start. */
export function nearvoteIn(cwd: string, ...args: string[]): Promise<Ran> {
  const env = { NEARVOTE_WORKERS: '1', ...process.env };
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { cwd, env, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

/** Ends what a test has started, at the latest when the test does. */
export function killAfterTest(child: ChildProcess): void {
  onTestFinished(() => void child.kill('SIGKILL'));
}

export const colours: Readonly<Record<'red' | 'green' | 'blue', readonly number[]>> = {
  red: [210, 40, 30],
  green: [40, 180, 60],
  blue: [30, 60, 200],
};

/** 48 x 40 of a colour with a seeded speckle, so that no two are alike. */
export function drawSpeckled(colour: readonly number[], seed: number): Sharp {
  let state = seed + 1;
  const pixels = Uint8Array.from({ length: 48 * 40 * 3 }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.max(0, Math.min(255, (colour[i % 3] ?? 0) + (state >>> 26) - 32));
  });
  return sharp(pixels, { raw: { width: 48, height: 40, channels: 3 } });
}

export interface DrawFoldersOptions {
  /** A folder each, with its colour. */
  readonly labels?: Readonly<Record<string, readonly number[]>>;
  readonly count: number;
  /** The i-th picture of each label has this and i. */
  readonly firstSeed: number;
  /** `0.JPG` unless told. */
  readonly nameOf?: (i: number) => string;
}

/** Speckled pictures in a folder a label; the ending of a name says the format. */
export async function drawFolders(dir: string, options: DrawFoldersOptions): Promise<void> {
  const { labels = colours, count, firstSeed, nameOf = (i) => `${i}.JPG` } = options;
  for (const [label, colour] of Object.entries(labels)) {
    await mkdir(join(dir, label), { recursive: true });
    for (let i = 0; i < count; i++) {
      const drawn = drawSpeckled(colour, firstSeed + i);
      const name = nameOf(i);
      await writeFile(
        join(dir, label, name),
        await (name.endsWith('.png') ? drawn.png() : drawn.jpeg()).toBuffer(),
      );
    }
  }
}
