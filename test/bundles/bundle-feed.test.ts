import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBundleFeed, type BundleFeed } from '../../src/bundles/bundle-feed.js';
import { parseIndexSource } from '../../src/bundles/bundle-url.js';
import { openCache } from '../../src/bundles/cache.js';
import { exportIndex } from '../../src/curate/export-index.js';
import { NearvoteError } from '../../src/domain/errors.js';
import { readPublished } from '../../src/examples/index-store.js';
import { verifyIndex } from '../../src/curate/verify-index.js';
import { lockFolder } from '../../src/files/lock.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { cutOff, endless, openBundleHost, sha256Of, stall } from './bundle-host.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-feed-'));
const host = await openBundleHost();
afterAll(async () => {
  await host.close();
  await rm(base, { recursive: true });
});

/** Three bundles, by the hour in which they were made. */
const made = new Map<
  number,
  { readonly sha256: string; readonly version: string; readonly content: Buffer }
>();
for (const hour of [1, 2, 3]) {
  const root = join(base, `of ${hour}`, 'pets');
  const examples = ['c0', 'd0'].map((id) => ({ id, label: id, source: `${id}.png` }));
  const createdAt = `2026-01-01T0${hour}:00:00.000Z`;
  await publishSmallIndex({
    root,
    embeddings: onCircle([hour, 90]),
    examples,
    createdAt,
    withoutGraph: true,
  });
  const { path, sha256, version } = await exportIndex({ root, out: base });
  made.set(hour, { sha256, version, content: await readFile(path) });
}
const bundle = (hour: number) => {
  const one = made.get(hour);
  if (one === undefined) throw new Error('Expected one of the bundles');
  return one;
};

let cacheDir = '';
let caches = 0;
let lines: string[] = [];
/** What is served, and how often it was flipped. */
let served: string | undefined;
const feeds: BundleFeed[] = [];
beforeEach(() => {
  cacheDir = join(base, `cache ${caches++}`);
  lines = [];
  served = undefined;
  host.asked.length = 0;
  for (const { sha256, content } of made.values()) host.files.set(`/${sha256}.tar`, content);
});
afterEach(() => {
  for (const feed of feeds.splice(0)) feed.stop();
  host.faults.clear();
  unopenable = undefined;
});

const rules = {
  ...{ allowHttp: false, s3PathStyle: false, mostBytes: 1_000_000, stallMs: 1_000, pauseMs: 1, attempts: 2 },
};
const urlOf = (hour: number): string => `${bundle(hour).sha256}.tar#sha256:${bundle(hour).sha256}`;
const point = (text: string | number): void => {
  host.files.set('/pets.pointer', Buffer.from(typeof text === 'number' ? `${urlOf(text)}\n` : text));
};
/** A version that cannot be opened, as with an encoder that is not there. */
let unopenable: string | undefined;

/** Milliseconds by which the clock of feeds is ahead. */
let ahead = 0;
function feedOf(url = `${host.url}/pets.pointer`, dir = cacheDir): BundleFeed {
  const say = (...said: unknown[]): void => void lines.push(String(said.at(-1)));
  const feed = createBundleFeed({
    ...{
      source: parseIndexSource(url, rules),
      name: 'pets',
      pollMs: 3_600_000,
      now: () => Date.now() + ahead,
    },
    ...{ logger: { info: say, warn: say } },
    bringing: { cache: openCache(dir), rules },
  });
  feeds.push(feed);
  return feed;
}
const openIt = (feed: BundleFeed): Promise<string> =>
  feed.open(async ({ root }) => {
    const { version } = await readPublished(root);
    expect((await verifyIndex({ root })).defects).toEqual([]);
    if (version === unopenable) throw new NearvoteError('encoder_mismatch', 'Expected its encoder');
    return { value: version };
  });
async function start(feed: BundleFeed): Promise<void> {
  served = await openIt(feed);
  feed.follow(async () => (served = await openIt(feed)));
}
const kept = (dir = cacheDir): Promise<string[]> =>
  readdir(join(dir, 'bundles')).then((names) => names.filter((name) => !name.startsWith('.')).sort());
const sha256s = (...hours: number[]): string[] => hours.map((hour) => bundle(hour).sha256).sort();

