/* What we use of hnswlib-node, declared here because an installation may lack it: it ships source only. */

export interface HnswGraph {
  initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void;
  readIndex(file: string): Promise<boolean>;
  writeIndex(file: string): Promise<boolean>;
  /** Adding and searching must not run at once. */
  addPoint(point: number[], row: number): void;
  /** May find fewer than k. */
  searchKnn(point: number[], k: number): { readonly neighbors: number[]; readonly distances: number[] };
  getCurrentCount(): number;
  setEf(ef: number): void;
}

export interface HnswModule {
  readonly HierarchicalNSW: new (space: 'ip', dimension: number) => HnswGraph;
}

/** Loads hnswlib-node; undefined where it is not installed, was not built, or was built for another platform. */
export async function loadHnswModule(): Promise<HnswModule | undefined> {
  // A name the compiler does not look up: types come from above, so that it compiles without the package.
  const specifier: string = 'hnswlib-node';
  try {
    const { default: module } = (await import(specifier)) as { default: HnswModule };
    return module;
  } catch {
    return undefined;
  }
}
