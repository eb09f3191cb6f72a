import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';

import { colours, drawSpeckled } from '../cli/nearvote.js';
import { beginJourney } from './journey.js';

const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env['CHROMIUM'] ?? browsers.find((path) => existsSync(path));

describe('the page to try it', () => {
  it('shows a file picker whose Execute gives a decision', async ({ skip }) => {
    if (executablePath === undefined) {
      skip('no Chromium: /docs is not driven; the variable CHROMIUM names one');
      return;
    }
    const { path, serve } = await beginJourney();
    await drawSpeckled(colours.red, 1).jpeg().toFile(path('red.jpg'));
    await drawSpeckled(colours.blue, 2).jpeg().toFile(path('blue.jpg'));
    const { url } = await serve('--workers', '1');
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await page.goto(`${url}/docs`);

    const operation = page.locator('.opblock', { hasText: 'Classify one image' });
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await operation.locator('tr[data-property-name="image"] input[type=file]').setInputFiles(path('red.jpg'));
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answered = operation.locator('.live-responses-table tbody tr');
    await answered.waitFor();
    expect(await answered.locator('.response-col_status').innerText()).toMatch(/^200/);
    expect(await answered.innerText()).toContain('"label"');

    // Several, each with a picker of its own.
    await page.reload();
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Try it out' }).click();
    const several = operation.locator('tr[data-property-name="images"]');
    for (const file of ['red.jpg', 'blue.jpg']) {
      await several.getByRole('button', { name: 'Add' }).click();
      await several.locator('input[type=file]').last().setInputFiles(path(file));
    }
    await operation.getByRole('button', { name: 'Execute' }).click();
    await answered.waitFor();
    expect(await answered.locator('.response-col_status').innerText()).toMatch(/^200/);
    for (const file of ['red.jpg', 'blue.jpg']) expect(await answered.innerText()).toContain(file);
    expect(faults).toEqual([]);
  });
});
