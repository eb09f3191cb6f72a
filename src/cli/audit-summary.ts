import type { Audit } from '../audit/audit-index.js';
import { mislabelledTable, overlapTable } from '../audit/audit-page.js';
import { countFindings, findingsOf, type FindingCounts } from '../audit/findings.js';
import type { Overlap } from '../audit/labelling.js';
import type { Example } from '../domain/decision.js';
import { tableOf } from './text-table.js';

/** What `--json` prints. */
export interface AuditSummary {
  readonly index: { readonly name: string; readonly version: string };
  readonly examples: number;
  readonly labels: number;
  readonly k: number;
  readonly vote: string;
  /** Null without --test. */
  readonly test: { readonly name: string; readonly images: number } | null;
  /** Whether duplicates were confirmed by pixels. */
  readonly pixels: boolean;
  /** The encoder was trained on these images and labels: it has bent to the wrong ones. Null where it is not at hand. */
  readonly trainedOnThem: boolean | null;
  readonly findings: FindingCounts;
  readonly overlaps: readonly Overlap[];
  readonly condensing: {
    readonly votes: number;
    readonly heldOut: 'test' | 'leave-one-out';
    readonly kept: number;
    readonly dropped: number;
    readonly rounds: number;
  };
}

export interface SummaryOptions extends Pick<
  AuditSummary,
  'index' | 'labels' | 'vote' | 'test' | 'pixels' | 'trainedOnThem'
> {
  readonly audit: Audit;
  readonly examples: readonly Example[];
}

export function auditSummary({ audit, examples, ...given }: SummaryOptions): AuditSummary {
  const { condensed } = audit;
  return {
    ...given,
    examples: examples.length,
    k: audit.k,
    findings: countFindings(findingsOf(audit, examples)),
    overlaps: audit.overlaps.slice(0, 10),
    condensing: {
      votes: condensed.votes,
      heldOut: given.test === null ? 'leave-one-out' : 'test',
      kept: condensed.kept.length,
      dropped: condensed.dropped.length,
      rounds: condensed.rounds,
    },
  };
}

const suspectsShown = 20;
const groupsShown = 10;

/** An audit for people. */
export function renderAudit(summary: AuditSummary, audit: Audit, examples: readonly Example[]): string {
  const { index, findings, condensing, test } = summary;
  const { mislabelled, duplicates, leaks = [], overlaps } = audit;
  const of = test === null ? 'of each example by the others' : `of ${condensing.votes} test images`;
  return [
    `Audit of ${index.name} ${index.version}: ${summary.examples} examples of ${summary.labels} labels, k = ${summary.k}, ${summary.vote} vote`,
    ...(summary.trainedOnThem === true
      ? ['Warning: the encoder was trained on these images and labels, so it hides what is wrong with them']
      : []),
    ...(mislabelled.length === 0
      ? ['No example looks mislabelled']
      : [
          `${mislabelled.length} examples are likely mislabelled, the most suspicious first`,
          tableOf(mislabelledTable(mislabelled.slice(0, suspectsShown), examples)),
        ]),
    `${findings.duplicates} groups of duplicates within a label, ${findings['conflicting-duplicates']} across labels${summary.pixels ? ', confirmed by their pixels' : ''}`,
    ...duplicates
      .slice(0, groupsShown)
      .map(
        ({ finding }) =>
          `  ${finding.score.toFixed(4)} ${finding.ids.map((id, i) => `${id} (${finding.labels[i] ?? ''})`).join(', ')}`,
      ),
    ...(test === null
      ? []
      : [`${leaks.length} of ${test.images} test images are in the index too, or all but`]),
    ...leaks
      .slice(0, groupsShown)
      .map(({ finding }) => `  ${finding.score.toFixed(4)} ${finding.test.id} is ${finding.ids.join(', ')}`),
    ...(overlaps.length === 0
      ? ['No labels overlap']
      : ['Overlapping labels', tableOf(overlapTable(overlaps))]),
    `${condensing.dropped} of ${summary.examples} examples could be dropped: with the other ${condensing.kept} none of the ${condensing.votes} votes ${of} changes`,
  ].join('\n');
}
