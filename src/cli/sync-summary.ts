import Table from 'cli-table3';
import type { SyncedLabel, SyncPlan, SyncReport } from '../build/sync-report.js';
import { counted } from '../evaluate/page/words.js';
import { option } from './managed-index.js';
import { noRules } from './output.js';
import { printable } from './printable.js';

const taughtShown = 5;

/** What a sync is about to do. */
export function planLines(plan: SyncPlan): string {
  const { name, dataset, examples, images, unchanged, adding, relabelling, deleting, taught } = plan;
  const named = taught.slice(0, taughtShown).map(({ id, label }) => `${id} (${label})`);
  const more = taught.length > taughtShown ? ', ...' : '';
  const fate = plan.keepsTaught
    ? 'they are kept'
    : 'they are among those to delete; --keep-taught leaves them';
  return [
    `The index ${name} has ${counted(examples, 'example')}, and ${dataset} has ${counted(images, 'image')}: ${unchanged} as they are, ${adding} to add, ${relabelling} to relabel, ${deleting} to delete`,
    ...(taught.length === 0
      ? []
      : [`Taught, not in the dataset, ${taught.length}: ${fate}. ${named.join(', ')}${more}`]),
    ...(plan.unread.length === 0
      ? []
      : [`${counted(plan.unread.length, 'image')} cannot be read now: what the index has of them stays`]),
    ...(plan.relabellingChanged === 0
      ? []
      : [`${plan.relabellingChanged} of those to relabel have their label from a change, not from a build`]),
    ...(plan.addingDeleted === 0
      ? []
      : [`${plan.addingDeleted} of those to add were there and were deleted by a change`]),
  ]
    .map(printable)
    .join('\n');
}

/** What a sync has done, or would do; `out` is the folder of the index. */
export function syncSummary(report: SyncReport, out: string): string {
  const { dryRun, added, relabelled, deleted, embedded, fromCache, fromIndex, rejects } = report;
  const [reject] = rejects;
  const changes = added + relabelled + deleted;
  const parts = `${added} added, ${relabelled} relabelled, ${deleted} deleted`;
  const how = `${embedded} embedded, ${fromCache} from the cache, ${fromIndex} from the index, ${rejects.length} rejected`;
  return [
    ...(changes === 0 ? [] : [labelTable(report.labels)]),
    ...(dryRun ? [`Would be ${parts}; ${rejects.length} rejected`] : [`${parts}; ${how}`]),
    ...(reject === undefined ? [] : [printable(`Rejected: ${reject.id}: ${reject.message}`)]),
    ...report.warnings.map((warning) => printable(`Warning: ${warning}`)),
    ...lastLines(report, out),
  ].join('\n');
}

function lastLines(report: SyncReport, out: string): string[] {
  const { dryRun, sequence, operation, compacted, unfolded } = report;
  if (dryRun) return ['Nothing was changed: this was a dry run'];
  if (operation === null) return [`Nothing changed: sequence ${sequence}`];
  return [
    printable(
      `Changed: sequence ${sequence}; nearvote index revert ${operation}${option('--index', out)} takes it back`,
    ),
    ...(compacted === undefined ? [] : [`Folded into version ${compacted.version}`]),
    ...(unfolded === undefined
      ? []
      : [printable(`Not folded into a new version: ${unfolded}; nearvote index compact ${out} tries again`)]),
  ];
}

function labelTable(labels: readonly SyncedLabel[]): string {
  const head = ['label', 'before', 'added', 'deleted', 'taught', 'gained', 'lost', 'after'];
  const table = new Table({
    head: head.map((name) => (name === 'taught' ? 'of them taught' : name)),
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const { label, ...counts } of labels) {
    const { before, added, deleted, taught, gained, lost, after } = counts;
    if (added + deleted + gained + lost === 0) continue;
    table.push([printable(label), before, added, deleted, taught, gained, lost, after]);
  }
  return table.toString();
}
