import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import { writeDrawnEncoder } from '../cli/drawn-encoder.js';
import { colours, drawFolders, drawSpeckled } from '../cli/nearvote.js';
import { askFor, beginJourney } from './journey.js';

const weights = [
  [1, 0],
  [-1, 0],
  [0, 1],
] as const;

describe('an encoder that does not lie in models/', () => {
  it('is found again by whatever works with an index that was built with it', async () => {
    const { path, nearvote, serve } = await beginJourney();
    await drawFolders(path('photos'), { count: 8, firstSeed: 0 });
    await drawFolders(path('validation'), { count: 2, firstSeed: 100 });
    await drawFolders(path('calibration'), { count: 10, firstSeed: 200 });
    await writeDrawnEncoder({ dir: path('somewhere/else/tiny'), name: 'drawn', weights });
    const out = ['--index', 'index/colours'];
    const built = await nearvote(
      ...['build', '--data', 'photos', '--encoder', 'somewhere/else/tiny', '--out', 'index/colours'],
    );
    expect(built).toMatchObject({ code: 0 });
    await drawSpeckled(colours.blue, 300).jpeg().toFile(path('sky.jpg'));

    const evaluated = await nearvote('evaluate', '--data', 'validation', ...out, '--json');
    expect(evaluated).toMatchObject({ code: 0 });
    const classified = await nearvote('classify', 'sky.jpg', ...out, '--json');
    expect(JSON.parse(classified.stdout)).toMatchObject({ decision: { label: 'blue' } });
    expect(await nearvote('audit', ...out, '--test', 'validation')).toMatchObject({ code: 0 });
    // Mean colours of one colour are all but the same.
    const calibrate = ['calibrate', '--data', 'calibration', ...out, '--force'];
    expect(await nearvote(...calibrate)).toMatchObject({ code: 0 });
    const { url } = await serve(...out);
    expect(await askFor(url, await drawSpeckled(colours.red, 301).jpeg().toBuffer())).toMatchObject({
      label: 'red',
    });
  });

  it('moves with the index, and is looked for in places that an error names', async () => {
    const { folder, path, nearvote } = await beginJourney();
    await drawFolders(path('photos'), { count: 8, firstSeed: 0 });
    await drawSpeckled(colours.blue, 300).jpeg().toFile(path('sky.jpg'));
    await writeDrawnEncoder({ dir: path('first/tiny'), name: 'drawn', weights });
    const build = ['build', '--data', 'photos', '--encoder', 'first/tiny', '--out', 'first/colours'];
    expect(await nearvote(...build)).toMatchObject({ code: 0 });
    await rename(path('first'), path('second'));
    const classify = ['classify', 'sky.jpg', '--index', 'second/colours'];
    expect(await nearvote(...classify)).toMatchObject({ code: 0 });

    await mkdir(path('mine'));
    await rename(path('second/tiny'), path('mine/drawn'));
    const lost = await nearvote(...classify);
    expect(lost).toMatchObject({ code: 1 });
    expect(lost.stderr).toContain('[encoder_missing]');
    const [hinted, models, shipped] = [
      `${folder}/second/tiny (where it was when the index was built)`,
      `${folder}/models/drawn (the folder of encoders)`,
      'models/drawn (shipped with nearvote)',
    ].map((place) => lost.stderr.indexOf(place));
    expect(hinted).toBeGreaterThan(0);
    expect(models).toBeGreaterThan(hinted ?? 0);
    expect(shipped).toBeGreaterThan(models ?? 0);
    expect(await nearvote(...classify, '--models', 'mine')).toMatchObject({ code: 0 });

    // Another encoder in the place that the hint names: the hash decides, and the right one is found behind it.
    const other = [weights[2], weights[0], weights[1]];
    await writeDrawnEncoder({ dir: path('second/tiny'), name: 'drawn', weights: other });
    expect(await nearvote(...classify, '--models', 'mine')).toMatchObject({ code: 0 });
    const mismatched = await nearvote(...classify);
    expect(mismatched).toMatchObject({ code: 1 });
    expect(mismatched.stderr).toContain('[encoder_mismatch]');
    expect(mismatched.stderr).toContain(`${folder}/second/tiny`);

    // A build with the encoder's new place remembers that.
    await rm(path('second/tiny'), { recursive: true });
    await cp(path('mine/drawn'), path('third'), { recursive: true });
    const again = ['build', '--data', 'photos', '--encoder', 'third', '--out', 'second/colours'];
    expect(await nearvote(...again)).toMatchObject({ code: 0 });
    expect(await nearvote(...classify)).toMatchObject({ code: 0 });
  });
});
