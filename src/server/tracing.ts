import { messageOf, NearvoteError } from '../domain/errors.js';
import type { Tracing, TracingOptions } from './request-trace.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Tracing as the environment asks for it, by the variables of OpenTelemetry's specification: none where it asks for none,
 * and then nothing of OpenTelemetry is loaded.
 * @throws NearvoteError `usage` for what cannot be done, `dependency_missing` saying what to install
 */
export async function openTracing(
  options: TracingOptions,
  env: Environment = process.env,
): Promise<Tracing | undefined> {
  if (!isWanted(env)) return undefined;
  const { startTracing } = await import('./open-telemetry.js').catch((cause: unknown) => {
    throw new NearvoteError(
      'dependency_missing',
      `Expected OpenTelemetry, which ${askedBy(env)} asks for, but it is not installed: npm install ${packages.join(' ')} (${messageOf(cause)})`,
      { cause },
    );
  });
  return startTracing(options);
}

const packages = [
  '@opentelemetry/api',
  '@opentelemetry/core',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/exporter-trace-otlp-http',
];
const endpoints = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
const protocols = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'];

/** An empty variable is as one that is not set. */
const valueOf = (env: Environment, name: string): string | undefined => env[name]?.trim() || undefined;

function isWanted(env: Environment): boolean {
  const exporter = valueOf(env, 'OTEL_TRACES_EXPORTER');
  if (valueOf(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporter === 'none') return false;
  if (exporter !== undefined && exporter !== 'otlp') {
    throw new NearvoteError(
      'usage',
      `Expected OTEL_TRACES_EXPORTER to be otlp or none but received ${exporter}`,
    );
  }
  const set = endpoints.filter((name) => valueOf(env, name) !== undefined);
  if (exporter === undefined && set.length === 0) return false;
  for (const name of set) {
    if (/^https?:$/.test(protocolOf(valueOf(env, name)))) continue;
    throw new NearvoteError(
      'usage',
      `Expected ${name} to be an address as http://collector.example:4318 but it is none`,
    );
  }
  for (const name of protocols) {
    const protocol = valueOf(env, name) ?? 'http/json';
    if (protocol === 'http/json') continue;
    throw new NearvoteError(
      'usage',
      `Expected ${name} to be http/json, which collectors take on port 4318, but received ${protocol}`,
    );
  }
  return true;
}

const askedBy = (env: Environment): string =>
  [...endpoints, 'OTEL_TRACES_EXPORTER'].find((name) => valueOf(env, name) !== undefined) ?? '';

function protocolOf(address = ''): string {
  return URL.canParse(address) ? new URL(address).protocol : '';
}
