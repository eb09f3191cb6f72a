import { configDefaults, defineConfig } from 'vitest/config';
import short from './vitest.config.js';

export default defineConfig({
  test: { ...short.test, include: ['test/**/*.long.test.ts'], exclude: configDefaults.exclude },
});
