import sharp from 'sharp';

// The one place that imports sharp: these settings belong to the whole process, and changing one of them makes decodes
// that are under way fail, so they are made once, when this module is loaded, and never again.

// Every image is new and small work: a cache only holds memory, and threads come from having many images at once.
sharp.cache(false);
sharp.concurrency(1);

/** The only loaders left open in this process: SVG, raw formats and files by name stay shut even if a check fails. */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff'].map(
  (name) => `VipsForeignLoad${name}Buffer`,
);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: loaders });

export { sharp };
export type { Sharp, SharpInput, SharpOptions } from 'sharp';
