import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

import { cli, nearvoteIn, type Ran } from '../cli/nearvote.js';

/** What somebody has who begins: an empty folder and the command. */
export interface Journey {
  readonly folder: string;
  readonly path: (...parts: string[]) => string;
  readonly nearvote: (...args: string[]) => Promise<Ran>;
  /** Runs `nearvote serve` until the test is over; resolves once it is ready. */
  readonly serve: (...args: string[]) => Promise<JourneyServer>;
}

interface JourneyServer {
  readonly url: string;
  /** The lines that it printed until it was ready. */
  readonly said: readonly string[];
  /** As `kill -HUP` does. */
  readonly hangUp: () => void;
}

export async function beginJourney(): Promise<Journey> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-journey-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return {
    folder,
    path: (...parts) => join(folder, ...parts),
    nearvote: (...args) => nearvoteIn(folder, ...args),
    serve: async (...args) => {
      const child = spawn(process.execPath, [cli, 'serve', '--port', '0', '--log-level', 'warn', ...args], {
        cwd: folder,
        env: { NEARVOTE_WORKERS: '1', ...process.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
      const ended = once(child, 'exit');
      onTestFinished(async () => {
        child.kill('SIGTERM');
        await ended;
      });
      const said: string[] = [];
      const ready = new Promise<JourneyServer>((resolve) => {
        createInterface(child.stdout).on('line', (line) => {
          said.push(line);
          const [url] = /http:\S+/.exec(line) ?? [];
          if (url !== undefined) resolve({ url, said, hangUp: () => void child.kill('SIGHUP') });
        });
      });
      return Promise.race([ready, ended.then(() => Promise.reject(new Error(stderr)))]);
    },
  };
}

/** Sends an image as a form does, and gives what came back. */
export async function askFor(url: string, image: Uint8Array, name = 'photo.jpg'): Promise<unknown> {
  const form = new FormData();
  form.append('image', new Blob([Uint8Array.from(image)], { type: 'image/jpeg' }), name);
  return (await fetch(`${url}/classify`, { method: 'POST', body: form })).json();
}
