import { createHash } from 'node:crypto';
import { drawBars } from './bars.js';
import { drawConfusion } from './confusion.js';
import { drawMaps } from './map.js';
import { escapeText, isolated, nothing } from './markup.js';
import { pageStyle } from './page-style.js';
import type { Picture, PicturesSection, ReportPage, Section, TableSection } from './section.js';
import { drawCurve, drawReliability } from './unit-square.js';

/**
 * A report as one HTML page that needs nothing else: no network, no script, no font. Its content security policy shuts
 * out all but its own style and pictures, so that even a label that got through as markup could do nothing.
 */
export function renderPage(page: ReportPage): string {
  const { title, subtitle, facts, sections } = page;
  const styleHash = createHash('sha256').update(pageStyle).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<header>
<h1 dir="auto">${escapeText(title)}</h1>
<p class="subtitle" dir="auto">${escapeText(subtitle)}</p>
${drawFacts(facts)}${sections.length > 3 ? contents(sections) : ''}</header>
${sections.map(drawSection).join('\n')}
</main>
</body>
</html>
`;
}

function drawFacts(facts: ReportPage['facts']): string {
  if (facts.length === 0) return '';
  const items = facts.map(
    ({ name, value }) =>
      `<div${value.length > 16 ? ' class="long"' : ''}><dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd></div>`,
  );
  return `<dl class="facts">${items.join('')}</dl>\n`;
}

function contents(sections: readonly Section[]): string {
  const items = sections.map(
    ({ title }, i) => `<li><a href="#section-${i + 1}">${escapeText(title)}</a></li>`,
  );
  return `<nav aria-label="Contents"><ol>${items.join('')}</ol></nav>\n`;
}

function drawSection(section: Section, i: number): string {
  const { title, note } = section;
  const said = note === undefined ? '' : `<p class="note" dir="auto">${escapeText(note)}</p>\n`;
  return `<section id="section-${i + 1}">\n<h2 dir="auto">${escapeText(title)}</h2>\n${said}${draw(section)}\n</section>`;
}

function draw(section: Section): string {
  switch (section.kind) {
    case 'table':
      return drawTable(section);
    case 'confusion':
      return drawConfusion(section);
    case 'reliability':
      return drawReliability(section);
    case 'curve':
      return drawCurve(section);
    case 'bars':
      return drawBars(section);
    case 'map':
      return drawMaps(section);
    case 'pictures':
      return drawPictures(section);
  }
}

/** A table with more rows scrolls; one that is a little taller than its frame would look as if it ended there. */
const mostRowsAtOnce = 40;

function drawTable({ columns, rows }: TableSection): string {
  if (rows.length === 0) return nothing('No rows.');
  const aligned = (column: number): string => (columns[column]?.align === 'right' ? ' class="right"' : '');
  const head = columns.map(({ name }, i) => `<th scope="col"${aligned(i)}>${escapeText(name)}</th>`).join('');
  const body = rows.map((row) => {
    const cells = columns.map((_, i) => {
      const cell = row[i] ?? '';
      return `<td${aligned(i)}>${cell === '' ? '' : isolated(cell)}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  });
  return (
    `<div class="scroll${rows.length > mostRowsAtOnce ? ' tall' : ''}" tabindex="0"><table><thead><tr>${head}</tr></thead>` +
    `<tbody>${body.join('\n')}</tbody></table></div>`
  );
}

const said: Readonly<Record<Picture['mark'], string>> = {
  subject: 'this image',
  same: '✓ same label',
  other: '✗ other label',
};

function drawPictures({ rows }: PicturesSection): string {
  if (rows.length === 0) return nothing('No images.');
  return rows
    .map(
      ({ caption, pictures }) =>
        `<div class="row"><p>${isolated(caption)}</p><div class="pictures">${pictures.map(drawPicture).join('')}</div></div>`,
    )
    .join('\n');
}

/** What the border's colour says stands below the picture too. */
function drawPicture({ caption, image, mark }: Picture): string {
  const shown =
    image === undefined
      ? '<span class="absent">image not at hand</span>'
      : `<img alt="" src="data:${image.type};base64,${Buffer.from(image.bytes).toString('base64')}">`;
  return (
    `<figure class="picture ${mark}" title="${escapeText(caption)}"><span class="thumb">${shown}</span>` +
    `<figcaption><span class="mark">${said[mark]}</span>${isolated(caption)}</figcaption></figure>`
  );
}
