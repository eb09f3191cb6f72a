import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readPublished } from '../examples/index-store.js';
import { journalFile } from '../examples/journal-file.js';
import { openJournal } from '../examples/journal.js';

export interface TaughtChangesOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** Whether a build may leave out what was taught. */
  readonly drop: boolean;
}

/**
 * The sequence number up to which a build of images leaves out what an index was taught: those changes stay in its log.
 * What comes later, while it builds, applies to what it builds.
 * @throws NearvoteError `index_changed` where there is any that nobody allowed it to leave out
 */
export async function leaveOutTaught({ root, drop }: TaughtChangesOptions): Promise<number | undefined> {
  const published = await readPublished(root).catch(() => undefined);
  const { sequence = 0, lineage = [] } = published?.manifest ?? {};
  const head = await headOf(root, sequence);
  const changes = head - sequence + (lineage.at(-1)?.changed ?? 0);
  if (changes > 0 && !drop) {
    throw new NearvoteError(
      'index_changed',
      `Expected an index that was not changed since it was built but ${root} was, ${changes} times, and a build of images leaves that out. --sync makes it equal to the images by a change that can be taken back; --drop-changes builds it anew, and the changes stay in its log`,
    );
  }
  return head === 0 ? undefined : head;
}

async function headOf(root: string, floor: number): Promise<number> {
  if (!existsSync(join(root, journalFile))) return floor;
  const journal = await openJournal({ root, floor, access: 'read', now: () => new Date() });
  try {
    return journal.head;
  } finally {
    journal.close();
  }
}
