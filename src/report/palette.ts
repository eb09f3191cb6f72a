/**
 * Colours that stay apart under the common kinds of colour blindness: the eight of Okabe and Ito (2008) with four of
 * Paul Tol's muted set between them; on dark ground the same hues, lighter.
 */
const light =
  '#0072b2 #d55e00 #009e73 #cc79a7 #b08a00 #3fa0dc #882255 #6b6b6b #332288 #8a8a26 #aa4499 #2f9c8c'.split(
    ' ',
  );
const dark =
  '#5ab0f0 #ff8a3d #2ccb9b #f2a2cd #f0c33c #9ad8ff #e0789c #b8b8b8 #a79bff #cfcf5a #e08bd9 #7fe3d2'.split(
    ' ',
  );

const variables = (colours: readonly string[]): string =>
  colours.map((colour, i) => `--c${i}:${colour};`).join('');

export const lightColours = variables(light);
export const darkColours = variables(dark);

/** Classes `f0` to fill and `s0` to draw a line in the first colour, and so on. */
export const colourClasses = light
  .map((_, i) => `.f${i}{fill:var(--c${i})}.s${i}{stroke:var(--c${i})}`)
  .join('');

/** The colour of the n-th label or series; from the thirteenth they come again. */
export function colourOf(n: number): number {
  return n % light.length;
}

const shapes = ['disc', 'triangle', 'square', 'cross', 'diamond'] as const;

export type Shape = (typeof shapes)[number];

/** The shape of the n-th label: another for its neighbours too, and when a colour comes again, a new one; 60 pairs. */
export function shapeOf(n: number): Shape {
  return shapes[(n + Math.floor(n / light.length)) % shapes.length] ?? 'disc';
}

/** How the n-th line of a chart is broken, so that it is known without its colour. */
export function dashOf(n: number): string {
  return ['', '7 4', '2 3', '10 3 2 3'][n % 4] ?? '';
}
