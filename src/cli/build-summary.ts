import Table from 'cli-table3';
import type { BuildReport } from '../build/build-report.js';
import type { LeaveOneOut } from '../build/measure-index.js';
import { printable } from './printable.js';

/** No line between rows. */
const noRules = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** A build's report for people. */
export function buildSummary(report: BuildReport): string {
  const { name, version, examples, manifest, embedded, fromCache, rejected, recall } = report;
  const rate = (examples + rejected) / report.embedSeconds;
  const headline = report.changed ? 'Published' : 'Nothing changed:';
  return [
    `${headline} ${name} ${version}: ${examples} examples of ${manifest.labels.length} labels, dimension ${manifest.dimension}`,
    `${embedded} embedded, ${fromCache} from the cache, ${rejected} rejected${rejected > 0 ? ` (${report.dir}/rejects.jsonl)` : ''}`,
    `${report.seconds.toFixed(1)} s, of which embedding ${report.embedSeconds.toFixed(1)} s, ${rate.toFixed(0)} images/s`,
    recall === null
      ? 'Search is exact'
      : `Index recall@${recall.k} ${recall.value.toFixed(4)} over ${recall.queries} queries`,
    ...accuracyLines(report.leaveOneOut),
    ...report.warnings.map((warning) => `Warning: ${warning}`),
  ].join('\n');
}

function accuracyLines(leaveOneOut: LeaveOneOut): string[] {
  const { accuracy, k, queries, optimistic, perClass, confusions } = leaveOneOut;
  const caution = optimistic ? ' (optimistic: the encoder was trained on these images)' : '';
  const classes = new Table({
    head: ['label', 'examples', 'accuracy'],
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const { label, count, accuracy: share } of perClass)
    classes.push([printable(label), count, percent(share)]);
  const pairs = confusions.map(({ truth, predicted, count }) =>
    printable(`  ${truth} taken for ${predicted}: ${count}`),
  );
  return [
    `Leave-one-out accuracy at k = ${k} over ${queries} examples: ${percent(accuracy)}${caution}`,
    classes.toString(),
    ...(pairs.length > 0 ? ['Most confused:', ...pairs] : []),
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
