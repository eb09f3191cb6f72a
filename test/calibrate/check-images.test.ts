import { describe, expect, it } from 'vitest';
import { checkCount, checkLabels, overlapOf, refuseOverlap } from '../../src/calibrate/check-images.js';

describe('what is calibrated on', () => {
  const index = ['cat', 'dog', 'owl'];

  it('may leave labels of the index out', () => {
    expect(() => checkLabels(['dog', 'cat'], index)).not.toThrow();
    expect(() => checkLabels(['dog', 'cat', 'yak'], index)).not.toThrow();
  });

  it.each([
    [['yak', 'gnu'], 'Expected labels that the index has, cat, dog, owl, but received only yak, gnu'],
    [['cat', 'yak'], 'Expected images of at least two labels but received "cat" alone'],
    [['cat'], 'Expected images of at least two labels but received "cat" alone'],
    [[], 'Expected labelled images but received none'],
  ])('is refused for the labels %j', (labels, message) => {
    expect(() => checkLabels(labels, index)).toThrow(message);
  });

  it('is refused for fewer images than k', () => {
    expect(() => checkCount(20, 20)).not.toThrow();
    expect(() => checkCount(19, 20)).toThrow(
      'Expected at least as many images as k, which is 20, but received 19',
    );
  });
});

describe('overlap with the index', () => {
  const image = (source: string, label = 'cat') => ({ label, source });
  const example = (source: string, label = 'cat') => ({ id: `0${source}`, label, source });

  it('is the same label and source, or all but the same picture, each image counted once', () => {
    const images = [image('1'), image('2'), image('3', 'dog'), image('4'), image('5')];
    const overlap = overlapOf({
      images,
      examples: [example('1'), example('2'), example('3', 'owl')],
      found: {
        count: 5,
        k: 2,
        rows: new Int32Array(10),
        // The second of each image is farther away and does not count.
        similarities: Float32Array.of(1, 0, 0.5, 0, 0.9, 0, 0.999995, 0, 0.9999, 0),
      },
    });
    expect(overlap).toEqual({ sameSource: 2, samePicture: 2, images: 3 });
    expect(() => refuseOverlap(overlap, 5)).toThrow(
      'Expected images that the index has not seen but 3 of 5 are in it already: 2 by label and source, 2 as all but the same picture',
    );
  });

  it('is nothing to refuse where there is none', () => {
    expect(() => refuseOverlap({ sameSource: 0, samePicture: 0, images: 0 }, 5)).not.toThrow();
  });
});
