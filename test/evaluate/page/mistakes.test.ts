import { describe, expect, it } from 'vitest';
import { answersOf } from '../../../src/evaluate/measure-accuracy.js';
import { mistakesSection, pickMistakes, type Mistake } from '../../../src/evaluate/page/pictures.js';
import { createExactSearcher } from '../../../src/neighbours/exact.js';
import { onCircle } from '../../neighbours/unit-vectors.js';

const examples = ['north', 'north', 'east', 'east'].map((label, i) => ({
  id: `example ${i}`,
  label,
  source: `photo ${i}`,
}));
const images = [
  ['north', 0],
  ['east', 4],
  ['north', 88],
  ['east', 44],
  ['east', -20],
].map(([label, degrees]) => ({
  id: `image at ${degrees ?? ''}`,
  label: String(label),
  source: '',
  read: () => Promise.reject(new Error('not to be read')),
}));

async function mistakes(most: number): Promise<Mistake[]> {
  const searcher = await createExactSearcher({ embeddings: onCircle([0, 10, 80, 90]), threads: 1 });
  const found = await searcher.search(onCircle([0, 4, 88, 44, -20]), 3);
  const answers = answersOf({ found, examples }, 2, { rule: 'majority', temperature: 1 });
  return pickMistakes({ images, answers, found, examples, most });
}

describe('the most confident mistakes', () => {
  it('are the wrong answers by vote share, then by nearness', async () => {
    // 0 is right; 4, 88 and -20 are wrong with both votes, their second neighbours 6, 8 and 30 off; 44 is a tie.
    expect((await mistakes(10)).map(({ image }) => image.id)).toEqual([
      'image at 4',
      'image at 88',
      'image at -20',
      'image at 44',
    ]);
    expect(await mistakes(1)).toHaveLength(1);
  });

  it('become rows of a picture and its neighbours, nearest first, each marked by its label', async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const section = mistakesSection({
      mistakes: await mistakes(1),
      images: new Map([['image at 4', bytes]]),
      examples: new Map([['photo 1', bytes]]),
    });
    const image = { bytes, type: 'image/webp' };
    expect(section.rows).toEqual([
      {
        caption: 'east taken for north, vote share 1.000: image at 4',
        pictures: [
          { caption: 'east', mark: 'subject', image },
          { caption: 'north 0.998', mark: 'other' },
          { caption: 'north 0.995', mark: 'other', image },
          { caption: 'east 0.242', mark: 'same' },
        ],
      },
    ]);
  });
});
