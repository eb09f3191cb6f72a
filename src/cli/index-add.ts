import { Command, Option } from 'commander';
import { teachIndex } from '../curate/teach-index.js';
import { NearvoteError } from '../domain/errors.js';
import { openLabelledFiles, type LabelledFiles } from '../image/dataset/labelled-files.js';
import { checkId, checkLabel } from '../neighbours/example-names.js';
import { taughtLines } from './changed-lines.js';
import { changing, type ChangeFlags } from './index-change.js';
import { hinted, openServed, sameIndex } from './managed-index.js';
import {
  imageLimitOptions,
  inferenceOptions,
  type ImageLimitOptions,
  type InferenceOptions,
} from './options.js';
import { createProgress } from './output.js';
import { print, printable, printError } from './printable.js';
import { watchSignals } from './stop-signals.js';
import { rootOf } from './which-index.js';

interface AddFlags extends ChangeFlags, InferenceOptions, ImageLimitOptions {
  readonly label?: string;
  readonly id?: string;
  readonly models: string;
}

const help = `
Without --label each path is a folder that holds a folder of images for each label. The same images again change nothing; an
image that cannot be decoded, or is an example of another label already, is left out and told.
`;

export function addCommand(): Command {
  const command = changing(
    new Command('add'),
    '$ nearvote index add lynx-1.jpg lynx-2.jpg --label lynx --index index/photos',
  )
    .description('teach an index images, as one change')
    .argument('<path...>', 'JPEG, PNG, WebP, GIF, AVIF or TIFF images, or folders of them')
    .addHelpText('after', help)
    .action(add);
  const options = [
    new Option('--label <label>', 'what all of the images show'),
    new Option('--id <id>', 'id of a single image (default: made from the image and its label)'),
    new Option('--models <dir>', 'folder in which the encoder is looked for by its name')
      .default('models')
      .env('NEARVOTE_MODELS'),
    ...inferenceOptions(),
    ...imageLimitOptions(),
  ];
  for (const option of options) command.addOption(option);
  return command;
}

async function add(paths: readonly string[], flags: AddFlags, command: Command): Promise<void> {
  const { index, label, id, workers, json } = flags;
  if (label !== undefined) checkLabel(label);
  if (id !== undefined) checkId(id);
  const served = openServed({ flags, command });
  const root = served === undefined ? await rootOf(index) : '';
  const files = await openLabelledFiles({ paths, label, maxFileBytes: flags.maxImageBytes });
  if (id !== undefined && files.size !== 1) {
    throw new NearvoteError('usage', `Expected --id for a single image but there are ${files.size}`);
  }
  notePassedOver(files);
  const progress = createProgress();
  const stop = watchSignals('stopping; what was added stays, and once more stops at once');
  try {
    const asked = { files, id, reason: flags.reason ?? null, who: flags.who ?? null, signal: stop.signal };
    const taught =
      served === undefined
        ? await teachIndex(
            {
              ...{ ...flags, ...asked, root, now: () => new Date() },
              workers: Math.max(1, Math.min(workers, files.size)),
            },
            progress,
          ).catch(hinted)
        : await served.teach(asked, progress);
    print(json === true ? JSON.stringify(taught) : taughtLines(taught, sameIndex({ flags, command })));
  } finally {
    stop.unwatch();
    progress.finish();
  }
  if (!stop.signal.aborted) return;
  printError('nearvote: stopped; the same command goes on');
  process.exitCode = 1;
}

function notePassedOver({ passedOver, unlabelled }: LabelledFiles): void {
  const said = [...passedOver].sort().map(([what, count]) => `${count} ${what}`);
  if (said.length > 0) {
    note(`passed over what is no image by its name or kind: ${said.join(', ')}`);
  }
  const [first] = unlabelled;
  if (first !== undefined) {
    note(`left out files beside the folders of labels, ${unlabelled.length}, the first: ${first}`);
  }
}

function note(text: string): void {
  printError(printable(`nearvote: ${text}`));
}
