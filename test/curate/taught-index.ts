import { openJournal, type Journal, type OperationDraft } from '../../src/examples/journal.js';
import type { ChangeDraft, ExampleContent } from '../../src/examples/journal-record.js';
import { encoderIdentity, publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const content = (degrees: number): ExampleContent => ({
  digest: null,
  source: `${degrees}.png`,
  encoder: encoderIdentity.digest,
  embedding: onCircle([degrees]).values,
});

export const operation = (...changes: ChangeDraft[]): OperationDraft => ({
  changes,
  reason: null,
  who: null,
});

export const add = (id: string, label: string, degrees: number): ChangeDraft => ({
  ...{ kind: 'add', id, label, was: null, content: content(degrees) },
});

export const relabel = (id: string, was: string, label: string): ChangeDraft => ({
  ...{ kind: 'relabel', id, label, was },
});

const remove = (id: string, was: string, degrees: number): ChangeDraft => ({
  ...{ kind: 'delete', id, label: null, was, content: content(degrees) },
});

export function journalOf(root: string, floor = 0): Promise<Journal> {
  return openJournal({ root, floor, access: 'write', now: () => new Date('2026-01-01T12:00:00.000Z') });
}

/**
 * Publishes three cats and a dog, and changes them: 1 adds a second dog, 2 and 3 turn two cats into lynxes as one, 4 deletes the
 * first dog. @returns the version's folder
 */
export async function teachSmallIndex(root: string): Promise<string> {
  const dir = await publishSmallIndex({
    root,
    embeddings: onCircle([0, 10, 20, 90]),
    examples: ['c0', 'c1', 'c2', 'd0'].map((id) => ({
      id,
      label: id.startsWith('c') ? 'cat' : 'dog',
      source: `${id}.png`,
    })),
  });
  const journal = await journalOf(root);
  journal.append(operation(add('d1', 'dog', 100)));
  journal.append(operation(relabel('c0', 'cat', 'lynx'), relabel('c1', 'cat', 'lynx')));
  journal.append(operation(remove('d0', 'dog', 90)));
  journal.close();
  return dir;
}
