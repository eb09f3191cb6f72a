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

const lightColours = variables(light);
const darkColours = variables(dark);

/** Classes `f0` to fill and `s0` to draw a line in the first colour, and so on. */
const colourClasses = light.map((_, i) => `.f${i}{fill:var(--c${i})}.s${i}{stroke:var(--c${i})}`).join('');

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

const day = `--paper:#fff;--card:#f5f6f8;--ink:#1b1f24;--soft:#57606a;--line:#d5dae0;--faint:#e9ecef;--on-deep:#fff;${lightColours}`;
const night = `--paper:#14171b;--card:#1e2329;--ink:#e8eaed;--soft:#a2abb5;--line:#3d454e;--faint:#2a3038;--on-deep:#0d1013;${darkColours}`;

/** Of the whole page: it follows the reader's light or dark, and prints on white. */
export const pageStyle = `
:root{color-scheme:light dark;${day}}
@media screen and (prefers-color-scheme:dark){:root{${night}}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:2.5rem 1.5rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.3rem;line-height:1.3;margin:0;overflow-wrap:anywhere}
.subtitle{color:var(--soft);margin:.4rem 0 0;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:.75rem;margin:1.75rem 0 0}
.facts div{background:var(--card);border:1px solid var(--faint);border-radius:8px;padding:.7rem .9rem}
.facts dt{color:var(--soft);font-size:.82rem;overflow-wrap:anywhere}
.facts dd{margin:.15rem 0 0;font-size:1.2rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.facts .long{grid-column:span 2}.facts .long dd{font-size:.98rem}
nav{margin:1.75rem 0 0;font-size:.9rem}
nav ol{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;list-style:none;margin:0;padding:0}
a{color:var(--c0)}
section{margin-top:2.75rem;padding-top:1.5rem;border-top:1px solid var(--line)}
.note{color:var(--soft);max-width:70ch;margin:.35rem 0 0;overflow-wrap:anywhere}
.none{color:var(--soft);font-style:italic}
figure{margin:1.1rem 0 0;min-width:0}
figcaption{font-weight:600;margin-bottom:.4rem;overflow-wrap:anywhere}
svg{display:block;max-width:100%;height:auto;overflow:visible;font-size:12px}
svg text{fill:var(--ink);unicode-bidi:isolate}
svg .mid{text-anchor:middle}svg .end{text-anchor:end}
svg .tick{fill:var(--soft);font-variant-numeric:tabular-nums}svg .axis{fill:var(--soft);font-size:12.5px}
svg .value{fill:var(--soft)}
.line{fill:none}.curve{stroke-width:2.2;stroke-linejoin:round}
.grid{stroke:var(--faint);fill:none}.base{stroke:var(--line);fill:none}
.frame{fill:none;stroke:var(--line)}
.diagonal{stroke:var(--soft);stroke-dasharray:5 4;fill:none}
svg .right{fill:var(--c0)}svg .wrong{fill:var(--c1)}svg .deep{fill:var(--on-deep)}
.gap{fill:var(--c1);fill-opacity:.3;stroke:var(--c1);stroke-width:1}.reached{stroke-width:3}.count{fill:var(--soft)}
.points{opacity:.78}
.beside{display:flex;flex-wrap:wrap;gap:0 2rem}.beside>figure{flex:0 1 auto}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.3rem;list-style:none;margin:.9rem 0 0;padding:0;font-size:.9rem}
.legend li{display:flex;align-items:center;gap:.45rem;max-width:100%}
.legend svg{flex:none}.legend .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:34ch}
.legend .more{color:var(--soft);font-variant-numeric:tabular-nums}
.scroll{overflow:auto;max-width:100%}
div.tall{max-height:40rem}
div.scroll{margin-top:1.1rem;border:1px solid var(--faint);border-radius:8px}
figure.scroll{width:max-content;max-width:min(100%,calc(100vw - 3rem))}
figure.scroll svg{max-width:none}
@media (min-width:1240px){figure.scroll{max-width:calc(50vw + 510px)}}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .8rem;border-bottom:1px solid var(--faint);overflow-wrap:anywhere;max-width:28rem}
th{position:sticky;top:0;background:var(--card);color:var(--soft);font-weight:600;white-space:nowrap}
tbody tr:last-child td{border-bottom:0}
.right{text-align:right;font-variant-numeric:tabular-nums}td.right{white-space:nowrap}
.row{margin-top:1.1rem;padding-top:.9rem;border-top:1px solid var(--faint)}
.row>p{margin:0 0 .6rem;overflow-wrap:anywhere}
.pictures{display:flex;flex-wrap:wrap;gap:.8rem}
.picture{margin:0;width:112px}
.thumb{display:flex;align-items:center;justify-content:center;width:112px;height:112px;border:4px solid var(--soft);border-radius:6px;background:var(--card);overflow:hidden}
.thumb img{max-width:100%;max-height:100%;min-width:60%}
.same .thumb{border-color:var(--c0)}.other .thumb{border-color:var(--c1);border-style:dashed}
.picture figcaption{font-weight:400;font-size:.78rem;line-height:1.35;margin:.3rem 0 0;display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:5;overflow:hidden}
.mark{display:block;font-weight:600;color:var(--soft)}.same .mark{color:var(--c0)}.other .mark{color:var(--c1)}
.absent{color:var(--soft);font-size:.78rem;text-align:center}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
${colourClasses}
@media print{
:root{color-scheme:light}
body{font-size:11px}main{max-width:none;padding:0}nav{display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
section,figure,.row,.facts div{break-inside:avoid}h2{break-after:avoid}
div.tall{max-height:none}div.scroll{overflow:visible}figure.scroll svg{max-width:100%}
}
`;
