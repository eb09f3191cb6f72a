import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFolder } from '../files/lock.js';
import { writing } from '../files/durable.js';
import { readCheckpoint, writeCheckpoint, type Checkpoint, type ExpectedConfig } from './checkpoint.js';

/** What a training keeps while it lasts: `last.checkpoint`, `best.checkpoint` and `train.log`. */
export interface RunFolder {
  readonly last: Checkpoint | undefined;
  saveLast(checkpoint: Checkpoint): Promise<void>;
  saveBest(checkpoint: Checkpoint): Promise<void>;
  /** The best one saved in this run or before it. */
  readBest(): Promise<Checkpoint | undefined>;
  /** Adds a line to the text log. */
  log(line: string): Promise<void>;
  readonly logFile: string;
  release(): Promise<void>;
}

export interface RunFolderOptions {
  readonly dir: string;
  readonly config: ExpectedConfig;
  /** Forgets what is there. */
  readonly fresh: boolean;
}

/**
 * Opens a run's folder, for one process at a time, and reads where a training left off.
 * @throws NearvoteError `output_unwritable`, also while another process trains there, or `checkpoint_invalid`
 */
export async function openRunFolder({ dir, config, fresh }: RunFolderOptions): Promise<RunFolder> {
  const files = {
    last: join(dir, 'last.checkpoint'),
    best: join(dir, 'best.checkpoint'),
    log: join(dir, 'train.log'),
  };
  const lock = await writing(dir, async () => {
    await mkdir(dir, { recursive: true });
    return lockFolder(dir);
  });
  try {
    if (fresh) for (const file of Object.values(files)) await rm(file, { force: true });
    const last = await readCheckpoint(files.last, config);
    return {
      last,
      saveLast: (checkpoint) => writeCheckpoint(files.last, checkpoint),
      saveBest: (checkpoint) => writeCheckpoint(files.best, checkpoint),
      readBest: () => readCheckpoint(files.best, config),
      log: (line) => writing(dir, () => appendFile(files.log, `${line}\n`)),
      logFile: files.log,
      release: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
