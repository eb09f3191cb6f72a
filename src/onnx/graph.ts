import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from 'onnx-buf';

/** What a graph declares of a tensor; a dimension that is only known when the model runs has a name or `''`. */
export interface TensorType {
  /** By its ONNX number, see `elementTypes`. */
  readonly elementType: number;
  /** `undefined` when not even the rank is declared. */
  readonly dims: readonly (number | string)[] | undefined;
}

/** The type of an input or output, `undefined` when it is not a tensor or not declared. */
export function tensorTypeOf({ type }: ValueInfoProto): TensorType | undefined {
  if (type?.value.case !== 'tensorType') return undefined;
  const { elemType, shape } = type.value.value;
  const dims = shape?.dim.map(({ value }) => {
    // Some exporters write -1 or 0 for a free dimension.
    if (value.case === 'dimValue') return value.value > 0n ? Number(value.value) : '';
    return value.case === 'dimParam' ? value.value : '';
  });
  return { elementType: elemType, dims };
}

/** The version of the standard operators that a model uses, 1 when it does not say. */
export function opsetOf({ opsetImport }: ModelProto): number {
  const standard = opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return Number(standard?.version ?? 1);
}

export function intAttribute(node: NodeProto, name: string): number | undefined {
  const found = node.attribute.find((attribute) => attribute.name === name);
  return found === undefined ? undefined : Number(found.i);
}

export function floatAttribute(node: NodeProto, name: string): number | undefined {
  return node.attribute.find((attribute) => attribute.name === name)?.f;
}

export function intsAttribute(node: NodeProto, name: string): number[] | undefined {
  return node.attribute.find((attribute) => attribute.name === name)?.ints.map(Number);
}

/** Which node makes each value. */
export function producersOf({ node }: GraphProto): Map<string, NodeProto> {
  return new Map(node.flatMap((one) => one.output.map((value) => [value, one] as const)));
}

/** Which nodes read each value; the graph's outputs are read by nobody. */
export function readersOf(graph: GraphProto): Map<string, NodeProto[]> {
  const readers = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    for (const value of new Set(valuesReadBy(node)))
      readers.set(value, [...(readers.get(value) ?? []), node]);
  }
  return readers;
}

/** The one node that reads a value, which is no output of the graph. */
export function onlyReader(graph: GraphProto, value: string | undefined): NodeProto | undefined {
  if (value === undefined || graph.output.some(({ name }) => name === value)) return undefined;
  const readers = readersOf(graph).get(value) ?? [];
  return readers.length === 1 ? readers[0] : undefined;
}

/** Pads of a convolution or pool that are not zero. */
export function isPadded(one: NodeProto): boolean {
  return intsAttribute(one, 'pads')?.some((pad) => pad !== 0) ?? false;
}

/** The branches and bodies of If, Loop and Scan. */
function subgraphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** A graph and every graph inside it. */
export function graphsIn(graph: GraphProto): GraphProto[] {
  return [graph, ...graph.node.flatMap(subgraphsOf).flatMap(graphsIn)];
}

/** Every value a node may read: its inputs, and what its branches and bodies take from around them. */
export function valuesReadBy(node: NodeProto): string[] {
  const inner = subgraphsOf(node).flatMap((graph) => [
    ...graph.node.flatMap(valuesReadBy),
    ...graph.output.map(({ name }) => name),
  ]);
  return [...node.input, ...inner];
}

/** Every name in a graph, of values and of nodes. */
export function namesIn(graph: GraphProto): Set<string> {
  const names = graphsIn(graph).flatMap(({ node, initializer, input, output }) => [
    ...node.flatMap((one) => [one.name, ...one.input, ...one.output]),
    ...[...initializer, ...input, ...output].map(({ name }) => name),
  ]);
  return new Set(names);
}

/** A beginning for names that none of `names` has. */
export function unusedPrefix(names: ReadonlySet<string>): string {
  let prefix = 'nearvote/';
  while ([...names].some((name) => name.startsWith(prefix))) prefix = `_${prefix}`;
  return prefix;
}

/** Renames a value wherever it is made or read. */
export function renameValue(
  graph: GraphProto,
  { from, to }: { readonly from: string; readonly to: string },
): void {
  const renamed = (name: string): string => (name === from ? to : name);
  for (const { node, initializer, sparseInitializer, input, output } of graphsIn(graph)) {
    for (const one of node) {
      one.input = one.input.map(renamed);
      one.output = one.output.map(renamed);
    }
    const sparseValues = sparseInitializer.flatMap(({ values }) => (values === undefined ? [] : [values]));
    for (const value of [...initializer, ...sparseValues, ...input, ...output])
      value.name = renamed(value.name);
  }
}

/** Drops the nodes and constants that none of `outputs` needs, and every declared shape between, which ONNX Runtime infers. */
export function keepOnlyNeeded(graph: GraphProto, outputs: readonly string[]): void {
  const needed = new Set(outputs);
  // Nodes stand in an order in which every value is made before it is read.
  const kept = graph.node
    .toReversed()
    .filter((node) => {
      const wanted = node.output.some((name) => needed.has(name));
      if (wanted) for (const name of valuesReadBy(node)) needed.add(name);
      return wanted;
    })
    .toReversed();
  graph.node = kept;
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name));
  for (const one of graphsIn(graph)) one.valueInfo = [];
}
