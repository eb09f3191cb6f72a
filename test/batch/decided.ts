import type { Answer, AnsweredDecision, Answering } from '../../src/batch/answers.js';
import type { ImageFile } from '../../src/image/dataset/walk-images.js';

/** An answer with the fields that a test is about. */
export function decided(
  file: string,
  fields: Partial<AnsweredDecision> = {},
): Extract<Answer, { readonly decision: unknown }> {
  return {
    file,
    decision: {
      ...{ id: '1', label: 'cat', confidence: 0.5, outcome: 'known', calibrated: false },
      ...{ scores: [], neighbours: [], encoder: { name: 'e', version: '1' } },
      index: { name: 'i', version: 'v1', sequence: 0 },
      ...fields,
    },
  };
}

/** Answers each file with a label that its path alone decides; those named broken fail. */
export function answerByPath(
  options: { readonly version?: string; readonly onAnswer?: (file: ImageFile) => void | Promise<void> } = {},
): Answering {
  const { version = 'v1', onAnswer = () => undefined } = options;
  return {
    circumstances: { index: 'i', version, k: 20 },
    answer: async function* (files) {
      for await (const file of files) {
        await onAnswer(file);
        const { path, fault } = file;
        if (fault !== undefined || path.includes('broken')) {
          yield {
            file: path,
            error: { code: 'image_damaged', message: fault ?? 'it is "broken", or\r\nso' },
          };
        } else {
          yield decided(path, { label: `of ${path}`, index: { name: 'i', version, sequence: 0 } });
        }
      }
    },
    close: () => Promise.resolve(),
  };
}
