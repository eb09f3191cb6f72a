import { Command } from 'commander';
import { addCommand } from './index-add.js';
import { adviseCommand } from './index-advise.js';
import { exportCommand, importCommand } from './index-bundle.js';
import {
  compactCommand,
  deleteCommand,
  relabelCommand,
  renameCommand,
  revertCommand,
  rollbackCommand,
} from './index-change.js';
import { createCommand, verifyCommand } from './index-create.js';
import { diffCommand, logCommand } from './index-history.js';
import { loadCommand } from './index-load.js';
import { listCommand, showCommand } from './index-show.js';

export function indexCommand(): Command {
  return new Command('index')
    .description('list, show, make, change and check indexes, and see what was changed in them')
    .addHelpText('after', '\nExample:\n  $ nearvote index show photos\n')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(createCommand())
    .addCommand(logCommand())
    .addCommand(diffCommand())
    .addCommand(adviseCommand())
    .addCommand(addCommand())
    .addCommand(relabelCommand())
    .addCommand(renameCommand())
    .addCommand(deleteCommand())
    .addCommand(revertCommand())
    .addCommand(rollbackCommand())
    .addCommand(compactCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand())
    .addCommand(loadCommand())
    .addCommand(verifyCommand());
}
