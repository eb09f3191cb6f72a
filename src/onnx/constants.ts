import type { GraphProto } from './model.js';
import { elementTypes, floatValues, initializer, int64Values } from './tensor.js';

/** Constants that may be read and replaced by name. */
export interface Constants {
  floats(name: string | undefined): Float32Array | undefined;
  dims(name: string | undefined): readonly number[];
  ints(name: string | undefined): number[] | undefined;
  /** Adds a float32 constant under a new name, which begins with `like`. @returns the name */
  add(like: string, dims: readonly number[], data: Float32Array): string;
}

/** The constants of a graph, as they are when they are asked for. */
export function constantsOf(graph: GraphProto): Constants {
  const find = (name: string | undefined) => graph.initializer.find((tensor) => tensor.name === name);
  return {
    floats: (name) => {
      const tensor = find(name);
      return tensor && floatValues(tensor);
    },
    dims: (name) => find(name)?.dims.map(Number) ?? [],
    ints: (name) => {
      const tensor = find(name);
      return tensor?.dataType === elementTypes.int64 ? int64Values(tensor) : undefined;
    },
    add: (like, dims, data) => {
      let name = `${like}'`;
      while (find(name) !== undefined) name += "'";
      graph.initializer.push(initializer({ name, elementType: 'float32', dims, data }));
      return name;
    },
  };
}
