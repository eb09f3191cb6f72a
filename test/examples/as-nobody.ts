import { chown } from 'node:fs/promises';

const nobody = 65_534;

/** Does something as a user who may not write everywhere; tests in a container run as root, who may. */
export async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(nobody);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

/** Gives that user a file or a folder. */
export async function giveToNobody(path: string): Promise<void> {
  if (process.getuid?.() === 0) await chown(path, nobody, nobody);
}
