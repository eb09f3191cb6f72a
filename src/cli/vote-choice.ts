import type { Command } from 'commander';
import type { CalibrationFile, ServedCalibration } from '../calibrate/calibration-file.js';
import type { VoteSettings } from '../vote/calibration.js';
import type { VoteOptions } from './options.js';

/** How whoever started a command wants votes counted. */
export interface VoteChoice {
  readonly settings: VoteSettings;
  /** Some of it was set, as an option or a variable: a calibration, fitted for other settings, does not apply. */
  readonly isExplicit: boolean;
}

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

/** `softmax vote, T = 0.07`. */
export function voteWords({ rule, temperature, priorCorrection }: Omit<VoteSettings, 'k'>): string {
  return `${rule} vote${rule === 'softmax' ? `, T = ${temperature}` : ''}${priorCorrection ? ', prior correction' : ''}`;
}

/** Whether an option was given, on the command line or in the environment. */
export function isSet(command: Command, name: (typeof flagNames)[number]): boolean {
  return !['default', undefined].includes(command.getOptionValueSource(name));
}

/** The calibration that applies, and where there is one that does not, why: in a sentence for a log. */
export function applyCalibration(
  served: ServedCalibration,
  { isExplicit }: VoteChoice,
): { readonly calibration?: CalibrationFile; readonly warning?: string } {
  if (served.kind === 'absent') return {};
  if (served.kind === 'ignored') return { warning: `calibration.json is not used: ${served.reason}` };
  if (isExplicit) {
    return {
      warning:
        'calibration.json is not used: it holds for the k, vote, temperature and prior correction it was fitted with, and some were set here',
    };
  }
  return { calibration: served.calibration };
}
