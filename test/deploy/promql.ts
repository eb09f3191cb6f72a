import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** `name{label="value"}` of an expression. */
interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

/** What an expression of PromQL asks for. */
export interface Query {
  readonly selectors: readonly Selector[];
  /** Those of `by`, `without`, `on`, `ignoring` and `group_left`. */
  readonly groupingLabels: readonly string[];
}

/**
 * Reads an expression with Prometheus's own grammar for editors.
 * @throws Error for what is no PromQL
 */
export function readPromql(expr: string): Query {
  const text = (node: SyntaxNode | null): string => (node === null ? '' : expr.slice(node.from, node.to));
  const selectors: Selector[] = [];
  const groupingLabels: string[] = [];
  parser.parse(expr).iterate({
    enter({ node, type }) {
      if (type.isError) throw new Error(`Expected PromQL but at ${node.from} found an error in ${expr}`);
      if (type.name === 'GroupingLabels')
        groupingLabels.push(...node.getChildren('LabelName').map((label) => text(label)));
      if (type.name !== 'VectorSelector') return;
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      selectors.push({
        metric: text(node.getChild('Identifier')),
        matchers: matchers.map((matcher) => ({
          label: text(matcher.getChild('LabelName')),
          operator: text(matcher.getChild('MatchOp')),
          value: JSON.parse(text(matcher.getChild('StringLiteral'))) as string,
        })),
      });
    },
  });
  return { selectors, groupingLabels };
}

/** What Grafana puts in before it asks Prometheus. */
export function withoutVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*');
}

/** The series of a scrape: of each name, the labels of each of its series. */
export type Scrape = ReadonlyMap<string, readonly Readonly<Record<string, string>>[]>;

/** Reads the text that a server answers a scrape with. */
export function readScrape(text: string): Scrape {
  const series = new Map<string, Record<string, string>[]>();
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [
      label,
      value,
    ]);
    series.set(name, [...(series.get(name) ?? []), Object.fromEntries(pairs) as Record<string, string>]);
  }
  return series;
}

/** Labels that Prometheus itself gives to every series of a target. */
const targetLabels = new Set(['job', 'instance', 'namespace', 'pod', 'service']);
/** Series that Prometheus makes of each target. */
const ownSeries = new Set(['up']);

/** What an expression asks for that no scrape could answer: metrics, labels or values that the server does not have. */
export function unanswerable(expr: string, scrape: Scrape): string[] {
  const { selectors, groupingLabels } = readPromql(withoutVariables(expr));
  const known = new Set(targetLabels);
  const wrong = selectors.flatMap(({ metric, matchers }) => {
    if (ownSeries.has(metric)) return [];
    const series = scrape.get(metric);
    if (series === undefined) return [`no metric ${metric}`];
    for (const label of series.flatMap((one) => Object.keys(one))) known.add(label);
    return matchers.flatMap(({ label, operator, value }) => {
      if (targetLabels.has(label)) return [];
      const values = series.flatMap((one) => one[label] ?? []);
      if (values.length === 0) return [`${metric} has no label ${label}`];
      const alternatives = operator.includes('~') ? value.split('|') : [value];
      return alternatives
        .filter((one) => {
          const isRegex = operator.includes('~');
          return !values.some((each) => (isRegex ? new RegExp(`^(?:${one})$`).test(each) : each === one));
        })
        .map((one) => `${metric} has no ${label} ${one}`);
    });
  });
  return [
    ...wrong,
    ...groupingLabels.filter((label) => !known.has(label)).map((label) => `no label ${label}`),
  ];
}
