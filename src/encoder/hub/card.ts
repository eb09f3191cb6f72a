/** What the head of a model card says. https://huggingface.co/docs/hub/model-cards#model-card-metadata */
export interface Card {
  readonly licence: string | undefined;
  /** Of the base model, OWNER/NAME. */
  readonly madeFrom: string | undefined;
  readonly datasets: readonly string[];
}

/** What a card says is shown and kept in the manifest: of a card of megabytes no more than this. */
const mostValues = 100;
const mostCharacters = 200;

/** Reads the three fields that are of use here; the rest of the YAML may be anything. */
export function readCard(markdown: string): Card {
  const head = /^---\r?\n([\s\S]*?)\r?\n---/.exec(markdown)?.[1] ?? '';
  const all = (key: string): string[] => {
    const lines = head.split(/\r?\n/);
    const at = lines.findIndex((line) => line.startsWith(`${key}:`));
    if (at < 0) return [];
    const own = plain(lines[at]?.slice(key.length + 1) ?? '');
    if (own !== '') return own.startsWith('[') ? own.slice(1, -1).split(',').map(plain) : [own];
    const rest = lines.slice(at + 1);
    const end = rest.findIndex((line) => !/^\s*-\s/.test(line));
    return rest.slice(0, end < 0 ? undefined : end).map((line) => plain(line.replace(/^\s*-\s/, '')));
  };
  const values = (key: string): string[] =>
    all(key)
      .slice(0, mostValues)
      .map((value) => value.slice(0, mostCharacters));
  const [licence] = values('license');
  const [name] = values('license_name');
  const [madeFrom] = values('base_model');
  return {
    licence: licence === 'other' ? (name ?? licence) : licence,
    madeFrom,
    datasets: values('datasets'),
  };
}

function plain(text: string): string {
  return text.trim().replace(/^(['"])(.*)\1$/, '$2');
}

/** By the hub's own words for them: what lets anyone use, change and sell, and asks for no more than to be named. */
const permissive: ReadonlySet<string> = new Set([
  ...[
    'apache-2.0',
    'mit',
    'bsd',
    'bsd-2-clause',
    'bsd-3-clause',
    'bsd-3-clause-clear',
    'isc',
    'zlib',
    '0bsd',
  ],
  ...[
    'unlicense',
    'cc0-1.0',
    'cc-by-4.0',
    'cc-by-3.0',
    'afl-3.0',
    'ncsa',
    'wtfpl',
    'artistic-2.0',
    'postgresql',
  ],
]);

export function isPermissive(licence: string): boolean {
  return permissive.has(licence.toLowerCase());
}
