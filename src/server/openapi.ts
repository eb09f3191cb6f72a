import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { OpenApiGeneratorV31, OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { Router, static as serveFolder } from 'express';

import type { UploadLimits } from './body.js';
import { json, text, withKey, type AddRoute, type Media, type RequestContent } from './contract-operation.js';
import { addExampleRoutes } from './example-contract.js';
import { clientVisibleCodes, problemKinds, problemMediaType } from './problems.js';
import { type Route, routes } from './routes.js';
import {
  classifyQuery,
  decisionSchema,
  decisionsSchema,
  embeddingSchema,
  embeddingsSchema,
  healthSchema,
  indexQuerySchema,
  problemSchema,
  readySchema,
  reloadQuerySchema,
  reloadSchema,
} from './schemas.js';

export interface ContractOptions {
  /** Of the server. */
  readonly version: string;
  readonly limits: UploadLimits;
  readonly maxK: number;
  readonly maxNeighbours: number;
  readonly maxBundleBytes: number;
}

export type Contract = ReturnType<OpenApiGeneratorV31['generateDocument']>;

/** The OpenAPI 3.1 document, from the schemas that validate and the table that answers. */
export function createContract({
  version,
  limits,
  maxK,
  maxNeighbours,
  maxBundleBytes,
}: ContractOptions): Contract {
  const registry = new OpenAPIRegistry();
  for (const [name, scheme] of Object.entries(securitySchemes)) {
    registry.registerComponent('securitySchemes', name, scheme);
  }
  const add: AddRoute = (operationId, summary, exchange) => {
    const route = routes[operationId];
    const { content, request = {}, security = [] } = exchange;
    registry.registerPath({
      path: route.path.replace(/:(\w+)/g, '{$1}'),
      method: methodOf(route),
      ...{ operationId, summary, request, security },
      responses: { [route.success]: { description: 'Done', content }, ...problemResponses(route) },
    });
  };
  const images = { body: { required: true, content: uploadContent(limits) } };
  add('classify', 'Classify one image, or several with a result each', {
    content: json(decisionSchema.or(decisionsSchema)),
    request: { ...images, query: classifyQuery({ k: maxK, neighbours: maxNeighbours }) },
    security: [{}, ...withKey],
  });
  add('embed', 'The unit embedding of one image, or of several with a result each', {
    content: json(embeddingSchema.or(embeddingsSchema)),
    request: { ...images, query: indexQuerySchema },
    security: [{}, ...withKey],
  });
  add('health', 'The process is alive', { content: json(healthSchema) });
  add('ready', 'Every index and its encoder are loaded and warmed up', { content: json(readySchema) });
  add(
    'reload',
    'Serve what one index, or each, has published by now; answers 404 where the server has no admin key',
    {
      content: json(reloadSchema),
      request: { query: reloadQuerySchema },
      security: withKey,
    },
  );
  addExampleRoutes(add, { limits, maxBundleBytes });
  add('metrics', 'Prometheus metrics', { content: { 'text/plain': text } });
  add('openapi', 'This document', { content: { 'application/json': { schema: { type: 'object' } } } });
  add('docs', 'This document, to read and try', { content: { 'text/html': text } });
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'nearvote',
      version,
      description: 'Image classification without a classifier: the nearest labelled examples vote.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The server that this document is from' }],
  });
}

function methodOf({ methods }: Route): 'get' | 'post' | 'patch' | 'delete' {
  const [method] = methods.filter((one) => one !== 'GET' && one !== 'HEAD');
  if (method === 'PATCH') return 'patch';
  if (method === 'DELETE') return 'delete';
  return method === 'POST' ? 'post' : 'get';
}

/** Which key opens what is the server's to say: API keys for images, the admin key for what changes it. */
const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'Authorization: Bearer KEY' },
  header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
} as const;

