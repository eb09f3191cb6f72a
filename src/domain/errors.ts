/** Every failure nearvote names. The HTTP status of each is in server/problems.ts, its exit code in cli/. */
export const errorCodes = [
  // what a client sent
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
  'k_too_large',
  'media_type_unsupported',
  'label_invalid',
  'label_missing',
  'id_invalid',
  'example_missing',
  'example_conflict',
  'decision_missing',
  'decision_outdated',
  'change_missing',
  'change_conflict',
  'index_readonly',
  'changes_left_out',
  'calibration_unfit',
  'index_empty',
  'index_behind',
  'not_found',
  'index_unknown',
  'method_not_allowed',
  'host_not_allowed',
  'unauthorized',
  'rate_limited',
  // what the server cannot do now
  'overloaded',
  'timed_out',
  'not_ready',
  'shutting_down',
  'bundle_busy',
  'client_gone',
  'worker_failed',
  'database_unreachable',
  'search_incomplete',
  'reload_failed',
  'internal',
  // files and options, seen by whoever runs a command
  'usage',
  'dataset_missing',
  'dataset_invalid',
  'dataset_overlaps',
  'encoder_missing',
  'encoder_invalid',
  'encoder_mismatch',
  'encoder_unsupported',
  'index_missing',
  'index_invalid',
  'index_changed',
  'database_unsuitable',
  'calibration_invalid',
  'findings_invalid',
  'bundle_invalid',
  'bundle_unreachable',
  'bundle_refused',
  'config_invalid',
  'checkpoint_invalid',
  'training_diverged',
  'recall_too_low',
  'output_unwritable',
  'output_exists',
  'address_unavailable',
  'dependency_missing',
  'hub_unreachable',
  'hub_refused',
  'server_unreachable',
  'server_refused',
  'images_failed',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** A failure with a stable code. The message says what was expected and what came. */
export class NearvoteError extends Error {
  override readonly name = 'NearvoteError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What was said by whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's code for it, such as ENOENT. */
export function systemCodeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown error';
}
