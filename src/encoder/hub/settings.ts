import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';

/** How the hub is reached and where what it gives is kept. */
export interface HubSettings {
  /** An origin, and a path without a slash at its end where there is one. */
  readonly endpoint: string;
  readonly token?: string | undefined;
  readonly offline: boolean;
  /** The cache that the Python library and others share. */
  readonly cacheDir: string;
  /** After this time without a byte a connection counts as lost. */
  readonly timeoutMs: number;
  /** How often in a row a connection may be lost without a byte. */
  readonly attempts: number;
  /** Between two of them. */
  readonly pauseMs: number;
}

const isYes = /^(1|on|yes|true)$/i;

const variablesSchema = z.object({
  HF_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    // fetch refuses them, and repeats them as it does.
    .refine(
      (url) => !/^[^/]*\/\/[^/]*@/.test(url),
      'Expected no user or password in it; HF_TOKEN is for that',
    )
    .default('https://huggingface.co'),
  HF_TOKEN: z
    .string()
    .trim()
    // Of a mirror it may look like anything that a header can carry.
    .regex(/^[\x21-\x7e]+$/, 'Expected a token of ASCII characters without spaces')
    .optional(),
  HF_HUB_OFFLINE: z.string().default(''),
  HF_HUB_CACHE: z.string().optional(),
  HUGGINGFACE_HUB_CACHE: z.string().optional(),
  HF_HOME: z.string().optional(),
  XDG_CACHE_HOME: z.string().optional(),
  HF_HUB_DOWNLOAD_TIMEOUT: z.coerce.number().min(1).max(2_000_000).default(30),
});

/**
 * What the variables of Hugging Face's own tools say.
 * https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 * @throws NearvoteError `usage` for one that cannot be meant
 */
export function hubSettings(environment: Readonly<Record<string, string | undefined>>): HubSettings {
  // A variable that is set to nothing is not set.
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
  const parsed = variablesSchema.safeParse(set);
  if (!parsed.success) {
    // Never the value: it may be a token.
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new NearvoteError('usage', `Expected other variables for the hub: ${faults.join('; ')}`);
  }
  const { data } = parsed;
  const home = data.HF_HOME ?? join(data.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  return {
    endpoint: data.HF_ENDPOINT.replace(/\/+$/, ''),
    token: data.HF_TOKEN,
    offline: isYes.test(data.HF_HUB_OFFLINE.trim()),
    cacheDir: data.HF_HUB_CACHE ?? data.HUGGINGFACE_HUB_CACHE ?? join(home, 'hub'),
    timeoutMs: data.HF_HUB_DOWNLOAD_TIMEOUT * 1000,
    attempts: 5,
    pauseMs: 1000,
  };
}

/** A model of the hub. */
export interface ModelName {
  /** OWNER/NAME. */
  readonly repository: string;
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** The hub's own rule: letters, digits, dots, dashes and underscores, and no `--` or `..`, which its cache's names lean on. */
const part = /^(?!.*(--|\.\.))[A-Za-z0-9_][A-Za-z0-9._-]{0,94}(?<![.-])$/;
const revisionRule = /^(?!.*(\.\.|\/\/))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}(?<![./])$/;

/** Whether a text is OWNER/NAME. */
export function isRepositoryName(text: string): boolean {
  const parts = text.split('/');
  return parts.length === 2 && parts.every((one) => part.test(one));
}

/**
 * Reads OWNER/NAME[@REVISION].
 * @throws NearvoteError `usage`
 */
export function parseModelName(text: string): ModelName {
  const at = text.indexOf('@');
  const repository = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? 'main' : text.slice(at + 1);
  const [, name = ''] = repository.split('/');
  if (!isRepositoryName(repository) || !revisionRule.test(revision)) {
    throw new NearvoteError(
      'usage',
      `Expected OWNER/NAME or OWNER/NAME@REVISION, such as onnx-community/dinov2-small, but received ${text}`,
    );
  }
  return { repository, name, revision };
}
