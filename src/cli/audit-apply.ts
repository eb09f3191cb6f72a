import { InvalidArgumentError, Option } from 'commander';
import {
  actsOf,
  defaultMinProbability,
  findingKinds,
  type ApplyChoice,
  type FindingActs,
  type HeldLabels,
} from '../audit/apply-findings.js';
import { readFindings, type KnownFinding, type ReadFinding } from '../audit/findings-file.js';
import { stateAt } from '../curate/held-state.js';
import { openKept } from '../curate/kept-versions.js';
import { NearvoteError } from '../domain/errors.js';
import { counted } from '../evaluate/page/words.js';
import { checkLabel } from '../neighbours/example-names.js';
import { withWritableIndex } from '../neighbours/writable-index.js';
import { option } from './managed-index.js';
import { numberFrom } from './options.js';
import { print, printable } from './printable.js';
import { rootOf } from './which-index.js';

type Kind = KnownFinding['kind'];

export interface ApplyFlags {
  readonly index?: string;
  readonly apply?: string;
  readonly kind?: readonly Kind[];
  readonly minProbability?: number;
  readonly unconfirmed?: true;
  readonly dryRun?: true;
  readonly who?: string;
  readonly json?: true;
}

/** What says how findings are applied. */
export function applyOptions(): Option[] {
  return [
    new Option(
      '--apply <file>',
      'audit nothing: apply the findings in this file, which --out wrote, as one change that index revert takes back',
    ).conflicts(['out', 'report', 'test', 'examples', 'suspects']),
    new Option('--kind <list>', `apply only findings of these kinds, with commas between`).argParser(
      parseKinds,
    ),
    new Option(
      '--min-probability <p>',
      `apply only what is mislabelled with this probability or more (default: ${defaultMinProbability})`,
    ).argParser(numberFrom(0, 1)),
    new Option(
      '--unconfirmed',
      'apply duplicates and leaks too that no pixels confirm: look at the pictures first',
    ),
    new Option('--dry-run', 'say what --apply would do, and change nothing'),
    new Option('--who <name>', 'who applies them, for the log').env('NEARVOTE_INDEX_WHO'),
  ];
}

function parseKinds(value: string): Kind[] {
  return value.split(',').map((name) => {
    const kind = findingKinds.find((one) => one === name.trim());
    if (kind !== undefined) return kind;
    throw new InvalidArgumentError(`Expected kinds among ${findingKinds.join(', ')}.`);
  });
}

/** @throws NearvoteError `usage` where an option is given that is for --apply alone */
export function checkAppliesNothing({ kind, minProbability, unconfirmed, dryRun }: ApplyFlags): void {
  const given = { '--kind': kind, '--min-probability': minProbability, '--unconfirmed': unconfirmed };
  const alone = Object.entries({ ...given, '--dry-run': dryRun }).find(([, value]) => value !== undefined);
  if (alone === undefined) return;
  throw new NearvoteError('usage', `Expected --apply with the findings that ${alone[0]} is about`);
}

interface Applied {
  readonly planned: FindingActs;
  readonly sequence: number;
  /** Null where nothing was changed. */
  readonly operation: number | null;
}

/** Applies the findings of a file to an index that nobody serves. */
export async function applyFindings(file: string, flags: ApplyFlags): Promise<void> {
  const found = await readFindings(file);
  const root = await rootOf(flags.index);
  const choice: ApplyChoice = {
    kinds: flags.kind && new Set(flags.kind),
    minProbability: flags.minProbability ?? defaultMinProbability,
    unconfirmed: flags.unconfirmed === true,
  };
  const findings = found.map(({ finding }) => finding);
  const plan = (held: Omit<HeldLabels, 'checkLabel'>): FindingActs =>
    actsOf(findings, { ...held, checkLabel }, choice);
  const applied = flags.dryRun === true ? await planned(root, plan) : await made(root, plan, flags.who);
  print(
    flags.json === true ? JSON.stringify(summaryOf(applied, found)) : appliedLines(applied, found, flags),
  );
}

type Planning = (held: Omit<HeldLabels, 'checkLabel'>) => FindingActs;

