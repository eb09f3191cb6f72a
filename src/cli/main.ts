#!/usr/bin/env node
// First of all: threads and children take the environment from here.
import '../onnx/no-telemetry.js';
import { printError } from './printable.js';
import { runProgram } from './program.js';

/** What is said beside the result must never stop the work: nobody may read it, and its disk may be full. */
process.stderr.on('error', () => undefined);

/** A reader that has read enough, such as head, is no failure, nor is a terminal that was closed. */
const readerIsGone: ReadonlySet<string | undefined> = new Set(['EPIPE', 'EIO']);
let saidUnwritten = false;
process.stdout.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
  // A server's result is its answers: its two lines are a remark.
  if (readerIsGone.has(code) || process.argv[2] === 'serve') return;
  process.exitCode = 1;
  if (saidUnwritten) return;
  saidUnwritten = true;
  printError(`nearvote: Expected to write the result on stdout but cannot (${code}) [output_unwritable]`);
});
const code = await runProgram(process.argv);
// Output that could not be written has failed already.
process.exitCode ||= code;
