import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../.ci/postgres.sh', import.meta.url));
const run = promisify(execFile);

/** A PostgreSQL server that a benchmark has to itself. */
export interface OwnServer {
  /** Of its database. */
  readonly url: string;
  /** Of the process that started all of its others. */
  pid(): Promise<number>;
  /** Kills all of its processes with SIGKILL. */
  kill(): Promise<void>;
  /** Starts it once more; it recovers meanwhile. */
  again(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server of the folder that `.ci/postgres.sh get FOLDER` has filled. */
export async function startOwnServer(folder: string): Promise<OwnServer> {
  const place = await mkdtemp(join(tmpdir(), 'nearvote-postgres-'));
  // The server runs as nobody.
  await chmod(place, 0o755);
  const server = join(place, 'server');
  const { stdout } = await run(script, ['start', folder, server]);
  return {
    url: stdout.trim(),
    pid: async () => parseInt(await readFile(join(server, 'data/postmaster.pid'), 'utf8'), 10),
    kill: async () => {
      await run(script, ['kill', server]);
    },
    again: async () => {
      await run(script, ['again', server]);
    },
    stop: async () => {
      await run(script, ['stop', server]);
      await rm(place, { recursive: true, force: true });
    },
  };
}
