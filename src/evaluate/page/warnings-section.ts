import type { TableSection } from '../../report/section.js';

/** What makes the figures other than they look, before all of them; nothing where nothing does. */
export function warningsSections(warnings: readonly string[]): TableSection[] {
  if (warnings.length === 0) return [];
  return [
    {
      kind: 'table',
      title: 'Warnings',
      columns: [{ name: 'what makes the figures other than they look' }],
      rows: warnings.map((warning) => [warning]),
    },
  ];
}
