import { escapeText, isolated } from './escape.js';
import type { Picture, PicturesSection } from './section.js';
import { nothing } from './svg.js';

const said: Readonly<Record<Picture['mark'], string>> = {
  subject: 'this image',
  same: '✓ same label',
  other: '✗ other label',
};

export function drawPictures({ rows }: PicturesSection): string {
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
