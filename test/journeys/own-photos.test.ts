import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { colours, drawFolders, drawSpeckled, root } from '../cli/nearvote.js';
import { askFor, beginJourney } from './journey.js';

const { red, green, blue } = colours;
/** README's section on one's own photos: its commands, and what it says of an encoder without the hub. */
async function readme(): Promise<{ commands: string[]; withoutHub: string }> {
  const text = await readFile(join(root, 'README.md'), 'utf8');
  const [, block = ''] = /^## Your own photos$[^]*?```sh\n([^]*?)```/m.exec(text) ?? [];
  const [, withoutHub = ''] =
    /Without it, leave the line out and build with `--encoder (\S+)`/.exec(text) ?? [];
  return { commands: block.trim().split('\n'), withoutHub };
}

/** Of the build, by somebody who cannot reach the hub: npm's scripts are nearvote's commands under other names. */
async function buildArguments(): Promise<string[]> {
  const { commands, withoutHub } = await readme();
  const [pull = '', build = ''] = commands;
  const [, pulled = ''] = /^npm run nearvote -- encoder pull \S+\/(\S+)$/.exec(pull) ?? [];
  expect(build).toBe(`npm run build:index -- --data photos --encoder models/${pulled} --out index/photos`);
  return ['build', ...build.replace(`models/${pulled}`, withoutHub).split(' ').slice(4)];
}

describe('somebody with photos of their own', () => {
  it('builds an index, which every command then uses unless told otherwise, and serves it', async () => {
    const { path, nearvote, serve } = await beginJourney();
    const build = await buildArguments();
    expect((await readme()).commands.slice(2)).toEqual([
      'npm start',
      'curl -F image=@photo.jpg http://127.0.0.1:8080/classify',
    ]);
    await drawFolders(path('photos'), { labels: { red, green }, count: 8, firstSeed: 0 });
    await drawFolders(path('validation'), { labels: { red, green }, count: 2, firstSeed: 100 });
    await drawSpeckled(green, 200).jpeg().toFile(path('leaf.jpg'));
    const shipped = await nearvote('classify', 'leaf.jpg');
    expect(shipped.stderr).toMatch(/^index index\/cifar10, version \S+; --index names another\n$/);

    expect(await nearvote(...build)).toMatchObject({ code: 0 });
    const version = (await readFile(path('index/photos/current'), 'utf8')).trim();
    const said = `index index/photos, version ${version}; --index names another`;
    const classified = await nearvote('classify', 'leaf.jpg', '--json');
    expect(classified.stderr).toBe(`${said}\n`);
    expect(JSON.parse(classified.stdout)).toMatchObject({ decision: { label: 'green' } });
    const evaluated = await nearvote('evaluate', '--data', 'validation', '--json');
    expect(evaluated.stderr).toContain(said);
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ examples: 16, served: { accuracy: 1 } });

    const server = await serve();
    expect(server.said[0]).toContain(`nearvote is starting with index index/photos, version ${version}`);
    // A class that did not exist a moment ago, from a few photos, on the running server.
    await drawFolders(path('photos'), { labels: { blue }, count: 8, firstSeed: 300 });
    const sky = await drawSpeckled(blue, 400).jpeg().toBuffer();
    expect(await askFor(server.url, sky)).not.toMatchObject({ label: 'blue' });
    const again = await nearvote(...build);
    expect(again.stdout).toContain('8 embedded, 16 from the cache');
    server.hangUp();
    await expect.poll(() => askFor(server.url, sky), { timeout: 60_000 }).toMatchObject({ label: 'blue' });

    // With a second one of their own nothing is guessed.
    await cp(path('index/photos'), path('index/other'), { recursive: true });
    const asked = await nearvote('classify', 'leaf.jpg');
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain(
      'Expected --index, since there are several indexes of your own: index/other, index/photos [usage]',
    );
    const mistyped = await nearvote('classify', 'leaf.jpg', '--index', 'index/fotos');
    expect(mistyped.stderr).toContain('There is index/other, index/photos [index_missing]');
  }, 120_000);

  it('is told of a broken photo by its name, and served without it', async () => {
    const { path, nearvote } = await beginJourney();
    await drawFolders(path('photos'), { labels: { red, green }, count: 10, firstSeed: 0 });
    const whole = await drawSpeckled(red, 50).jpeg().toBuffer();
    await writeFile(path('photos/red/torn.jpg'), whole.subarray(0, whole.length / 2));
    const built = await nearvote(...(await buildArguments()));
    expect(built).toMatchObject({ code: 0 });
    expect(built.stdout).toContain('20 embedded, 0 from the cache, 1 rejected');
    expect(built.stdout).toContain('red/torn.jpg');
    const again = await nearvote(...(await buildArguments()));
    expect(again.stdout).toContain('0 embedded, 20 from the cache, 1 rejected');
    // Nothing was embedded that could have a rate.
    expect(again.stdout).not.toContain('images/s');
    expect(await nearvote('classify', 'photos/red/torn.jpg')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[image_damaged]') as string,
    });
  });
});