async function planned(root: string, plan: Planning): Promise<Applied> {
  using kept = await openKept(root);
  const { examples } = await stateAt(kept.current, kept.journal, kept.sequence);
  const counts = new Map<string, number>();
  for (const { label } of examples.values()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const labels = [...counts].map(([label, count]) => ({ label, examples: count }));
  const found = plan({ labelOf: (id) => examples.get(id)?.label, labels });
  return { planned: found, sequence: kept.sequence, operation: null };
}

async function made(root: string, plan: Planning, who: string | undefined): Promise<Applied> {
  let found: FindingActs = { acts: [], fates: [], labelsGone: [] };
  const where = { root, now: () => new Date() };
  const { sequence, operation } = await withWritableIndex(where, ({ index }) => {
    const labelOf = (id: string): string | undefined => index.labelsOf([id])[0] ?? undefined;
    found = plan({ labelOf, labels: index.state().labels });
    return index.change({ kind: 'edit', acts: found.acts, reason: 'audit', who: who ?? null });
  }).catch((error: unknown) => {
    if (!(error instanceof NearvoteError) || error.code !== 'index_readonly') throw error;
    const hint = 'a server that may change the index takes findings at POST /findings, with its admin key';
    throw new NearvoteError(error.code, `${error.message}; ${hint}`, { cause: error });
  });
  return { planned: found, sequence, operation };
}

/** What `--json` prints: `left` names each finding that was left by its line. */
function summaryOf(
  { planned: { acts, fates, labelsGone }, ...changed }: Applied,
  found: readonly ReadFinding[],
) {
  const relabelled = acts.filter(({ kind }) => kind === 'relabel').length;
  return {
    ...changed,
    findings: found.length,
    ...{ relabelled, deleted: acts.length - relabelled, labelsGone, acts },
    left: fates.flatMap((fate, i) => {
      const { line, finding } = found[i] ?? { line: 0, finding: undefined };
      if (fate.outcome === 'applied') return [];
      return [{ line, kind: finding?.kind, because: fate.because, detail: fate.detail }];
    }),
  };
}

const because: Readonly<Record<string, string>> = {
  kind: 'of a kind that was not asked for',
  person: 'for a person to decide',
  unconfirmed: 'unconfirmed (--unconfirmed applies them)',
  probability: 'below --min-probability',
  changed: 'about examples that have changed since',
  settled: 'settled by another finding',
  label: 'with a label that cannot be given',
};
/** Of which each is worth a line. */
const toldEach: ReadonlySet<string> = new Set(['changed', 'settled', 'label']);
const mostShown = 20;

function appliedLines(
  applied: Applied,
  found: readonly ReadFinding[],
  { dryRun, index }: ApplyFlags,
): string {
  const { relabelled, deleted, labelsGone, left, sequence, operation } = summaryOf(applied, found);
  const would = dryRun === true ? 'Would apply' : 'Applied';
  const counts = new Map<string, number>();
  for (const one of left) counts.set(one.because, (counts.get(one.because) ?? 0) + 1);
  const told = left.filter((one) => toldEach.has(one.because));
  const acts = dryRun === true ? applied.planned.acts : [];
  const isForeign = left.length === found.length && told.length > 0 && told.every(isGone);
  return [
    `${would} ${found.length - left.length} of ${counted(found.length, 'finding')}: ${relabelled} relabelled, ${deleted} deleted`,
    ...some(acts.map((act) => `  ${act.kind} ${act.id}: ${act.reason ?? ''}`)),
    ...[...counts].map(([why, count]) => `Left ${count} ${because[why] ?? why}`),
    ...some(told.map(({ line, kind, detail }) => `  line ${line}, ${kind ?? ''}: ${detail}`)),
    ...(isForeign ? ['Are these findings of another index, or were they applied before?'] : []),
    ...(labelsGone.length === 0
      ? []
      : [
          `No example is left of ${labelsGone.length === 1 ? 'a label' : 'labels'}: ${labelsGone.join(', ')}`,
        ]),
    ...(dryRun === true
      ? []
      : [
          operation === null
            ? `Nothing changed: sequence ${sequence}`
            : `Changed: sequence ${sequence}; nearvote index revert ${operation}${option('--index', index)} takes all of it back`,
        ]),
  ]
    .map(printable)
    .join('\n');
}

const isGone = ({ because: why }: { readonly because: string }): boolean => why === 'changed';

function some(lines: readonly string[]): string[] {
  const more = lines.length - mostShown;
  return [...lines.slice(0, mostShown), ...(more > 0 ? [`  and ${more} more, which --json names`] : [])];
}
