import { describe, expect, it } from 'vitest';
import { checkUnknown } from '../../src/evaluate/measure-unknown.js';
import type { LabelledImage } from '../../src/image/dataset/dataset.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const image = (id: string): LabelledImage => ({
  id,
  label: 'any',
  source: id,
  read: () => Promise.reject(new Error('not to be read')),
});

/** Examples a and b at 0 and 90 degrees, the data c at 45. */
async function check(id: string, degrees: number): Promise<void> {
  return checkUnknown({
    unknown: { images: [image('x'), image(id)], embeddings: onCircle([200, degrees]) },
    known: { images: [image('c')], embeddings: onCircle([45]) },
    examples: ['a', 'b'].map((name) => ({ id: `of ${name}`, label: 'any', source: name })),
    exact: await createExactSearcher({ embeddings: onCircle([0, 90]), threads: 1 }),
    threads: 1,
  });
}

describe('unknown images', () => {
  it('may lie anywhere that nothing else lies', async () => {
    await expect(check('y', 3)).resolves.toBeUndefined();
  });

  it.each([
    ['a', 200, '1 of 2 are: a has the path of an example of the index'],
    ['c', 200, '1 of 2 are: c has the path of an image of the data'],
    ['y', 90, '1 of 2 are: y is all but identical to an example of the index'],
    ['y', 45, '1 of 2 are: y is all but identical to an image of the data'],
  ])('may not be %s at %i degrees', async (id, degrees, message) => {
    await expect(check(id, degrees)).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringContaining(message) as string,
    });
  });
});
