// Run by killed-journal.long.test.ts: appends to the journal of the folder argv[2] until it is killed, and prints the last sequence of each
// operation once it is acknowledged. argv[3] begins what it names.
import { writeSync } from 'node:fs';
import { openJournal } from '../../dist/examples/journal.js';

const [, , root, prefix] = process.argv;
const journal = await openJournal({ root, floor: 0, access: 'write', now: () => new Date() });
for (let i = 0; ; i++) {
  const changes = Array.from({ length: 1 + (i % 3) }, (_, at) => ({
    kind: 'add',
    id: `${prefix}-${i}-${at}`,
    label: 'cat',
    was: null,
    content: {
      digest: null,
      source: `${i}.png`,
      encoder: 'e0'.repeat(32),
      embedding: Float32Array.of(1, 0),
      // Large now and then, so that SQLite moves what was written into its main file while it is killed.
      picture: { bytes: new Uint8Array(i % 5 === 0 ? 300_000 : 2_000).fill(i), mediaType: 'image/png' },
    },
  }));
  const made = journal.append({ changes, reason: null, who: null });
  writeSync(1, `${made.at(-1).sequence}\n`);
}
