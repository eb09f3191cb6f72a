import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { root } from '../cli/nearvote.js';
import type { Manifest } from './kubernetes-kinds.js';

export const folder = join(root, 'deploy/kubernetes');

interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly {
    readonly path?: string;
    readonly target?: unknown;
    readonly patch?: string;
  }[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly literals: readonly string[] }[];
}

/** Its folders: each has a kustomization. */
export const folders = readdirSync(folder);

export const kustomizationOf = (name: string): Kustomization =>
  parse(readFileSync(join(folder, name, 'kustomization.yaml'), 'utf8')) as Kustomization;

/** The documents of some YAML. */
export const manifestsOf = (text: string): Manifest[] =>
  parseAllDocuments(text).map((document) => document.toJS() as Manifest);

/** Every whole resource that is written there: not patches, which are a part of one. */
export const written: readonly { readonly file: string; readonly manifest: Manifest }[] = folders.flatMap(
  (name) =>
    readdirSync(join(folder, name))
      .filter((file) => file !== 'kustomization.yaml')
      .filter((file) => !(kustomizationOf(name).patches ?? []).some(({ path }) => path === file))
      .flatMap((file) =>
        manifestsOf(readFileSync(join(folder, name, file), 'utf8')).map((manifest) => ({
          file: `${name}/${file}`,
          manifest,
        })),
      ),
);

/** Variables that the ConfigMap of a folder sets, of those it is laid over too. */
export function variablesOf(name: string): Record<string, string> {
  const { resources = [], components = [], configMapGenerator = [] } = kustomizationOf(name);
  const below = [...resources, ...components]
    .filter((one) => one.startsWith('../'))
    .map((one) => variablesOf(one.slice('../'.length)));
  const own = configMapGenerator.flatMap(({ literals }) =>
    literals.map((literal) => {
      const at = literal.indexOf('=');
      return [literal.slice(0, at), literal.slice(at + 1)];
    }),
  );
  return Object.assign({}, ...below, Object.fromEntries(own)) as Record<string, string>;
}
