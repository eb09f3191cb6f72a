import { configDefaults, defineConfig } from 'vitest/config';

/** They start and end processes, count what is open, measure or limit memory and files: each has a process of its own. */
const apart = [
  'test/{attacks,cli,journeys,processes}/**/*.test.ts',
  'test/build/build-command.test.ts',
  'test/encoder/{pool/*,tensorflow,tfjs-runtime}.test.ts',
  'test/image/{decode,geometry}.test.ts',
  'test/pair.test.ts',
  'test/neighbours/{embeddings-file,index-owner}.test.ts',
  'test/server/{append-file,images,security,server}.test.ts',
];

/** Of the long suites too. Real servers, encoders and child processes: two cores shared by every file. */
export const settings = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  maxWorkers: 2,
  pool: 'forks',
} as const;

export default defineConfig({
  test: {
    ...settings,
    // These damage, kill and reload again and again: `npm run test:long`.
    exclude: [...configDefaults.exclude, 'test/**/*.long.test.ts'],
    projects: [
      { extends: true, test: { name: 'apart', include: apart } },
      // Starting a process and loading what it tests takes most files longer than their tests.
      {
        extends: true,
        test: { name: 'together', include: ['test/**/*.test.ts'], exclude: apart, isolate: false },
      },
    ],
  },
});
