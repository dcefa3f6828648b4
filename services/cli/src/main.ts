#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/** The `weir` command. */
import { text } from 'node:stream/consumers';
import { run } from './index.ts';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
// A reader such as `head` that has seen enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  colours: process.stdout.isTTY && process.stdout.hasColors() && process.env.NO_COLOR === undefined,
  ...(process.stdout.columns === undefined ? {} : { columns: process.stdout.columns }),
  signal: stop.signal,
  readStdin: () => text(process.stdin),
});
