/** The name that was most likely meant by one that is not there: at most a third of its letters may differ. */
export function closestName(typed: string, names: Iterable<string>): string | undefined {
  let closest: string | undefined;
  let fewest = Math.floor(typed.length / 3) + 1;
  for (const name of names) {
    const edits = editsBetween(typed, name);
    if (edits < fewest) [closest, fewest] = [name, edits];
  }
  return closest;
}

/** Of a slip of the pen: so many letters, and at most a third of them. */
const mostSlips = 2;
const mostSimilar = 3;

/** The names that one may be a slip of the pen for, whatever the case of their letters, the nearest first. */
export function similarNames(typed: string, names: Iterable<string>): string[] {
  const most = Math.min(mostSlips, Math.floor(typed.length / 3));
  const similar: { readonly name: string; readonly edits: number }[] = [];
  for (const name of names) {
    if (Math.abs(name.length - typed.length) > most) continue;
    const edits = editsBetween(typed.toLowerCase(), name.toLowerCase());
    if (edits <= most) similar.push({ name, edits });
  }
  similar.sort((a, b) => a.edits - b.edits);
  return similar.slice(0, mostSimilar).map(({ name }) => name);
}

/** Letters that are to be inserted, removed, replaced or swapped with the next: optimal string alignment. */
function editsBetween(from: string, to: string): number {
  let before: number[] = [];
  let above: number[] = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      const isSwapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      row.push(
        Math.min(
          (row[j - 1] ?? NaN) + 1,
          (above[j] ?? NaN) + 1,
          (above[j - 1] ?? NaN) + (isSame ? 0 : 1),
          isSwapped ? (before[j - 2] ?? NaN) + 1 : Infinity,
        ),
      );
    }
    [before, above] = [above, row];
  }
  return above[to.length] ?? NaN;
}
