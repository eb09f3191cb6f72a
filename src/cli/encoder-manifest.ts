import { InvalidArgumentError, type Option } from 'commander';
import { type EncoderManifest, encoderManifestSchema, type EncoderSource } from '../encoder/manifest.js';
import { describeGeometry } from '../image/geometry.js';
import { print } from './printable.js';

/** Prints what an encoder is, as lines or as its manifest. */
export function printManifest(manifest: EncoderManifest, json = false): void {
  if (json) return print(JSON.stringify(manifest));
  const { name, version, format, file, sha256, input, output, metrics, licence } = manifest;
  const { trainedOn, trainedImages, source, proof } = manifest;
  const lines = {
    encoder: `${name} ${version}`,
    licence: licence === 'unknown' ? 'not said' : licence,
    file: `${file} (${format}), sha256 ${sha256}`,
    input: `${input.name}: ${input.width} x ${input.height}, ${describeGeometry(input.geometry)}`,
    output: `${output.name}: ${output.dimension} values, unit length`,
    ...(source && sourceLine(source)),
    ...(proof && { proof: `${proof.images} images, cosine at least ${proof.minCosine}` }),
    'trained on':
      (trainedOn.length === 0 ? 'not said' : trainedOn.join(', ')) +
      (trainedImages === undefined ? '' : `; ${trainedImages.count} images it knows again`),
    ...Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, String(value)])),
  };
  const width = Math.max(...Object.keys(lines).map((key) => key.length));
  for (const [key, value] of Object.entries(lines)) print(`${key.padEnd(width)}  ${value}`);
}

function sourceLine(source: EncoderSource): Record<string, string> {
  if ('parent' in source) return { 'quantised from': `${source.parent.name} ${source.parent.version}` };
  const { repository, commit, file } = source.hub;
  return { 'taken from': `${repository}, ${file} of ${commit}` };
}

/** NEARVOTE_ENCODER_TRAINED_ON for --trained-on, and so on. */
export function variableOf(option: Option): string {
  return `NEARVOTE_ENCODER_${option.name().replace('encoder-', '').replaceAll('-', '_').toUpperCase()}`;
}

/** Parses an encoder's name, for commander. */
export function parseName(text: string): string {
  if (!encoderManifestSchema.shape.name.safeParse(text).success) {
    throw new InvalidArgumentError('Expected letters, digits, dots, dashes and underscores.');
  }
  return text;
}
