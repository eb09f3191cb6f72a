import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from '@asteasolutions/zod-to-openapi';
import type { ZodType } from 'zod';

import { problemKinds, problemMediaType } from './problems.js';
import { routes, type Route } from './routes.js';
import {
  classifyQuerySchema,
  decisionSchema,
  decisionsSchema,
  embeddingSchema,
  embeddingsSchema,
  healthSchema,
  imageBodySchema,
  imagesBodySchema,
  problemSchema,
  readySchema,
  reloadSchema,
} from './schemas.js';
import type { UploadLimits } from './sent-images.js';

export interface ContractOptions {
  /** Of the server. */
  readonly version: string;
  readonly limits: UploadLimits;
}

export type Contract = ReturnType<OpenApiGeneratorV31['generateDocument']>;

/** The OpenAPI 3.1 document, from the schemas that validate and the table that answers. */
export function createContract({ version, limits }: ContractOptions): Contract {
  const registry = new OpenAPIRegistry();
  const add = (route: Route, summary: string, { content, request = {} }: Exchange): void => {
    registry.registerPath({
      path: route.path,
      method: route.methods.includes('POST') ? 'post' : 'get',
      summary,
      request,
      responses: { [route.success]: { description: 'Done', content }, ...problemResponses(route) },
    });
  };
  const images = { body: { required: true, content: uploadContent(limits) } };
  add(routes.classify, 'Classify one image, or several with a result each', {
    content: json(decisionSchema.or(decisionsSchema)),
    request: { ...images, query: classifyQuerySchema },
  });
  add(routes.embed, 'The unit embedding of one image, or of several with a result each', {
    content: json(embeddingSchema.or(embeddingsSchema)),
    request: images,
  });
  add(routes.health, 'The process is alive', { content: json(healthSchema) });
  add(routes.ready, 'Index and encoder are loaded and warmed up', { content: json(readySchema) });
  add(routes.reload, 'Serve what is published now; exists only where the server has an admin key', {
    content: json(reloadSchema),
  });
  add(routes.metrics, 'Prometheus metrics', { content: { 'text/plain': text } });
  add(routes.openapi, 'This document', { content: { 'application/json': { schema: { type: 'object' } } } });
  add(routes.docs, 'This document, to read and try', { content: { 'text/html': text } });
  add(routes.home, 'Redirects to the documentation', { content: {} });
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'nearvote',
      version,
      description: 'Image classification without a classifier: the nearest labelled examples vote.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
  });
}

type Exchanged = NonNullable<RouteConfig['request']>;
type RequestContent = NonNullable<Exchanged['body']>['content'];

interface Media {
  schema: ZodType | { type: 'string' | 'object' };
}

/** What goes in beside the path, and what comes out when all is well. */
interface Exchange {
  readonly content: Record<string, Media>;
  readonly request?: Exchanged;
}

const text: Media = { schema: { type: 'string' } };

const json = (schema: ZodType): Record<string, Media> => ({ 'application/json': { schema } });

function uploadContent({ maxImages, maxImageBytes }: UploadLimits): RequestContent {
  const file = {
    type: 'string',
    contentMediaType: 'application/octet-stream',
    maxLength: maxImageBytes,
  } as const;
  return {
    'multipart/form-data': {
      schema: {
        oneOf: [
          { type: 'object', required: ['image'], properties: { image: file } },
          {
            type: 'object',
            required: ['images'],
            properties: { images: { type: 'array', minItems: 1, maxItems: maxImages, items: file } },
          },
        ],
      },
    },
    'image/*': { schema: file },
    'application/json': { schema: imageBodySchema.or(imagesBodySchema) },
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
