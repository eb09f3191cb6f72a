import { answerParent } from '../../dist/processes/child.js';

answerParent({
  setUp: () => Promise.resolve({}),
  run: () => Promise.resolve({ words: {}, parts: [new Uint8Array(1024)] }),
});
