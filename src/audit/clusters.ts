/**
 * Groups what links join, directly or through others (union-find, path halving): each group's members ascending,
 * groups in the order of their first member. What no link names is in no group.
 */
export function clusters(links: readonly { readonly a: number; readonly b: number }[]): number[][] {
  const parents = new Map<number, number>();
  const rootOf = (member: number): number => {
    let at = member;
    for (;;) {
      const parent = parents.get(at) ?? at;
      if (parent === at) return at;
      const grandparent = parents.get(parent) ?? parent;
      parents.set(at, grandparent);
      at = grandparent;
    }
  };
  for (const { a, b } of links) {
    for (const member of [a, b]) if (!parents.has(member)) parents.set(member, member);
    const [first, second] = [rootOf(a), rootOf(b)];
    // The smaller leads, so that the outcome does not depend on the order of the links.
    parents.set(Math.max(first, second), Math.min(first, second));
  }
  const groups = new Map<number, number[]>();
  for (const member of [...parents.keys()].sort((a, b) => a - b)) {
    const root = rootOf(member);
    const group = groups.get(root) ?? [];
    groups.set(root, group);
    group.push(member);
  }
  return [...groups.values()];
}
