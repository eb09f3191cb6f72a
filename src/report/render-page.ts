import { createHash } from 'node:crypto';
import { drawBars } from './bars.js';
import { drawConfusion } from './confusion.js';
import { drawCurve } from './curve.js';
import { escapeText } from './escape.js';
import { drawMaps } from './map.js';
import { pageStyle } from './page-style.js';
import { drawPictures } from './pictures.js';
import { drawReliability } from './reliability.js';
import type { ReportPage, Section } from './section.js';
import { drawTable } from './table.js';

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
    ({ name, value }) => `<div><dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd></div>`,
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
