import { Command, Option } from 'commander';
import { audit, type AuditedIndex } from '../audit/audit.js';
import { areConfirmed, mislabelledTable, overlapTable } from '../audit/audit-page.js';
import { countFindings, findingsOf, type FindingCounts } from '../audit/findings.js';
import type { Overlap } from '../audit/labelling.js';
import { canDoubt, isLikelyWrong, type Suspicion } from '../audit/mislabelled.js';
import { counted } from '../evaluate/page/words.js';
import { renderPage } from '../report/render-page.js';
import { applyFindings, applyOptions, checkAppliesNothing, type ApplyFlags } from './audit-apply.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  isSet,
  pairOptions,
  type PairOptions,
  splitOption,
  settingsOf,
  voteOptions,
  type VoteOptions,
} from './options.js';
import { createProgress, tableOf, writeOutput } from './output.js';
import { print } from './printable.js';
import { sayWhichVersion } from './which-index.js';

interface AuditFlags
  extends Omit<PairOptions, 'index'>, InferenceOptions, VoteOptions, ImageLimitOptions, ApplyFlags {
  readonly test?: string;
  readonly split: 'train' | 'test';
  readonly examples?: string;
  readonly examplesSplit: 'train' | 'test';
  readonly out?: string;
  readonly report?: string;
  readonly suspects?: number;
  readonly seed: number;
}

export function auditCommand(): Command {
  const command = new Command('audit')
    .description(
      'ask the neighbours about the examples: wrong labels, duplicates, leaks, what could be dropped',
    )
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  $ nearvote audit --index index/photos --examples photos --out findings.jsonl --report audit.html\n' +
        '  $ nearvote audit --index index/photos --apply findings.jsonl --kind mislabelled,duplicates --dry-run\n',
    )
    .action(auditExamples);
  for (const option of auditOptions()) command.addOption(option);
  return command;
}

/** Audits search exactly: `--search` is not among them. */
function auditOptions(): Option[] {
  return [
    ...pairOptions().filter(({ long }) => long !== '--search'),
    new Option(
      '--test <path>',
      'labelled images that the index must not hold: folder, list or CIFAR files',
    ).env('NEARVOTE_AUDIT_TEST'),
    splitOption('--split <split>', 'which CIFAR files of --test are read', 'test').env(
      'NEARVOTE_AUDIT_SPLIT',
    ),
    new Option(
      '--examples <path>',
      'the images the index was built of: confirms duplicates by their pixels and shows them in the report',
    ).env('NEARVOTE_AUDIT_EXAMPLES'),
    splitOption('--examples-split <split>', 'which CIFAR files of --examples are read', 'train').env(
      'NEARVOTE_AUDIT_EXAMPLES_SPLIT',
    ),
    new Option(
      '--suspects <n>',
      'report this many labels as mislabelled, the most suspicious first, instead of those that are likely wrong',
    )
      .argParser(integerFrom(1))
      .env('NEARVOTE_AUDIT_SUSPECTS'),
    new Option('--out <file>', 'write the findings to this file, a JSON line for each').env(
      'NEARVOTE_AUDIT_OUT',
    ),
    new Option('--report <file>', 'write the report to this file, as one HTML page').env(
      'NEARVOTE_AUDIT_REPORT',
    ),
    ...applyOptions(),
    new Option('--seed <n>', 'seed of the choice of examples that condensing starts from')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_AUDIT_SEED'),
    new Option('--json', 'print a summary as JSON').env('NEARVOTE_JSON'),
    ...voteOptions(),
    ...inferenceOptions(),
    ...imageLimitOptions(),
  ];
}

async function auditExamples(flags: AuditFlags, command: Command): Promise<void> {
  if (flags.apply !== undefined) return applyFindings(flags.apply, flags);
  checkAppliesNothing(flags);
  const choice = {
    vote: settingsOf(flags),
    clampK: !isSet(command, 'k'),
    page: flags.report !== undefined,
  };
  const audited = await audit(
    { ...flags, ...choice, index: await sayWhichVersion(flags.index) },
    createProgress(),
  );
  if (flags.out !== undefined) {
    const findings = findingsOf(audited.audit, audited.index.examples);
    await writeOutput(flags.out, findings.map((finding) => `${JSON.stringify(finding)}\n`).join(''));
  }
  if (flags.report !== undefined && audited.page !== undefined) {
    await writeOutput(flags.report, renderPage(audited.page));
  }
  const summary = summaryOf(audited, flags.vote);
  print(flags.json ? JSON.stringify(summary, null, 2) : renderAudit(summary, audited));
}

