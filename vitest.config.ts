import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // These damage, kill and reload again and again: `npm run test:long`.
    exclude: [...configDefaults.exclude, 'test/**/*.long.test.ts'],
    // Real servers, encoders and child processes: two cores shared by every file.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    pool: 'forks',
  },
});
