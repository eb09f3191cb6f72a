import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import type { ZodType } from 'zod';
import type { routes } from './routes.js';

type Security = NonNullable<RouteConfig['security']>;
type Exchanged = NonNullable<RouteConfig['request']>;
export type RequestContent = NonNullable<Exchanged['body']>['content'];

export interface Media {
  schema: ZodType | { type: 'string' | 'object' };
}

/** What goes in beside the path, and what comes out when all is well. */
interface Exchange {
  readonly content: Record<string, Media>;
  readonly request?: Exchanged;
  /** Whose keys open it; an empty one among them where a server may do without, none where it needs no key. */
  readonly security?: Security;
}

/** Adds a route of the table to the document. */
export type AddRoute = (operationId: keyof typeof routes, summary: string, exchange: Exchange) => void;

export const text: Media = { schema: { type: 'string' } };

export const json = (schema: ZodType): Record<string, Media> => ({ 'application/json': { schema } });

export const withKey: Security = [{ bearer: [] }, { header: [] }];
