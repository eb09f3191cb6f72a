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
  'database_unreachable',
  'internal',
] as const satisfies readonly ErrorCode[];

export interface Route {
  readonly path: string;
  readonly methods: readonly ('GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE')[];
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

const readCodes = [
  'query_invalid',
  'index_unknown',
  'unauthorized',
  'rate_limited',
  'not_ready',
  'shutting_down',
  'worker_failed',
  'database_unreachable',
  'internal',
] as const satisfies readonly ErrorCode[];

const changeCodes = [
  ...readCodes,
  'index_readonly',
  'request_malformed',
  'media_type_unsupported',
  'body_too_large',
  'overloaded',
  'timed_out',
  'output_unwritable',
] as const satisfies readonly ErrorCode[];

const look = (path: string, codes: readonly ErrorCode[] = []): Route => page(path, [...readCodes, ...codes]);
const make = (method: 'POST' | 'PATCH' | 'DELETE', path: string, codes: readonly ErrorCode[]): Route => ({
  path,
  methods: [method],
  success: 200,
  codes: [...changeCodes, ...codes],
});

/** Of what is read again from its files. */
const indexCodes = ['index_missing', 'index_invalid'] as const satisfies readonly ErrorCode[];
const keptCodes = ['decision_missing', 'output_unwritable'] as const satisfies readonly ErrorCode[];
const teachKeptCodes = [
  ...keptCodes,
  'decision_outdated',
  'label_invalid',
  'example_conflict',
] as const satisfies readonly ErrorCode[];

/** Every route: the app, the contract and the first series of the metrics are made from this one table. */
export const routes = {
  classify: {
    path: '/classify',
    methods: ['POST'],
    success: 200,
    codes: [...imageCodes, 'k_too_large', 'index_empty', 'index_behind', 'search_incomplete'],
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
  examples: look('/examples', ['example_missing', 'index_behind']),
  addExamples: make('POST', '/examples', [...imageCodes, 'label_invalid', 'id_invalid', 'example_conflict']),
  example: look('/examples/:id', ['example_missing']),
  relabel: make('PATCH', '/examples/:id', ['label_invalid', 'example_missing']),
  deleteExample: make('DELETE', '/examples/:id', ['example_missing']),
  picture: look('/examples/:id/picture', ['example_missing']),
  labels: look('/labels'),
  renameLabel: make('POST', '/labels/:label', ['label_invalid', 'label_missing']),
  changes: look('/changes'),
  change: make('POST', '/changes', ['label_invalid', 'example_missing', 'example_conflict']),
  revert: make('POST', '/changes/:sequence/revert', ['change_missing', 'change_conflict']),
  findings: make('POST', '/findings', []),
  feedback: make('POST', '/feedback', teachKeptCodes),
  review: look('/review', keptCodes),
  reviewPicture: look('/review/:id/picture', keptCodes),
  answerReview: make('POST', '/review/:id', teachKeptCodes),
  rollback: make('POST', '/changes/:sequence/rollback', ['change_missing']),
  versions: look('/versions'),
  compact: make('POST', '/versions', ['reload_failed', ...indexCodes]),
  calibrate: make('POST', '/calibration', [
    'reload_failed',
    'calibration_unfit',
    'index_empty',
    ...indexCodes,
  ]),
  differences: look('/differences', ['change_missing', ...indexCodes]),
  verification: make('POST', '/verification', [...indexCodes]),
  exportBundle: {
    ...look('/bundle', [
      ...indexCodes,
      'bundle_busy',
      'index_readonly',
      'output_unwritable',
      'reload_failed',
    ]),
    methods: ['GET'],
  },
  importBundle: make('POST', '/bundle', [
    ...indexCodes,
    'bundle_busy',
    'bundle_invalid',
    'encoder_mismatch',
    'changes_left_out',
    'reload_failed',
  ]),
  home: { ...page('/'), success: 302 },
} as const satisfies Record<string, Route>;

export const allRoutes: readonly Route[] = Object.values(routes);

/** Those that only an admin key opens: without one they do not exist. */
export const adminRoutes: ReadonlySet<Route> = new Set([
  routes.reload,
  routes.addExamples,
  routes.relabel,
  routes.deleteExample,
  routes.renameLabel,
  routes.changes,
  routes.change,
  routes.revert,
  routes.rollback,
  routes.findings,
  routes.feedback,
  routes.review,
  routes.reviewPicture,
  routes.answerReview,
  routes.versions,
  routes.compact,
  routes.calibrate,
  routes.differences,
  routes.verification,
  routes.exportBundle,
  routes.importBundle,
]);

const paths = new Set(allRoutes.map((route) => route.path));
/** Of the paths that hold a parameter. */
const patterns = [...paths]
  .filter((path) => path.includes(':'))
  .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/:\w+/g, '[^/]+')}$`) }));

/** The route's pattern for a request's path; the label that keeps metrics bounded. */
export function routeOf(path: string): string {
  if (paths.has(path)) return path;
  const found = patterns.find(({ pattern }) => pattern.test(path));
  if (found !== undefined) return found.path;
  return path.startsWith('/docs/') ? routes.docs.path : 'other';
}

/** The methods that each path has among some routes. */
export function methodsByPath(among: readonly Route[]): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>();
  for (const route of among) methods.set(route.path, [...(methods.get(route.path) ?? []), ...route.methods]);
  return methods;
}
