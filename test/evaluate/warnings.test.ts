import { describe, expect, it } from 'vitest';
import type { LabelledImage } from '../../src/image/dataset/dataset.js';
import { evaluateWarnings } from '../../src/evaluate/warnings.js';

const labelled = (label: string): LabelledImage => ({
  id: label,
  label,
  source: label,
  read: () => Promise.reject(new Error('not to be read')),
});
const examples = ['cat', 'dog'].map((label) => ({ id: `${label}/1`, label, source: '' }));

describe('warnings of an evaluation', () => {
  it('are none where nothing is odd', () => {
    const known = { images: [labelled('cat')], rejected: [], trainedOn: 0 };
    expect(evaluateWarnings({ known, unknown: undefined, examples, duplicates: 0 })).toEqual([]);
  });

  it('name the labels that the index does not have, how many images have them, and what that does', () => {
    const known = { images: ['cat', 'emu', 'emu', 'yak'].map(labelled), rejected: [], trainedOn: 0 };
    const [warning] = evaluateWarnings({ known, unknown: undefined, examples, duplicates: 0 });
    expect(warning).toContain('no example of emu, yak: all 3 images of 2 labels count as mistakes');
    const one = { images: ['cat', 'yak'].map(labelled), rejected: [], trainedOn: 0 };
    expect(evaluateWarnings({ known: one, unknown: undefined, examples, duplicates: 0 })).toEqual([
      'the index has no example of yak: the one image of 1 label counts as a mistake, and retrieval leaves it out',
    ]);
  });

  it('say how many of the images the encoder was trained on', () => {
    const known = { images: ['cat', 'dog', 'dog'].map(labelled), rejected: [], trainedOn: 2 };
    const unknown = { images: [labelled('moss')], rejected: [], trainedOn: 1 };
    expect(evaluateWarnings({ known, unknown, examples, duplicates: 0 })).toEqual([
      'the encoder was trained on 2 of 3 images: the figures are optimistic',
      'the encoder was trained on 1 of 1 unknown images: the figures are optimistic',
    ]);
  });

  it('name ten labels at most', () => {
    const known = {
      images: Array.from({ length: 12 }, (_, i) => labelled(`label ${i + 10}`)),
      rejected: [],
      trainedOn: 0,
    };
    const [warning] = evaluateWarnings({ known, unknown: undefined, examples, duplicates: 0 });
    expect(warning).toContain('label 19 and 2 more:');
  });

  it('say what the calibration was fitted on', () => {
    const known = { images: [labelled('cat')], rejected: [], trainedOn: 0 };
    const warningsOf = (fittedOn: number): string[] =>
      evaluateWarnings({
        ...{ known, unknown: undefined, examples, duplicates: 0 },
        calibrated: { of: 9, fittedOn },
      });
    expect(warningsOf(0)).toEqual([]);
    expect(warningsOf(4)).toEqual([expect.stringContaining('fitted on 4 of these images')]);
    expect(warningsOf(9)).toEqual([expect.stringContaining('fitted on all of these images')]);
  });

  it('say what could not be decoded, what is in the index already, and unknown labels that are known', () => {
    const known = {
      images: [labelled('cat')],
      rejected: [{ id: 'cat/9', message: 'cut off' }],
      trainedOn: 0,
    };
    const unknown = { images: [labelled('dog'), labelled('moss')], rejected: [], trainedOn: 0 };
    const warnings = evaluateWarnings({ known, unknown, examples, duplicates: 3 });
    expect(warnings).toEqual([
      expect.stringMatching(
        /^3 images are all but identical to an example: .*nearvote audit --test looks for copies/,
      ),
      expect.stringContaining('has examples of dog, which are to be unknown'),
      '1 images could not be decoded, the first: cat/9: cut off',
    ]);
  });
});
