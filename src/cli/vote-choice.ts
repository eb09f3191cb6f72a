import type { Command } from 'commander';
import type { VoteChoice } from '../calibrate/calibration-file.js';
import type { VoteSettings } from '../vote/calibration.js';
import type { VoteOptions } from './options.js';

const flagNames = ['k', 'vote', 'temperature', 'priorCorrection'] as const;

export function voteChoice(flags: VoteOptions, command: Command): VoteChoice {
  return {
    settings: settingsOf(flags),
    isExplicit: flagNames.some((name) => isSet(command, name)),
  };
}

export function settingsOf({ k, vote, temperature, priorCorrection }: VoteOptions): VoteSettings {
  return { rule: vote, temperature, k, priorCorrection };
}

/** Whether an option was given, on the command line or in the environment. */
export function isSet(command: Command, name: (typeof flagNames)[number]): boolean {
  return !['default', undefined].includes(command.getOptionValueSource(name));
}
