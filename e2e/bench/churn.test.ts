// SPDX-License-Identifier: Apache-2.0
/** The churn in small: 10 simulated agents, 150 workloads, 30 policies, changed without a pause for a few seconds. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runChurn, SIZES } from './churn.ts';

interface Status {
  readonly errors: readonly unknown[];
}

/** More than the changes under way and what was just published; a publisher that falls behind has thousands. */
const OUTBOX_MAX = 100;

it('churn: every change is realised on every host, no host refuses one, and the outboxes are empty in the end', async () => {
  const { labels, policies, samples } = await runChurn(
    SIZES.smoke,
    () => {},
    async ({ agents }) => {
      for (const agent of agents.values()) {
        const { errors } = await agent.ask<Status>('/status');
        assert.deepEqual(errors, [], `${agent.host} has errors`);
      }
    },
  );
  assert.ok(labels.length > 0 && policies.length > 0, 'no change was made');
  for (const { values } of samples) {
    for (const outbox of ['inventory outbox rows', 'policy outbox rows']) {
      assert.ok((values[outbox] ?? Number.NaN) <= OUTBOX_MAX, `${outbox}: ${values[outbox]}`);
    }
  }
  const last = samples.at(-1)?.values ?? {};
  assert.deepEqual([last['inventory outbox rows'], last['policy outbox rows']], [0, 0]);
});
