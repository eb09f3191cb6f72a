import { clearLine, cursorTo } from 'node:readline';
import type { Narration } from '../train/describe-run.js';
import type { ProgressStream } from './progress.js';

/** Lines of a training on stderr unless told; a terminal also has one that is rewritten with every step. */
export function createNarration(stream: ProgressStream = process.stderr): Narration {
  const live = stream.isTTY === true;
  function clear(): void {
    if (!live) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  }
  return {
    say: (line) => {
      clear();
      stream.write(`${line}\n`);
    },
    show: (line) => {
      clear();
      if (live && line !== undefined) stream.write(line);
    },
  };
}
