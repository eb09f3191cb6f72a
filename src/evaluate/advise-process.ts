/* The process that draws the learning curves of a served index; evaluate/advise-aside.ts starts it. */
import { answerParent } from '../processes/child.js';
import { adviseIndex, type AdviseOptions } from './advise.js';

answerParent({
  setUp: () => Promise.resolve(undefined),
  run: async ({ words }) => ({ words: await adviseIndex(words as AdviseOptions), parts: [] }),
});
