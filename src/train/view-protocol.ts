import type { ViewBatch } from './batch-views.js';
import type { BatchPlace } from './sampler.js';

/** To a worker. */
export interface ViewRequest {
  readonly number: number;
  readonly place: BatchPlace;
  readonly images: Int32Array;
}

/** From a worker; the buffers of `batch` are handed over, not copied. */
export type ViewReply =
  | { readonly number: number; readonly batch: ViewBatch }
  | { readonly number: number; readonly failure: string };
