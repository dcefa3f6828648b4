// SPDX-License-Identifier: Apache-2.0
/** Rows about the way of events and configuration between agents and tables, on one pipeline. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPipeline, type Pipeline } from '@weir/infra/pipeline';
import { Accounts } from './pipeline/accounts.ts';
import { F12_HOSTS, spoolOverflow } from './pipeline/f12-spool-overflow.ts';

describe('pipeline', () => {
  let pipeline: Pipeline;
  let accounts: Accounts;
  before(async () => {
    pipeline = await createPipeline({
      dir: join(tmpdir(), `weir-e2e-pipe${process.pid}`),
      hosts: [...F12_HOSTS],
    });
    accounts = new Accounts(pipeline.control);
  });
  after(async () => {
    await accounts?.close();
    await pipeline?.destroy();
  });

  it('F12 NATS is away for longer than the spool lasts', (t) => spoolOverflow(t, pipeline, accounts));
});
