/* In place of index-process.ts: it knows two labels and answers with the third. */
import { answerParent } from '../../dist/processes/child.js';
import { bytesOf } from '../../dist/processes/frames.js';

answerParent({
  setUp: async () => ({ searchKind: 'exact', newLabels: ['a', 'b'] }),
  run: async () => ({
    words: { found: [1], examples: [[]], searchMs: 0, newLabels: [] },
    parts: [bytesOf(Uint32Array.of(2)), bytesOf(Float32Array.of(1))],
  }),
});
