import type { Narration } from '../../src/train/describe-run.js';
import { countingProgress } from './quiet-progress.js';

/** Progress that is counted, and lines that are kept. */
export function told() {
  const lines: string[] = [];
  const narration: Narration = { say: (line) => void lines.push(line), show: () => undefined };
  return { progress: countingProgress(), narration, lines };
}
