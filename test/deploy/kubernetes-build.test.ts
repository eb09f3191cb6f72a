import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { z } from 'zod';
import { nearvoteHere } from '../cli/in-process.js';
import { drawFolders, root } from '../cli/nearvote.js';
import { written } from './manifests.js';

const jobSchema = z.object({
  spec: z.object({
    completions: z.number().optional(),
    template: z.object({
      spec: z.object({
        containers: z.tuple([z.object({ command: z.array(z.string()), args: z.array(z.string()) })]),
      }),
    }),
  }),
});
const jobOf = (file: string): z.infer<typeof jobSchema>['spec'] =>
  jobSchema.parse(written.find((one) => one.file === file)?.manifest).spec;
const parts = jobOf('build/parts.yaml');
const merge = jobOf('build/merge.yaml');

let work = '';
afterAll(() => rm(work, { recursive: true, force: true }));

it('the Jobs embed as many parts as they say, and the merge publishes the index of all of them', async () => {
  const [{ command, args }] = parts.template.spec.containers;
  const [{ args: mergeArgs }] = merge.template.spec.containers;
  expect(command).toEqual(['node', 'dist/cli/main.js']);
  // Each pod by its number; the merge of the same parts.
  expect(args).toContain(`--shards=${String(parts.completions)}`);
  expect(args).toContain('--shard=$(JOB_COMPLETION_INDEX)');
  expect(mergeArgs).toEqual([...args.filter((arg) => !arg.startsWith('--shard=')), '--merge']);

  work = await mkdtemp(join(tmpdir(), 'nearvote-jobs-'));
  await drawFolders(join(work, 'photos'), { count: 6, firstSeed: 1 });
  await cp(join(root, 'models/cifar10-compact'), join(work, 'models/mine'), { recursive: true });
  // Three parts take less time than 64, and say the same.
  const here = (told: readonly string[], index: number): string[] =>
    told.map((arg) =>
      arg
        .replace(/=\/photos-volume\//, `=${work}/`)
        .replace(/^--shards=.*/, '--shards=3')
        .replace('$(JOB_COMPLETION_INDEX)', String(index)),
    );
  for (const index of [2, 0, 1])
    expect(await nearvoteHere(root, here(args, index))).toMatchObject({ code: 0 });
  expect(await nearvoteHere(root, here(mergeArgs, 0))).toMatchObject({ code: 0 });
  const { stdout } = await nearvoteHere(root, ['index', 'show', join(work, 'index/photos'), '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ examples: 18 });
  // A wrong option ends the whole Job: its exit code is the one that podFailurePolicy names.
  expect(await nearvoteHere(root, here(args, 3))).toMatchObject({ code: 2 });
});
