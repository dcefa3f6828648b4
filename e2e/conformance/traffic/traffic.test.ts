// SPDX-License-Identifier: Apache-2.0
/**
 * A case of each kind with real workloads and sockets. All of them: `npm run conformance -- --mode traffic
 * e2e/conformance/cases/*.json`, a few minutes.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../../lib/fleet-options.ts';
import type { Mode } from '../mode.ts';
import { readFile } from '../read/file.ts';
import { mismatchText } from '../report.ts';
import { createTally, runSuite } from '../run.ts';
import { createTrafficMode, TRAFFIC_HOSTS } from './mode.ts';

const CHOSEN: Readonly<Record<string, readonly string[]>> = {
  'knp-steps': ['create, update, delete', 'labels of a namespace change', 'a pod goes, another takes its address'],
  'knp-ports': ['every port of SCTP (egress)', 'a name is the port of the pod that is asked (egress)'],
  'knp-peer-ipblock': ['a block holds pods by their address (egress)', 'an IPv6 block with an exception (ingress)'],
  'knp-policies': ['one end allows, the other does not'],
  'cilium-deny': [
    'a denied port inside an allowed range (ingress)',
    'the host reaches its own workloads past a denial',
  ],
  'cilium-icmp': ['both families (ingress)'],
  'cilium-entities': ['entity remote-node (ingress)', 'entity world-ipv6 (ingress)'],
  'cilium-peers': ['namespace and label (ingress)'],
  'cluster-tiers': ['Admin, Normal and Baseline together'],
  'cidr-groups': ['by name'],
  hosts: ['every host: one port from the world', 'a staged document beside an enforced one of a host'],
  views: ['both ends would be asked', 'both ends would be asked, staged'],
  'deny-response': ['a default deny that is answered, in both directions'],
};

describe('conformance with traffic', { skip: needKernel() }, () => {
  let mode: Mode;
  before(async () => {
    mode = await createTrafficMode({ fleet: testFleet('ct', TRAFFIC_HOSTS) });
  });
  after(() => mode?.close());

  for (const [name, chosen] of Object.entries(CHOSEN)) {
    test(`${name}: ${chosen.join('; ')}`, async (t) => {
      const suite = readFile(join(import.meta.dirname, `../cases/${name}.json`));
      const cases = suite.cases.filter((one) => chosen.includes(one.name));
      assert.deepEqual(cases.map((one) => one.name).sort(), [...chosen].sort());
      const tally = createTally();
      const wrong: string[] = [];
      const run = {
        mode,
        tally,
        selection: { skipTags: [] },
        onMismatch: (found: Parameters<typeof mismatchText>[0]) => wrong.push(mismatchText(found)),
      };
      await runSuite(run, { ...suite, cases, invalid: suite.invalid.slice(0, 3) });
      t.diagnostic(
        `${tally.cells} cells, ${[...tally.skipped].map(([why, cells]) => `${cells} skipped: ${why}`).join('; ') || 'none skipped'}`,
      );
      assert.deepEqual(wrong, []);
      assert.ok(tally.cells > 0);
    });
  }
});
