import type { Example } from '../domain/decision.js';
import type {
  ConfusionSection,
  Picture,
  PicturesSection,
  ReportPage,
  Section,
  TableSection,
} from '../report/section.js';
import type { Audit, HeldOut } from './audit-index.js';
import { countFindings, findingsOf } from './findings.js';
import { numberLabels, type Overlap } from './labelling.js';
import { isLikelyWrong, type Suspicion } from './mislabelled.js';

/** The thumbnail of an example, or of a test image; undefined where the image is not at hand. */
type FindImage = (of: 'index' | 'test', row: number) => Promise<Picture['image']>;

export interface AuditPageOptions {
  readonly name: string;
  /** The command and data in a line. */
  readonly subtitle: string;
  readonly examples: readonly Example[];
  readonly test?: Pick<HeldOut, 'name' | 'images'> | undefined;
  readonly audit: Audit;
  /** Undefined where no images were given: then tables stand for pictures. */
  readonly findImage?: FindImage | undefined;
}

const suspectsShown = 60;
const neighboursShown = 6;
const groupsShown = 30;
const picturesInGroup = 8;
/** A larger matrix cannot be read. */
const confusionLabels = 40;

/** An audit as a report page. */
export async function auditPage(options: AuditPageOptions): Promise<ReportPage> {
  const { name, subtitle, examples, audit } = options;
  const counts = countFindings(findingsOf(audit, examples));
  const { condensed, duplicates, leaks } = audit;
  const facts = [
    { name: 'examples', value: String(examples.length) },
    { name: 'likely mislabelled', value: String(audit.mislabelled.filter(isLikelyWrong).length) },
    { name: `groups that ${areOrMayBe(duplicates)} duplicates`, value: String(counts.duplicates) },
    {
      name: `groups across labels that ${areOrMayBe(duplicates)} duplicates`,
      value: String(counts['conflicting-duplicates']),
    },
    ...(leaks === undefined
      ? []
      : [{ name: `test images that ${areOrMayBe(leaks)} in the index`, value: String(leaks.length) }]),
    { name: 'could be dropped', value: String(condensed.dropped.length) },
  ];
  return { title: `Audit of ${name}`, subtitle, facts, sections: await sectionsOf(options) };
}

type Confirmable = readonly { readonly finding: { readonly confirmed: boolean } }[];

/** Whether pixels confirmed all of them. */
export const areConfirmed = (found: Confirmable): boolean => found.every(({ finding }) => finding.confirmed);

const areOrMayBe = (found: Confirmable): string => (areConfirmed(found) ? 'are' : 'may be');

const lookFirst =
  ' Some were told by their embeddings alone, or by pixels that leave a doubt, and may be different pictures: look at them before any is taken out.';

async function sectionsOf(options: AuditPageOptions): Promise<Section[]> {
  const { audit, examples, findImage } = options;
  const sections: Section[] = [
    findImage === undefined
      ? mislabelledTable(audit.mislabelled.slice(0, suspectsShown), examples)
      : await suspectPictures(options, findImage),
  ];
  if (audit.duplicates.length > 0) sections.push(await duplicatePictures(options));
  if (audit.leaks !== undefined && audit.leaks.length > 0) sections.push(await leakPictures(options));
  sections.push(overlapTable(audit.overlaps));
  const confusion = confusionOf(options);
  if (confusion.labels.length <= confusionLabels) sections.push(confusion);
  return sections;
}

async function suspectPictures(
  { audit, examples }: AuditPageOptions,
  findImage: FindImage,
): Promise<PicturesSection> {
  const { mislabelled, others } = audit;
  const rows = mislabelled
    .slice(0, suspectsShown)
    .map(async ({ row, suggested, ownShare, suggestedShare, wrong }) => {
      const { source = '', label = '' } = examples[row] ?? {};
      const near = others.rows.subarray(row * others.k, row * others.k + Math.min(neighboursShown, others.k));
      return {
        caption: `${source}: labelled ${label} (${percent(ownShare)} of the vote), rather ${suggested} (${percent(suggestedShare)}); wrong with a probability of ${percent(wrong)}`,
        pictures: await Promise.all([
          pictureOf({ of: 'index', row, caption: label, mark: 'subject' }, findImage),
          ...Array.from(near, (neighbour) => {
            const theirs = examples[neighbour]?.label ?? '';
            const mark = theirs === label ? 'same' : 'other';
            return pictureOf({ of: 'index', row: neighbour, caption: theirs, mark }, findImage);
          }),
        ]),
      };
    });
  return {
    kind: 'pictures',
    title: suspectsTitle(mislabelled),
    note: `The ${Math.min(suspectsShown, mislabelled.length)} most suspicious of ${mislabelled.length}, each with its nearest neighbours: those of its own label and those of another. ${ofTheTwo}`,
    rows: await Promise.all(rows),
  };
}

