import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Command, Option } from 'commander';
import type { Classifier } from '../classify.js';
import { NearvoteError } from '../domain/errors.js';
import { classifierOf, openPair } from '../pair.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  pairOptions,
  type PairOptions,
  voteChoice,
  voteOptions,
  type VoteOptions,
} from './options.js';
import { applyCalibration } from '../examples/calibration-file.js';
import { decisionTable, type Outcome } from './decision-table.js';
import { print, printError } from './printable.js';
import { sayWhichIndex } from './which-index.js';

interface ClassifyFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly neighbours: number;
  readonly json?: true;
}

export function classifyCommand(): Command {
  const command = new Command('classify')
    .description('classify image files and print the decisions')
    .argument('<file...>', 'JPEG, PNG, WebP, GIF, AVIF or TIFF images, or folders of them')
    .addOption(
      new Option('--neighbours <n>', 'neighbours to show')
        .argParser(integerFrom(0))
        .default(5)
        .env('NEARVOTE_NEIGHBOURS'),
    )
    .addOption(new Option('--json', 'print a JSON line a file').env('NEARVOTE_JSON'))
    .addHelpText('after', '\nExample:\n  $ nearvote classify photo.jpg --index index/cifar10 --json\n')
    .action(classifyFiles);
  for (const option of [...pairOptions(), ...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()]) {
    command.addOption(option);
  }
  return command;
}

/** The files in folders, however deep, beside those that were named; hidden ones are left out. */
async function filesIn(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  let missing = 0;
  for (const path of paths) {
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) missing += 1;
    if (stats?.isDirectory() !== true) files.push(path);
    else {
      const entries = await readdir(path, { recursive: true, withFileTypes: true });
      const found = entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
      files.push(...found.filter((file) => !/(^|[/\\])\./.test(relative(path, file))).sort());
    }
  }
  const [first = ''] = paths;
  if (missing === paths.length) {
    throw new NearvoteError('image_missing', `Expected an image file or a folder but there is no ${first}`);
  }
  if (files.length === 0)
    throw new NearvoteError('image_missing', `Expected images in ${first} but there are none`);
  return files;
}

async function classifyFiles(
  paths: readonly string[],
  flags: ClassifyFlags,
  command: Command,
): Promise<void> {
  const files = await filesIn(paths);
  const pair = await openPair({
    ...flags,
    index: await sayWhichIndex(flags.index),
    workers: Math.min(flags.workers, files.length),
    maxQueue: files.length,
  });
  const choice = voteChoice(flags, command);
  const { calibration, origin, warning } = applyCalibration(pair.calibration, choice);
  if (warning !== undefined) printError(`nearvote: ${warning}`);
  const classifier = classifierOf(pair, {
    ...{ defaults: choice.settings, calibration },
    calibrationOrigin: origin,
  });
  const outcomes: Outcome[] = [];
  try {
    for (const file of files) {
      const outcome = await classifyFile(classifier, file, flags);
      outcomes.push(outcome);
      if (flags.json) print(JSON.stringify(outcome));
    }
  } finally {
    await Promise.all([pair.pool.close(), pair.neighbours.close()]);
  }
  if (!flags.json) print(decisionTable(outcomes, process.stdout.isTTY ? process.stdout.columns : 0));
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []));
  const [first] = failed;
  if (first !== undefined) {
    throw new NearvoteError(
      first.error.code,
      `${failed.length} of ${files.length} images could not be classified, the first: ${first.file}: ${first.error.message}`,
    );
  }
}

async function classifyFile(classifier: Classifier, file: string, flags: ClassifyFlags): Promise<Outcome> {
  try {
    const { size } = await stat(file);
    if (size > flags.maxImageBytes) {
      throw new NearvoteError(
        'image_too_large',
        `Expected at most ${flags.maxImageBytes} bytes but received ${size}`,
      );
    }
    const { decision } = await classifier.classify(await readFile(file), { neighbours: flags.neighbours });
    return { file, decision };
  } catch (error) {
    if (error instanceof NearvoteError) {
      return { file, error: { code: error.code, message: error.message } };
    }
    // A file that is missing or cannot be read; anything else is a fault of ours.
    if (error instanceof Error && 'code' in error) {
      return { file, error: { code: 'image_missing', message: error.message } };
    }
    throw error;
  }
}
