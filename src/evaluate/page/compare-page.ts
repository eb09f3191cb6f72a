import type { BarsSection, MapSection, PicturesSection, ReportPage } from '../../report/section.js';
import type { CompareReport } from '../compare.js';
import { classesTable, differenceWords, mcnemarTable, pairedTable, pValue } from './compare-tables.js';
import { warningsSections } from './warnings-section.js';
import { percent } from './words.js';

/** What the two are called. */
interface SideNames {
  readonly a: string;
  readonly b: string;
}

export interface ComparePageParts {
  readonly subtitle: string;
  readonly names: SideNames;
  readonly report: CompareReport;
  readonly map: MapSection;
  readonly pictures: PicturesSection;
  readonly warnings: readonly string[];
}

/** More labels than this can be neither drawn nor read. */
const mostLabels = 50;

/** The report of `nearvote compare` as a page. */
export function comparePage(parts: ComparePageParts): ReportPage {
  const { subtitle, names, report, map, pictures, warnings } = parts;
  const { accuracy } = report.figures;
  return {
    title: `${names.a} against ${names.b}`,
    subtitle,
    facts: [
      { name: 'accuracy of A', value: percent(accuracy.a) },
      { name: 'accuracy of B', value: percent(accuracy.b) },
      { name: 'B - A, 95 % interval', value: differenceWords(accuracy) },
      { name: "McNemar's p", value: pValue(report.mcnemar.exactP) },
      { name: 'images', value: String(report.queries) },
    ],
    sections: [
      ...warningsSections(warnings),
      pairedTable(report),
      mcnemarTable(report),
      recallBars(report, names),
      classesTable(report),
      map,
      pictures,
    ],
  };
}

function recallBars({ classes }: CompareReport, names: SideNames): BarsSection {
  const apart = ({ recall }: CompareReport['classes'][number]): number => Math.abs(recall.difference);
  const all = classes.length <= mostLabels;
  const shown = all ? classes : [...classes].sort((a, b) => apart(b) - apart(a)).slice(0, mostLabels);
  return {
    kind: 'bars',
    title: 'Recall by label',
    note: all ? undefined : `The ${mostLabels} of ${classes.length} labels that differ most.`,
    series: [`A: ${names.a}`, `B: ${names.b}`],
    groups: shown.map(({ label, recall }) => ({ label, values: [recall.a, recall.b] })),
  };
}