async function duplicatePictures({ audit, examples, findImage }: AuditPageOptions): Promise<PicturesSection> {
  const rows = audit.duplicates.slice(0, groupsShown).map(async ({ rows: members, finding }) => {
    const first = examples[members[0] ?? -1]?.label;
    return {
      caption: `${members.length} examples, similarity ${finding.score.toFixed(4)}: ${finding.suggestion}`,
      pictures: await Promise.all(
        members.slice(0, picturesInGroup).map((row) => {
          const { source = '', label = '' } = examples[row] ?? {};
          const mark = label === first ? 'same' : 'other';
          return pictureOf({ of: 'index', row, caption: `${label}: ${source}`, mark }, findImage);
        }),
      ),
    };
  });
  return {
    kind: 'pictures',
    title: areConfirmed(audit.duplicates) ? 'Duplicates' : 'May be duplicates',
    note: `${Math.min(groupsShown, audit.duplicates.length)} of ${audit.duplicates.length} groups; those across labels first.${areConfirmed(audit.duplicates) ? '' : lookFirst}`,
    rows: await Promise.all(rows),
  };
}

async function leakPictures({
  audit,
  examples,
  test,
  findImage,
}: AuditPageOptions): Promise<PicturesSection> {
  const leaks = audit.leaks ?? [];
  const rows = leaks.slice(0, groupsShown).map(async ({ query, rows: members, finding }) => ({
    caption: `${finding.test.id}, similarity ${finding.score.toFixed(4)}: ${finding.suggestion}`,
    pictures: await Promise.all([
      pictureOf(
        { of: 'test', row: query, caption: `test, ${finding.test.label}`, mark: 'subject' },
        findImage,
      ),
      ...members.slice(0, picturesInGroup).map((row) => {
        const { source = '', label = '' } = examples[row] ?? {};
        const mark = label === finding.test.label ? 'same' : 'other';
        return pictureOf({ of: 'index', row, caption: `${label}: ${source}`, mark }, findImage);
      }),
    ]),
  }));
  return {
    kind: 'pictures',
    title: areConfirmed(leaks)
      ? 'Test images that the index holds too'
      : 'Test images that the index may hold too',
    note: `${Math.min(groupsShown, leaks.length)} of ${leaks.length} of ${test?.images.length ?? 0} in ${test?.name ?? ''}: figures measured on them are flattered.${areConfirmed(leaks) ? '' : lookFirst}`,
    rows: await Promise.all(rows),
  };
}

interface Shown extends Pick<Picture, 'caption' | 'mark'> {
  readonly of: 'index' | 'test';
  readonly row: number;
}

async function pictureOf(
  { of, row, caption, mark }: Shown,
  findImage: FindImage | undefined,
): Promise<Picture> {
  return { caption, mark, image: await findImage?.(of, row) };
}

function confusionOf({ audit, examples }: AuditPageOptions): ConfusionSection {
  const { names, of } = numberLabels(examples.map(({ label }) => label));
  const counts = names.map(() => names.map(() => 0));
  for (const [row, own] of of.entries()) {
    const predicted = names.indexOf(audit.predicted[row] ?? '');
    const line = counts[own];
    if (line !== undefined) line[predicted] = (line[predicted] ?? 0) + 1;
  }
  return {
    kind: 'confusion',
    title: 'What the others vote',
    note: 'Each example, itself left out: its label down, what its neighbours say across.',
    labels: names,
    counts,
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** Those that were asked for by number may be right. */
function suspectsTitle(suspects: readonly Suspicion[]): string {
  return suspects.every(isLikelyWrong) ? 'Likely mislabelled' : 'The most suspicious labels';
}

/** What the shares and the probability are: by two ways of looking, they need not agree. */
const ofTheTwo =
  'Wrong is the probability that the label is wrong, by a linear model of all examples; it names the other label too. The shares are of the vote of the nearest neighbours, which are few and may say otherwise.';

/** The suspects as a table, where there are no pictures of them. */
export function mislabelledTable(suspects: readonly Suspicion[], examples: readonly Example[]): TableSection {
  return {
    kind: 'table',
    title: suspectsTitle(suspects),
    note: `The most suspicious first. ${ofTheTwo}`,
    columns: [
      { name: 'image' },
      { name: 'label' },
      { name: 'its share of the vote', align: 'right' },
      { name: 'rather' },
      { name: 'its share', align: 'right' },
      { name: 'wrong', align: 'right' },
    ],
    rows: suspects.map(({ row, suggested, ownShare, suggestedShare, wrong }) => [
      examples[row]?.source ?? '',
      examples[row]?.label ?? '',
      share(ownShare),
      suggested,
      share(suggestedShare),
      share(wrong),
    ]),
  };
}

const overlapsShown = 10;

/** The labels most often taken for one another. */
export function overlapTable(overlaps: readonly Overlap[]): TableSection {
  return {
    kind: 'table',
    title: 'Overlapping labels',
    note: 'The rate is the share of the examples of both that are taken for the other.',
    columns: [
      { name: 'labels' },
      { name: 'rate', align: 'right' },
      { name: 'first taken for second', align: 'right' },
      { name: 'second taken for first', align: 'right' },
    ],
    rows: overlaps
      .slice(0, overlapsShown)
      .map(({ labels, rate, taken }) => [labels.join(' and '), share(rate), ...taken.map(String)]),
  };
}

const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
