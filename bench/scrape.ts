/** One reading of /metrics: a series as Prometheus writes it, with its labels, to its value; 0 where there is none. */
export type Scraped = (series: string) => number;

export async function scrape(serverUrl: string): Promise<Scraped> {
  const response = await fetch(new URL('/metrics', serverUrl));
  const text = await response.text();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (line.startsWith('#') || space < 0) continue;
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return (series) => values.get(series) ?? 0;
}

/** How far a series rose between two readings. */
export function rise(series: string, [before, after]: readonly [Scraped, Scraped]): number {
  return after(series) - before(series);
}