describe('a bundle that is served', () => {
  it('is fetched, checked and unpacked, and needs no network the next time', async () => {
    const url = `${host.url}/${urlOf(1)}`;
    await start(feedOf(url));
    expect(served).toBe(bundle(1).version);
    expect(await kept()).toEqual(sha256s(1));
    expect(await readdir(join(cacheDir, 'fetching'))).toEqual([]);
    host.files.clear();
    host.asked.length = 0;
    await start(feedOf(url));
    expect([served, host.asked]).toEqual([bundle(1).version, []]);
  });

  it('ends the start where it is another, and waits for a host that does not answer', async () => {
    const other = `${host.url}/${bundle(1).sha256}.tar#sha256:${bundle(2).sha256}`;
    await expect(start(feedOf(other))).rejects.toMatchObject({ code: 'bundle_invalid' });
    expect(await readdir(cacheDir)).not.toContain('bundles');
    const feed = feedOf(`${host.url}/${urlOf(1)}`);
    host.faults.set(`/${bundle(1).sha256}.tar`, cutOff);
    const starting = start(feed);
    await expect.poll(() => feed.state.failure?.code).toBe('bundle_unreachable');
    host.faults.clear();
    await starting;
    expect(feed.state).toMatchObject({ failure: undefined, failures: 1 });
  });

  it('is fetched again where the cache was damaged', async () => {
    const url = `${host.url}/${urlOf(1)}`;
    await start(feedOf(url));
    const there = join(cacheDir, 'bundles', bundle(1).sha256, 'index', 'pets');
    const file = join(there, (await readPublished(there)).version, 'manifest.json');
    await writeFile(file, `${await readFile(file, 'utf8')} `);
    host.asked.length = 0;
    await start(feedOf(url));
    expect(host.asked).toEqual([`/${bundle(1).sha256}.tar`]);
    expect(await readFile(file, 'utf8')).not.toMatch(/ $/);
  });

  it('is one download for two servers that share a cache', async () => {
    const url = `${host.url}/${urlOf(1)}`;
    await Promise.all([feedOf(url), feedOf(url), feedOf(url)].map(openIt));
    expect(host.asked).toEqual([`/${bundle(1).sha256}.tar`]);
  });

  it('is gone on with where a process was killed while it unpacked', async () => {
    const { sha256, content } = bundle(1);
    // A process that holds the lock, has fetched half and unpacked something, and is killed.
    const script = `
      import { mkdirSync, writeFileSync, readFileSync } from 'node:fs';
      const { lockFolder } = await import(${JSON.stringify(join(process.cwd(), 'dist/files/lock.js'))});
      mkdirSync(${JSON.stringify(join(cacheDir, 'locks'))}, { recursive: true });
      await lockFolder(${JSON.stringify(join(cacheDir, 'locks'))}, { name: '${sha256}' });
      console.log('held');
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    await once(child.stdout, 'data');
    const fetching = join(cacheDir, 'fetching', sha256);
    await mkdir(join(fetching, 'whole', 'index', 'pets', '.staging-1'), { recursive: true });
    await writeFile(join(fetching, 'whole', 'index', 'pets', 'current'), 'half');
    await writeFile(join(fetching, `${sha256}.tar`), content.subarray(0, 5_000));
    const starting = start(feedOf(`${host.url}/${urlOf(1)}`));
    child.kill('SIGKILL');
    await starting;
    expect(host.asked).toEqual([`/${sha256}.tar from 5000`]);
    expect([served, await readdir(join(cacheDir, 'fetching'))]).toEqual([bundle(1).version, []]);
  });
});

describe('a pointer', () => {
  it('is followed, there and back, with the one before kept and no more', async () => {
    point(1);
    const feed = feedOf();
    await start(feed);
    point(2);
    await feed.look();
    expect(served).toBe(bundle(2).version);
    host.asked.length = 0;
    point(1);
    await feed.look();
    expect([served, host.asked]).toEqual([bundle(1).version, ['/pets.pointer']]);
    await feed.look();
    point(3);
    await feed.look();
    expect([served, await kept()]).toEqual([bundle(3).version, sha256s(1, 3)]);
    expect(feed.state).toMatchObject({ sha256: bundle(3).sha256, failures: 0, failure: undefined });
  });

  it.each<[string, string, () => void]>([
    ['a bundle that is gone', 'bundle_refused', () => host.files.delete(`/${bundle(2).sha256}.tar`)],
    [
      'a bundle with a flipped bit',
      'bundle_invalid',
      () => {
        const flipped = Buffer.from(bundle(2).content);
        flipped.writeUInt8(flipped.readUInt8(3_000) ^ 1, 3_000);
        host.files.set(`/${bundle(2).sha256}.tar`, flipped);
      },
    ],
    ['a body without an end', 'bundle_invalid', () => host.faults.set(`/${bundle(2).sha256}.tar`, endless)],
    ['a host that is silent', 'bundle_unreachable', () => host.faults.set(`/${bundle(2).sha256}.tar`, stall)],
    [
      'a body that is cut off',
      'bundle_unreachable',
      () => host.faults.set(`/${bundle(2).sha256}.tar`, cutOff),
    ],
    ['a wrong encoder', 'encoder_mismatch', () => (unopenable = bundle(2).version)],
    ['something that is none', 'bundle_invalid', () => point('<html>log in</html>')],
    ['nothing any more', 'bundle_refused', () => host.files.delete('/pets.pointer')],
    ['what has no end', 'bundle_invalid', () => host.faults.set('/pets.pointer', endless)],
    [
      'what is no bundle, though its digest is right',
      'bundle_invalid',
      () => {
        const junk = Buffer.alloc(10_240, 'junk');
        host.files.set('/junk.tar', junk);
        point(`junk.tar#sha256:${sha256Of(junk)}`);
      },
    ],
  ])('that leads to %s changes nothing, is told once, and is tried again', async (_, code, spoil) => {
    point(1);
    const feed = feedOf();
    await start(feed);
    point(2);
    spoil();
    for (const failures of [1, 2]) {
      await expect(feed.look()).rejects.toMatchObject({ code });
      expect(feed.state).toMatchObject({ sha256: bundle(1).sha256, failures, failure: { code } });
    }
    expect(served).toBe(bundle(1).version);
    expect(lines).toEqual(['the bundle from before goes on serving']);
    expect(existsSync(join(cacheDir, 'bundles', bundle(1).sha256))).toBe(true);

    unopenable = undefined;
    host.faults.clear();
    host.files.set(`/${bundle(2).sha256}.tar`, bundle(2).content);
    point(2);
    await feed.look();
    expect(served).toBe(bundle(2).version);
    expect(feed.state.failure).toBeUndefined();
  });

  it('whose host is down at a restart leaves what was served last', async () => {
    point(1);
    await start(feedOf());
    host.faults.set('/pets.pointer', (_req, res) => void res.destroy());
    const feed = feedOf();
    await start(feed);
    expect(served).toBe(bundle(1).version);
    expect(feed.state).toMatchObject({ sha256: bundle(1).sha256, failure: { code: 'bundle_unreachable' } });
    host.faults.clear();
    point(2);
    await feed.look();
    expect(served).toBe(bundle(2).version);
  });

  it('that names what cannot be opened at a restart leaves what was served last', async () => {
    point(1);
    await start(feedOf());
    point(2);
    unopenable = bundle(2).version;
    const feed = feedOf();
    await start(feed).finally(() => (unopenable = undefined));
    expect([served, feed.state.failure?.code]).toEqual([bundle(1).version, 'encoder_mismatch']);
  });

  it('is told again where it still fails ten minutes later, and not at each look', async () => {
    point('none');
    const feed = feedOf();
    const starting = start(feed);
    starting.catch(() => undefined);
    await expect.poll(() => lines).toEqual(['there is no bundle yet']);
    await expect(feed.look()).rejects.toThrow('Expected');
    expect(lines).toHaveLength(1);
    ahead = 600_000;
    await expect(feed.look())
      .rejects.toThrow('Expected')
      .finally(() => (ahead = 0));
    expect(lines).toHaveLength(2);
    feed.stop();
    await expect(starting).rejects.toThrow();
  });

  it('that is changed while it is looked at is looked at once more, for all who ask meanwhile', async () => {
    point(1);
    const feed = feedOf();
    await start(feed);
    host.asked.length = 0;
    host.faults.set('/pets.pointer', (_req, res, content) => {
      host.faults.clear();
      // It was read, and is changed and asked for again before the answer is there.
      point(2);
      const asked = [feed.look(), feed.look()];
      res.end(content);
      later = Promise.all(asked);
    });
    let later: Promise<unknown> = Promise.resolve();
    await feed.look();
    expect(served).toBe(bundle(1).version);
    await later;
    expect(served).toBe(bundle(2).version);
    expect(host.asked.filter((path) => path === '/pets.pointer')).toHaveLength(2);
  });

  it('keeps the encoders of the bundle that is served and of the one before, and no more', async () => {
    const feed = feedOf();
    const digest = (hour: number): string => String(hour).repeat(64);
    let hour = 0;
    const open = async (): Promise<void> => {
      await feed.open(async (_, { cache, signal }) => {
        const make = ({ into }: { into: string }) => writeFile(join(into, 'encoder.json'), '{}');
        return { value: hour, encoder: await cache.bring('encoders', digest(hour), { signal, make }) };
      });
    };
    for (hour of [1, 2, 3, 1]) {
      point(hour);
      if (served === undefined) await open();
      else await feed.look();
      served = 'something';
      feed.follow(open);
    }
    const encoders = await readdir(join(cacheDir, 'encoders'));
    expect(encoders.filter((name) => !name.startsWith('.')).sort()).toEqual([1, 3].map(digest));
    const leases = await readdir(join(cacheDir, 'encoders', '.leases'));
    expect(leases.map((name) => name[0]).sort()).toEqual(['1', '3']);
  });

  it('ends at once when it is stopped while another process fetches what it waits for', async () => {
    const { sha256 } = bundle(1);
    await mkdir(join(cacheDir, 'locks'), { recursive: true });
    const lock = await lockFolder(join(cacheDir, 'locks'), { name: sha256 });
    point(1);
    const feed = feedOf();
    const starting = start(feed);
    await expect.poll(() => host.asked).toEqual(['/pets.pointer']);
    feed.stop();
    await expect(starting).rejects.toThrow();
    await lock.release();
  });

  it('keeps what another server of the same cache serves', async () => {
    point(1);
    await start(feedOf());
    const other = feedOf(`${host.url}/other.pointer`);
    host.files.set('/other.pointer', Buffer.from(urlOf(2)));
    await openIt(other);
    const feed = feeds[0];
    for (const hour of [2, 3, 1, 3]) {
      point(hour);
      await feed?.look();
    }
    expect(await kept()).toEqual(sha256s(1, 2, 3));
    other.stop();
  });

  it('leaves no half of a download behind for ever', async () => {
    const left = join(cacheDir, 'fetching', 'f'.repeat(64));
    await mkdir(left, { recursive: true });
    const longAgo = new Date(Date.now() - 2 * 86_400_000);
    await utimes(left, longAgo, longAgo);
    point(1);
    await start(feedOf());
    expect(existsSync(left)).toBe(false);
  });
});

