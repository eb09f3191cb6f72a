import { InvalidArgumentError, Option } from 'commander';
import { parseBudget } from '../train/config/schema.js';
import { integerFrom } from './options.js';

export interface TrainFlags {
  /** The folder of an encoder. */
  readonly backbone?: string;
  readonly out?: string;
  readonly run?: string;
  /** In seconds. */
  readonly budget?: number;
  readonly threads?: number;
  readonly preview?: string;
  readonly fresh?: true;
  readonly force?: true;
  readonly json?: true;
}

/** The options of `nearvote train`, each also an environment variable. */
export function trainOptions(): Option[] {
  return [
    new Option('--backbone <dir>', 'train an adapter on this encoder, which stays as it is').env(
      'NEARVOTE_TRAIN_BACKBONE',
    ),
    new Option('--out <dir>', 'where the encoder is written (default: models/NAME)').env(
      'NEARVOTE_TRAIN_OUT',
    ),
    new Option('--run <dir>', 'checkpoints and log of this training (default: runs/NAME)').env(
      'NEARVOTE_TRAIN_RUN',
    ),
    new Option('--budget <duration>', "such as 2h: the schedule ends by then, whatever the config's epochs")
      .argParser(budget)
      .env('NEARVOTE_TRAIN_BUDGET'),
    new Option('--threads <n>', "of the graph, in place of the config's")
      .argParser(integerFrom(1))
      .env('NEARVOTE_TRAIN_THREADS'),
    new Option('--preview <file>', 'write a PNG of augmented views and train nothing').env(
      'NEARVOTE_TRAIN_PREVIEW',
    ),
    new Option('--fresh', 'begin anew although there are checkpoints').env('NEARVOTE_TRAIN_FRESH'),
    new Option('--force', 'replace an encoder that is there, the whole folder').env('NEARVOTE_TRAIN_FORCE'),
    new Option('--json', 'print the figures as JSON').env('NEARVOTE_JSON'),
  ];
}

function budget(value: string): number {
  const seconds = parseBudget(value);
  if (seconds === undefined) throw new InvalidArgumentError('Expected a duration such as 2h, 90m or 1h30m.');
  return seconds;
}
