import type { ErrorCode } from '../domain/errors.js';

const imageCodes = [
  'image_missing',
  'image_empty',
  'image_too_large',
  'image_too_many_pixels',
  'image_too_costly',
  'image_unsupported',
  'image_damaged',
  'body_too_large',
  'too_many_images',
  'request_malformed',
  'field_unexpected',
  'query_invalid',
  'index_unknown',
  'media_type_unsupported',
  'unauthorized',
  'rate_limited',
  'overloaded',
  'timed_out',
  'not_ready',
  'shutting_down',
  'worker_failed',
  'internal',
] as const satisfies readonly ErrorCode[];

export interface Route {
  readonly path: string;
  readonly methods: readonly ('GET' | 'HEAD' | 'POST')[];
  /** What it answers when all is well. */
  readonly success: number;
  /** What it may answer otherwise, beside `not_found` and `method_not_allowed`. */
  readonly codes: readonly ErrorCode[];
}

const page = (path: string, codes: readonly ErrorCode[] = []): Route => ({
  path,
  methods: ['GET', 'HEAD'],
  success: 200,
  codes,
});

/** Every route: the app, the contract and the first series of the metrics are made from this one table. */
export const routes = {
  classify: {
    path: '/classify',
    methods: ['POST'],
    success: 200,
    codes: [...imageCodes, 'k_too_large', 'index_empty'],
  },
  embed: { path: '/embed', methods: ['POST'], success: 200, codes: imageCodes },
  health: page('/healthz'),
  ready: page('/readyz', ['not_ready', 'shutting_down']),
  metrics: page('/metrics'),
  openapi: page('/openapi.json'),
  docs: page('/docs'),
  reload: {
    path: '/admin/reload',
    methods: ['POST'],
    success: 200,
    codes: [
      'query_invalid',
      'unauthorized',
      'not_found',
      'index_unknown',
      'rate_limited',
      'reload_failed',
      'shutting_down',
      'internal',
    ],
  },
  home: { ...page('/'), success: 302 },
} as const satisfies Record<string, Route>;

export const allRoutes: readonly Route[] = Object.values(routes);

const paths = new Set(allRoutes.map((route) => route.path));

/** The route's pattern for a request's path; the label that keeps metrics bounded. */
export function routeOf(path: string): string {
  if (paths.has(path)) return path;
  return path.startsWith('/docs/') ? routes.docs.path : 'other';
}
