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
