import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { Router, static as serveFolder } from 'express';

import { clientVisibleCodes, problemKinds } from './problems.js';
import { routes } from './routes.js';

/** What the page needs of swagger-ui-dist; the rest of that folder is not served. */
const assets = new Set(['/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png']);

const initializer = `SwaggerUIBundle({
  url: '${routes.openapi.path}',
  dom_id: '#swagger-ui',
  // The default asks a validator on the network.
  validatorUrl: null,
});
`;

/** `GET /docs`: Swagger UI and the table of error codes, with no inline script and nothing from the network. */
export function createDocsRouter(): Router {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('swagger-ui-dist/package.json'));
  const files = serveFolder(folder, { index: false, redirect: false, dotfiles: 'ignore', maxAge: '1d' });
  const html = renderPage();
  const router = Router({ strict: true, caseSensitive: true });
  router.get('/docs', (_req, res) => {
    res.type('html').send(html);
  });
  router.get('/docs/initializer.js', (_req, res) => {
    res.type('js').send(initializer);
  });
  router.use('/docs', (req, res, next) => {
    if (assets.has(req.path) && (req.method === 'GET' || req.method === 'HEAD')) files(req, res, next);
    else next();
  });
  return router;
}

/** Titles are our own text without markup. */
function renderPage(): string {
  const rows = clientVisibleCodes.map((code) => {
    const { status, title } = problemKinds[code];
    return `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>nearvote</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<section class="swagger-ui"><div class="wrapper">
<h2>Errors</h2>
<table><thead><tr><th>code</th><th>status</th><th>meaning</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
</div></section>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/initializer.js"></script>
</body>
</html>
`;
}
