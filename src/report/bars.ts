import { drawing, escapeText, legend, nothing, percent, short, shortened } from './markup.js';
import { colourOf } from './page-style.js';
import type { BarsSection } from './section.js';

const left = 170;
const reach = 700;
const top = 22;

/** Bars that lie, so that labels of any number and length find room beside them. */
export function drawBars({ title, series, groups }: BarsSection): string {
  if (groups.length === 0 || series.length === 0) return nothing('No bars.');
  const thick = groups.length > 40 ? 9 : series.length === 1 ? 15 : 12;
  const step = series.length * thick + (groups.length > 40 ? 4 : 9);
  const height = top + groups.length * step + 10;
  const scale = [0, 0.25, 0.5, 0.75, 1].map((tick) => {
    const x = short(left + reach * tick);
    return (
      `<path class="grid" d="M${x} ${top - 4}V${height - 6}"/>` +
      `<text x="${x}" y="12" class="mid tick">${percent(tick, 0)}</text>`
    );
  });
  const drawn = groups.map(({ label, values }, i) => {
    const y = top + i * step + 4;
    const middle = short(y + (series.length * thick) / 2 + 4);
    const bars = series.map((name, s) =>
      bar({ name, label, value: values[s] ?? NaN, y: y + s * thick, thick, s }),
    );
    const shown = `<title>${escapeText(label)}</title>${shortened(label, 22)}`;
    return `<text x="${left - 8}" y="${middle}" class="end name">${shown}</text>${bars.join('')}`;
  });
  const picture = drawing({ width: left + reach + 56, height, title }, [...scale, ...drawn]);
  const entries = series.map((name, s) => ({
    name,
    swatch: `<rect class="f${colourOf(s)}" width="24" height="12" rx="2"/>`,
  }));
  return `<figure>${series.length > 1 ? legend(entries) : ''}${picture}</figure>`;
}

function bar(of: {
  readonly name: string;
  readonly label: string;
  readonly value: number;
  readonly y: number;
  readonly thick: number;
  readonly s: number;
}): string {
  const { name, label, value, y, thick, s } = of;
  const length = Number.isFinite(value) ? reach * Math.min(1, Math.max(0, value)) : 0;
  const title = escapeText(`${label}: ${name} ${percent(value)}`);
  const said = short(left + length + 4);
  return (
    `<rect class="f${colourOf(s)}" x="${left}" y="${short(y)}" width="${short(length)}" height="${thick - 1}" rx="1.5">` +
    `<title>${title}</title></rect>` +
    `<text x="${said}" y="${short(y + thick - 2)}" class="value" font-size="${thick - 1}">${percent(value)}</text>`
  );
}