/** What `--json` prints. */
interface AuditSummary {
  readonly index: { readonly name: string; readonly version: string };
  readonly examples: number;
  readonly labels: number;
  readonly k: number;
  readonly vote: string;
  /** Null without --test. */
  readonly test: { readonly name: string; readonly images: number } | null;
  /** Whether duplicates were confirmed by pixels. */
  readonly pixels: boolean;
  /** Examples that the encoder was trained on, with their labels; null where nothing was kept that says so. */
  readonly trainedOn: number | null;
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

function summaryOf(audited: AuditedIndex, vote: string): AuditSummary {
  const { audit: found, index, test, pixels, trainedOn } = audited;
  const { name, version, examples, manifest } = index;
  const { condensed } = found;
  return {
    index: { name, version },
    labels: manifest.labels.length,
    vote,
    test: test === undefined ? null : { name: test.name, images: test.images.length },
    ...{ pixels, trainedOn },
    examples: examples.length,
    k: found.k,
    findings: countFindings(findingsOf(found, examples)),
    overlaps: found.overlaps.slice(0, 10),
    condensing: {
      votes: condensed.votes,
      heldOut: test === undefined ? 'leave-one-out' : 'test',
      kept: condensed.kept.length,
      dropped: condensed.dropped.length,
      rounds: condensed.rounds,
    },
  };
}

const suspectsShown = 20;
const groupsShown = 10;
const membersShown = 5;

/** The first few, and how many more there are. */
function someOf(members: readonly string[]): string {
  const more = members.length - membersShown;
  const first = members.slice(0, membersShown).join(', ');
  return more > 0 ? `${first} and ${more.toLocaleString('en')} more` : first;
}

const asMirrored = ({ mirrored }: { readonly mirrored: boolean }): string => (mirrored ? ', mirrored' : '');

function suspectsLine(mislabelled: readonly Suspicion[]): string {
  const likely = mislabelled.filter(isLikelyWrong).length;
  return likely === mislabelled.length
    ? `${likely} examples are likely mislabelled, the most suspicious first`
    : `The ${mislabelled.length} most suspicious labels, of which ${likely} are likely wrong`;
}

/** An audit for people. */
function renderAudit(summary: AuditSummary, audited: AuditedIndex): string {
  const { index, findings, condensing, test } = summary;
  const { mislabelled, duplicates, leaks = [], overlaps } = audited.audit;
  const of = test === null ? 'of each example by the others' : `of ${condensing.votes} test images`;
  const isSure = (found: Parameters<typeof areConfirmed>[0]): boolean =>
    summary.pixels && areConfirmed(found);
  const areOrMayBe = (found: typeof duplicates | typeof leaks): string => (isSure(found) ? 'are' : 'may be');
  const toldBy = (found: typeof duplicates | typeof leaks): string =>
    isSure(found)
      ? 'confirmed by their pixels'
      : summary.pixels
        ? 'some told by their embeddings alone, where an image cannot be read, or by pixels that leave a doubt: look at the pictures'
        : 'told by their embeddings alone: look at the pictures (--examples compares their pixels)';
  return [
    `Audit of ${index.name} ${index.version}: ${summary.examples} examples of ${summary.labels} labels, k = ${summary.k}, ${summary.vote} vote`,
    ...(summary.trainedOn === null || summary.trainedOn === 0
      ? []
      : [
          `Warning: the encoder was trained on ${summary.trainedOn} of ${summary.examples} examples and their labels, so it hides what is wrong with them`,
        ]),
    ...(mislabelled.length === 0
      ? [
          canDoubt(audited.audit.suspicions)
            ? 'No example looks mislabelled'
            : 'No label can be doubted: the embeddings of these examples say no more of the labels than how frequent each is',
        ]
      : [
          suspectsLine(mislabelled),
          tableOf(mislabelledTable(mislabelled.slice(0, suspectsShown), audited.index.examples)),
          ...(mislabelled.length > suspectsShown
            ? [`and ${mislabelled.length - suspectsShown} more, which --out writes too`]
            : []),
        ]),
    `${counted(findings.duplicates, 'group')} within a label ${areOrMayBe(duplicates)} duplicates, ${findings['conflicting-duplicates']} across labels, ${toldBy(duplicates)}`,
    ...duplicates
      .slice(0, groupsShown)
      .map(
        ({ finding }) =>
          `  ${finding.score.toFixed(4)} ${someOf(finding.sources.map((source, i) => `${source} (${finding.labels[i] ?? ''})`))}${asMirrored(finding)}`,
      ),
    ...(test === null
      ? []
      : [
          `${leaks.length} of ${test.images} test images ${areOrMayBe(leaks)} in the index too, ${toldBy(leaks)}`,
        ]),
    ...leaks
      .slice(0, groupsShown)
      .map(
        ({ finding }) =>
          `  ${finding.score.toFixed(4)} ${finding.test.id} ${finding.confirmed ? 'is' : 'may be'} ${someOf(finding.sources)}${asMirrored(finding)}`,
      ),
    ...(overlaps.length === 0
      ? ['No labels overlap']
      : ['Overlapping labels', tableOf(overlapTable(overlaps))]),
    `${condensing.dropped} of ${summary.examples} examples could be dropped: with the other ${condensing.kept} none of the ${condensing.votes} votes ${of} changes`,
  ].join('\n');
}
