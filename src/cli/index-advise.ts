import { Command } from 'commander';
import { NearvoteError } from '../domain/errors.js';
import { adviseIndex, type Advice } from '../evaluate/advise.js';
import { counted } from '../evaluate/page/words.js';
import { indexOption, jsonOption } from './options.js';
import { tableOf } from './output.js';
import { print, printable } from './printable.js';
import { rootOf } from './which-index.js';

export function adviseCommand(): Command {
  return new Command('advise')
    .description('tell which labels would gain most from more examples, and whether there are enough')
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index advise photos\n')
    .action(async (named: string | undefined, flags: { readonly index?: string; readonly json?: true }) => {
      const advice = await adviseIndex({ root: await rootOf(named ?? flags.index), seed: 1 });
      if (advice.examples === 0) {
        throw new NearvoteError(
          'index_empty',
          'Expected an index with examples but it has none; teach it first',
        );
      }
      print(flags.json === true ? JSON.stringify(advice) : adviceLines(advice));
    });
}

function adviceLines({ examples, measuredOn, trainedOn, curve, labels }: Advice): string {
  const sample = measuredOn < examples ? `, of ${measuredOn} of them` : '';
  return [
    `Leave-one-out accuracy, mean over labels, of ${counted(examples, 'example')}${sample}`,
    ...(trainedOn === 0
      ? []
      : [`The encoder was trained on ${counted(trainedOn, 'example')}: new images will do worse`]),
    tableOf({
      kind: 'table',
      title: '',
      columns: [
        { name: 'examples a label', align: 'right' },
        { name: 'accuracy', align: 'right' },
      ],
      rows: curve.map(({ examples: size, accuracy }) => [String(size), percent(accuracy)]),
    }),
    'What twice as many examples of a label would add to its accuracy',
    tableOf({
      kind: 'table',
      title: '',
      columns: [
        { name: 'label' },
        { name: 'examples', align: 'right' },
        { name: 'accuracy', align: 'right' },
        { name: 'gain', align: 'right' },
      ],
      rows: labels.map((one) => [
        printable(one.label),
        String(one.examples),
        accuracyOf(one),
        one.gain === null ? 'cannot be told' : percent(one.gain),
      ]),
    }),
  ].join('\n');
}

function accuracyOf({ curve }: Advice['labels'][number]): string {
  const last = curve.at(-1);
  return last === undefined ? 'cannot be measured' : percent(last.accuracy);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