/** Whether a small disk of one's own can be had. */
const mountsDisks = await promisify(execFile)('unshare', [
  ...['--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', base],
]).then(
  () => true,
  () => false,
);

describe.runIf(mountsDisks)('on a full disk', () => {
  it('nothing is left of what did not fit', async () => {
    const sizes = [4, 12, 20, 2_000];
    const script = `
      const { openCache } = await import(${JSON.stringify(join(process.cwd(), 'dist/bundles/cache.js'))});
      const { bringBundle } = await import(${JSON.stringify(join(process.cwd(), 'dist/bundles/bring.js'))});
      const { parseIndexSource } = await import(${JSON.stringify(join(process.cwd(), 'dist/bundles/bundle-url.js'))});
      const { readdirSync } = await import('node:fs');
      const rules = ${JSON.stringify(rules)};
      const source = parseIndexSource(${JSON.stringify(`${host.url}/${urlOf(1)}`)}, rules);
      for (const kilobytes of ${JSON.stringify(sizes)}) {
        const dir = ${JSON.stringify(join(base, 'disk-'))} + kilobytes + '/cache';
        await bringBundle(source, { cache: openCache(dir), rules, signal: new AbortController().signal }).then(
          () => console.log('brought'),
          (error) => console.log(error.code, JSON.stringify(readdirSync(dir + '/fetching'))),
        );
      }`;
    for (const kilobytes of sizes) await mkdir(join(base, `disk-${kilobytes}`));
    const mounts = sizes.map((size) => `mount -t tmpfs -o size=${size}k none '${base}/disk-${size}'`);
    const { stdout } = await promisify(execFile)('unshare', [
      ...['--map-root-user', '--mount', 'sh', '-c', `${mounts.join(' && ')} && exec "$0" "$@"`],
      ...[process.execPath, '--input-type=module', '-e', script],
    ]);
    const refused = 'output_unwritable []';
    expect(stdout.trim().split('\n')).toEqual([refused, refused, refused, 'brought']);
  });
});
