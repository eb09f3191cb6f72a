import { open, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readFindings } from '../../src/audit/findings-file.js';

const folder = await mkdtemp(join(tmpdir(), 'nearvote-findings-'));
const file = join(folder, 'findings.jsonl');
afterAll(() => rm(folder, { recursive: true }));

const droppable = '{"kind":"droppable","ids":["a"],"labels":["cat"],"score":0,"note":"more is fine"}';

it('reads what is needed of findings, by line, without empty lines', async () => {
  await writeFile(file, `\ufeff${droppable}\r\n\n${droppable}`);
  expect(await readFindings(file)).toEqual([
    { line: 1, finding: { kind: 'droppable', ids: ['a'], labels: ['cat'] } },
    { line: 3, finding: { kind: 'droppable', ids: ['a'], labels: ['cat'] } },
  ]);
});

it.each([
  ['an empty file', '', 'has none'],
  ['empty lines', '\n\n', 'has none'],
  ['a line that is no JSON', `${droppable}\nnonsense\n`, /line 2 of .* is no JSON/],
  ['a line that is cut', droppable.slice(0, 40), /line 1 of .* is no JSON/],
  ['another thing', '{"kind":"dog"}', /in line 1 of .* kind is wrong/],
  ['a list', '[]', /in line 1/],
  ['a label too few', '{"kind":"droppable","ids":["a","b"],"labels":["x"]}', 'Expected a label of each id'],
  ['an id twice', '{"kind":"droppable","ids":["a","a"],"labels":["x","x"]}', 'Expected every id once'],
  ['no ids', '{"kind":"droppable","ids":[],"labels":[]}', 'ids is wrong'],
  [
    'a probability of 2',
    '{"kind":"mislabelled","ids":["a"],"labels":["x"],"suggested":"y","probability":2}',
    'probability is wrong',
  ],
])('refuses %s, and says where', async (_, text, message) => {
  await writeFile(file, text);
  await expect(readFindings(file)).rejects.toMatchObject({
    code: 'findings_invalid',
    message:
      typeof message === 'string'
        ? (expect.stringContaining(message) as string)
        : (expect.stringMatching(message) as string),
  });
});

it('refuses bytes that are no text, a file that is not there, and a folder', async () => {
  await writeFile(file, Buffer.from([0x7b, 0xff, 0x0a]));
  await expect(readFindings(file)).rejects.toThrow('Expected UTF-8 but line 1');
  await expect(readFindings(join(folder, 'none'))).rejects.toThrow('cannot be read (ENOENT)');
  await expect(readFindings(folder)).rejects.toThrow('cannot be read (EISDIR)');
});

it('refuses a line of 1 GB without holding it', async () => {
  // Zeros that take no room on the disk.
  const handle = await open(file, 'w');
  await handle.truncate(1_000_000_000);
  await handle.close();
  const before = process.memoryUsage().rss;
  await expect(readFindings(file)).rejects.toThrow('at most 16777216 bytes');
  expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
});
