// SPDX-License-Identifier: Apache-2.0
/** Rows about the way of events between agents and tables, on one pipeline (no hosts, no root). */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPipeline, type Pipeline } from '@weir/infra/pipeline';
import { Accounts } from './pipeline/accounts.ts';
import { closeBuses } from './pipeline/bus.ts';
import { F11_HOSTS, natsDown } from './pipeline/f11-nats-down.ts';
import { F12_HOSTS, spoolOverflow } from './pipeline/f12-spool-overflow.ts';
import { beyondWindow, F13_HOST } from './pipeline/f13-window.ts';
import { F17_HOSTS, poison } from './pipeline/f17-poison.ts';
import { duplicates, F18_HOSTS } from './pipeline/f18-shuffled.ts';
import { F19_HOST, killedBeforeAck } from './pipeline/f19-commit-ack.ts';
import { F21_HOST, oldConfiguration } from './pipeline/f21-old-configuration.ts';
import { F23_HOST, postgresDown } from './pipeline/f23-postgres-down.ts';

describe('pipeline', () => {
  let pipeline: Pipeline;
  let accounts: Accounts;
  before(async () => {
    pipeline = await createPipeline({
      dir: join(tmpdir(), `weir-e2e-pipe${process.pid}`),
      hosts: [...F11_HOSTS, ...F12_HOSTS, F13_HOST, ...F17_HOSTS, ...F18_HOSTS, F19_HOST, F21_HOST, F23_HOST],
    });
    accounts = new Accounts(pipeline.control);
  });
  after(async () => {
    await closeBuses();
    await accounts?.close();
    await pipeline?.destroy();
  });

  it('F11 NATS is killed under load', (t) => natsDown(t, pipeline, accounts));
  it('F12 NATS is away for longer than the spool lasts', (t) => spoolOverflow(t, pipeline, accounts));
  it('F13 an outage longer than the window of message ids', (t) => beyondWindow(t, pipeline, accounts));
  it('F17 a message that can never be stored', (t) => poison(t, pipeline, accounts));
  it('F18 the stream three times in any order', (t) => duplicates(t, pipeline, accounts));
  it('F19 the store is killed between commit and acknowledgement', (t) => killedBeforeAck(t, pipeline, accounts));
  it('F21 configuration of before comes again', (t) => oldConfiguration(t, pipeline));
  it('F23 Postgres crashes under load', (t) => postgresDown(t, pipeline, accounts));
});
