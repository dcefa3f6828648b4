// SPDX-License-Identifier: Apache-2.0
/**
 * TCP that goes on from inside a workload of the compose fleet, until it is stopped: connections that stay, with a
 * message and its echo on every tick, and a new connection on every tick.
 *
 *   docker-compose -f infra/compose.yaml exec shop node infra/compose/traffic.ts start api db 5432 [6]
 *   docker-compose -f infra/compose.yaml exec shop node infra/compose/traffic.ts stop api      what sockets saw, as JSON
 */
import type { DriveReport } from '../src/traffic.ts';
import { addressOf, stationOf } from './conversation.ts';

const HELD = { name: 'held', kind: 'hold', count: 10, tick_us: 20_000, bytes: 64 } as const;
const OPENED = { name: 'opened', kind: 'open', count: 1, tick_us: 50_000, bytes: 64 } as const;
const STALL_MS = 1_000;
/** A new connection without an answer for so long has failed. */
const TIMEOUT_MS = 3_000;

const [verb, from, to, port, family = '4'] = process.argv.slice(2);
if (verb === 'start' && from && to && Number(port) > 0) {
  const host = await addressOf(to, family === '6' ? 6 : 4);
  const control = stationOf(from);
  for (const drive of [HELD, OPENED]) {
    await control.ask('start', { ...drive, proto: 'tcp', host, port, stall: STALL_MS, timeout: TIMEOUT_MS });
  }
} else if (verb === 'stop' && from) {
  const control = stationOf(from);
  const [held, opened] = await Promise.all(
    [HELD, OPENED].map(({ name }) => control.ask<DriveReport>('stop', { name, drain: TIMEOUT_MS })),
  );
  process.stdout.write(`${JSON.stringify({ held, opened })}\n`);
} else {
  process.stderr.write('usage: traffic.ts start FROM TO PORT [4|6] | stop FROM\n');
  process.exit(2);
}
process.exit(0);