/** Exactly one of `image` and `images`. One object and no `oneOf`: Swagger UI has a file picker for a property alone. */
const oneField = { minProperties: 1, maxProperties: 1, additionalProperties: false } as const;

const ofOne = 'One image, answered with its decision or embedding, or a problem';
const ofMany = 'Several images, answered with `results`, each of which may be a problem of its own';

function uploadContent({ maxImages, maxImageBytes }: UploadLimits): RequestContent {
  const file = { type: 'string', contentMediaType: 'application/octet-stream' } as const;
  const whole = { ...file, minLength: 1, maxLength: maxImageBytes };
  const base64 = {
    type: 'string',
    contentEncoding: 'base64',
    description: 'An image file in standard base64 with padding',
  } as const;
  const several = { type: 'array', minItems: 1, maxItems: maxImages, description: ofMany } as const;
  return {
    'multipart/form-data': {
      schema: {
        type: 'object',
        description: 'Either image or images; each part has a filename',
        properties: {
          image: { ...whole, description: ofOne },
          // Without a default Swagger UI sends an example of its own making.
          images: { ...several, items: file, default: [] },
        },
        ...oneField,
      },
    },
    'image/*': { schema: whole },
    'application/octet-stream': { schema: whole },
    'application/json': {
      schema: {
        type: 'object',
        description: 'Either image or images',
        properties: {
          image: { ...base64, minLength: 1, maxLength: Math.ceil(maxImageBytes / 3) * 4, description: ofOne },
          images: { ...several, items: base64 },
        },
        ...oneField,
      },
    },
  };
}

/** One response a status, naming every code that has it. */
function problemResponses({
  codes,
}: Route): Record<number, { description: string; content: Record<string, Media> }> {
  const meanings = new Map<number, string[]>();
  for (const code of [...codes, 'method_not_allowed' as const, 'host_not_allowed' as const]) {
    const { status, title } = problemKinds[code];
    meanings.set(status, [...(meanings.get(status) ?? []), `\`${code}\`: ${title}`]);
  }
  const content = { [problemMediaType]: { schema: problemSchema } };
  return Object.fromEntries(
    [...meanings].map(([status, each]) => [status, { description: each.join('; '), content }]),
  );
}

/** What the page needs of swagger-ui-dist; the rest of that folder is not served. */
const assets = new Set(['/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png']);

const initializer = `fetch('${routes.openapi.path}').then((answer) => answer.json()).then((spec) => {
  // Swagger UI has a file picker for each item of a list by this format alone, which OpenAPI 3.1 does not know.
  for (const { post } of Object.values(spec.paths)) {
    const form = post?.requestBody?.content['multipart/form-data'];
    if (form !== undefined) form.schema.properties.images.items.format = 'binary';
  }
  SwaggerUIBundle({
    spec,
    dom_id: '#swagger-ui',
    // The default asks a validator on the network.
    validatorUrl: null,
  });
});
`;

/** `GET /docs`: Swagger UI and the table of error codes, with no inline script and nothing from the network. */
export function createDocsRouter(): Router {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('swagger-ui-dist/package.json'));
  const files = serveFolder(folder, { index: false, redirect: false, dotfiles: 'ignore', maxAge: '1d' });
  const html = Buffer.from(renderPage());
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
    const { status, title, advice = '' } = problemKinds[code];
    return `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td><td>${advice}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>nearvote</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<style>
/* Swagger UI's own rules leave no room between columns. */
.swagger-ui #errors th, .swagger-ui #errors td { padding: 8px 24px 8px 0; vertical-align: top; line-height: 1.4; }
.swagger-ui #errors code { white-space: nowrap; }
</style>
</head>
<body>
<div id="swagger-ui"></div>
<section class="swagger-ui"><div class="wrapper">
<h2>Errors</h2>
<table id="errors"><thead><tr><th>code</th><th>status</th><th>meaning</th><th>where it comes from, and what to do</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
</div></section>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/initializer.js"></script>
</body>
</html>
`;
}
