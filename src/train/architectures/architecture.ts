import { NearvoteError } from '../../domain/errors.js';
import { compact } from './compact.js';
import type { Architecture } from './layers.js';
import { resnet } from './resnet.js';

/** As a config has it. */
export type ArchitectureOptions =
  | { readonly name: 'compact'; readonly widths?: readonly number[] | undefined }
  | { readonly name: 'resnet20' | 'resnet18' | 'resnet34'; readonly width?: number | undefined };

/**
 * An architecture by its name: `compact` (widths 64, 256, 256 unless told), `resnet20` (width 16), `resnet18` and
 * `resnet34` (width 64).
 * @throws NearvoteError `usage` for a width that is not a positive integer
 */
export function architectureOf(options: ArchitectureOptions): Architecture {
  const widths =
    options.name === 'compact' ? options.widths : options.width === undefined ? [] : [options.width];
  for (const width of widths ?? []) {
    if (Number.isInteger(width) && width > 0) continue;
    throw new NearvoteError('usage', `Expected positive integers as widths but received ${width}`);
  }
  switch (options.name) {
    case 'compact':
      return compact(options.widths);
    case 'resnet20':
      return resnet({ name: options.name, width: options.width ?? 16, depths: [3, 3, 3] });
    case 'resnet18':
      return resnet({ name: options.name, width: options.width ?? 64, depths: [2, 2, 2, 2] });
    case 'resnet34':
      return resnet({ name: options.name, width: options.width ?? 64, depths: [3, 4, 6, 3] });
  }
}
