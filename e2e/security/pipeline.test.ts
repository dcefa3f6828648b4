// SPDX-License-Identifier: Apache-2.0
/** Rows about what comes in from hosts and users, on one pipeline (no hosts, no root). */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPipeline, type Pipeline } from '@weir/infra/pipeline';
import { Accounts } from '../faults/pipeline/accounts.ts';
import { closeBuses } from '../faults/pipeline/bus.ts';
import { forgedTelemetry, S06_HOSTS } from './pipeline/s06-telemetry.ts';
import { parserBombs } from './pipeline/s12-bombs.ts';
import { emptySelectors } from './pipeline/s19-selectors.ts';
import { hijack, S20_HOST } from './pipeline/s20-hijack.ts';
import { hardening } from './pipeline/s24-hardening.ts';

describe('what comes in', () => {
  let pipeline: Pipeline;
  let accounts: Accounts;
  before(async () => {
    pipeline = await createPipeline({
      dir: join(tmpdir(), `weir-e2e-sec${process.pid}`),
      hosts: [...S06_HOSTS, S20_HOST],
    });
    accounts = new Accounts(pipeline.control);
  });
  after(async () => {
    await closeBuses();
    await accounts?.close();
    await pipeline?.destroy();
  });

  it('S06 a host sends forged telemetry', (t) => forgedTelemetry(t, pipeline, accounts));
  it('S12 texts made to be expensive', (t) => parserBombs(t, pipeline));
  it('S19 selectors that find nobody', (t) => emptySelectors(t, pipeline));
  it('S24 the broker and the database as shipped', (t) => hardening(t, pipeline));
  // Last: hosts listen to an epoch then that is not inventory's.
  it('S20 a service or redirect on somebody else’s address', (t) => hijack(t, pipeline));
});
