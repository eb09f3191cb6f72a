import { legend } from './legend.js';
import { colourOf, dashOf } from './palette.js';
import type { CurveSection } from './section.js';
import { drawing, nothing, short } from './svg.js';
import { drawAxes, drawDiagonal, toX, toY, type UnitAxes } from './unit-axes.js';

export function drawCurve(section: CurveSection): string {
  const { title, x, y, series, diagonal } = section;
  if (series.every(({ points }) => points.length === 0)) return nothing('No points.');
  const axes: UnitAxes = { left: 66, top: 12, side: 400, x, y };
  const lines = series.map(({ points }, i) => {
    const dash = dashOf(i);
    const broken = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
    return `<path class="s${colourOf(i)} line curve"${broken} d="${pathOf(points, axes)}"/>`;
  });
  const picture = drawing({ width: 482, height: 456, title }, [
    drawAxes(axes),
    diagonal === '' ? '' : drawDiagonal(axes),
    ...lines,
  ]);
  const entries = series.map(({ name }, i) => ({
    name,
    swatch: `<path class="s${colourOf(i)} line curve" stroke-dasharray="${dashOf(i) || 'none'}" d="M0 6h24"/>`,
  }));
  const along = { name: diagonal, swatch: '<path class="diagonal" d="M0 6h24"/>' };
  return `<figure>${picture}${legend(diagonal === '' ? entries : [...entries, along])}</figure>`;
}

/** To a tenth of a pixel, which leaves few of a ROC's ten thousand points; a point that is no number breaks the line. */
function pathOf(points: readonly (readonly [number, number])[], axes: UnitAxes): string {
  let path = '';
  let last = '';
  let broken = true;
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      broken = true;
      continue;
    }
    const place = `${short(toX(axes, x))} ${short(toY(axes, y))}`;
    if (broken || place !== last) path += `${broken ? 'M' : 'L'}${place}`;
    last = place;
    broken = false;
  }
  return path;
}
