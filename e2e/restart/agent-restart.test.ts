// SPDX-License-Identifier: Apache-2.0
/**
 * The agent is killed with -9 under load and started again: connections go on, the policy holds throughout, and the
 * new agent adopts the maps and links it finds instead of making new ones.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { createFleet, type Fleet, PATIENT_TIMEOUT_MS, type Workload } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { pinnedIds } from '../lib/pinned.ts';

const POLICY = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: server, namespace: default }
spec:
  podSelector: { matchLabels: { app: server } }
  ingress:
    - from: [ { podSelector: { matchLabels: { app: friend } } } ]
      ports: [ { port: 80 } ]
`;

describe('agent killed and restarted', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let server: Workload;
  let friend: Workload;
  let neighbour: Workload;
  let stranger: Workload;

  before(async () => {
    fleet = await createFleet(testFleet('re', ['h1', 'h2']));
    [server, friend, neighbour, stranger] = await Promise.all([
      fleet.addWorkload({ name: 'server', host: 'h1', labels: { app: 'server' }, tcp: [80], udp: [80] }),
      fleet.addWorkload({ name: 'friend', host: 'h2', labels: { app: 'friend' } }),
      fleet.addWorkload({ name: 'neighbour', host: 'h1', labels: { app: 'friend' } }),
      fleet.addWorkload({ name: 'stranger', host: 'h2', labels: { app: 'stranger' } }),
    ]);
    const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
      raw: { type: 'application/yaml', text: POLICY },
    });
    await fleet.waitRealised(revision);
  });
  after(() => fleet?.destroy());

  const patiently = (from: Workload) =>
    from.probe({ protocol: 'tcp', host: server.ip4, port: 80, timeoutMs: PATIENT_TIMEOUT_MS });

  test('connections of both families survive, forbidden ones never pass, pins are adopted', async () => {
    const agent = fleet.agents.get('h1');
    assert.ok(agent);
    const held = { port: 80, connections: 25, tickMs: 10, stallMs: 1_000 };
    const holds = [
      await friend.hold({ ...held, host: server.ip4 }),
      await neighbour.hold({ ...held, host: server.ip6 }),
    ];
    const pinsBefore = pinnedIds(agent.bpffs);
    assert.match(pinsBefore, /links\/.* link \d+/);
    let forbidden = 0;
    let forbiddenPassed = 0;
    let allowedFailed = 0;
    let probing = true;
    const attacker = (async () => {
      while (probing) {
        const results = await stranger.probes(
          [server.ip4, server.ip6].flatMap((host) => [
            { protocol: 'tcp', host, port: 80, timeoutMs: 200 },
            { protocol: 'udp', host, port: 80, timeoutMs: 200 },
          ]),
        );
        forbidden += results.length;
        forbiddenPassed += results.filter((r) => r.ok).length;
        if (!(await friend.probe({ protocol: 'tcp', host: server.ip6, port: 80, timeoutMs: PATIENT_TIMEOUT_MS })).ok)
          allowedFailed++;
      }
    })();
    for (let round = 0; round < 3; round++) {
      await sleep(400);
      await fleet.agents.get('h1')?.kill();
      await sleep(600);
      await fleet.startAgent('h1');
    }
    await sleep(500);
    probing = false;
    await attacker;
    const reports = await Promise.all(holds.map((hold) => hold.stop()));
    for (const report of reports) {
      assert.equal(report.resets, 0);
      assert.equal(report.stalls, 0);
      assert.ok(report.answered > 25 * 100, `only ${report.answered} answers`);
    }
    assert.ok(forbidden >= 20);
    assert.equal(forbiddenPassed, 0);
    assert.equal(allowedFailed, 0);
    assert.equal(pinnedIds(agent.bpffs), pinsBefore);
  });

  test('a policy changed while the agent was dead is realised when it returns', async () => {
    await fleet.agents.get('h1')?.kill();
    const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
      raw: { type: 'application/yaml', text: POLICY.replace('app: friend', 'app: stranger') },
    });
    assert.equal((await patiently(friend)).ok, true);
    await fleet.startAgent('h1');
    await fleet.waitRealised(revision);
    assert.equal((await friend.probe({ protocol: 'tcp', host: server.ip4, port: 80 })).ok, false);
    assert.equal((await patiently(stranger)).ok, true);
  });

  test('a policy that now denies an established connection cuts it within two seconds', async () => {
    const hold = await stranger.hold({ host: server.ip4, port: 80, connections: 5, tickMs: 20, stallMs: 60_000 });
    await sleep(200);
    const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
      raw: { type: 'application/yaml', text: POLICY },
    });
    await fleet.waitRealised(revision);
    const cut = await hold.report();
    await sleep(1_000);
    const later = await hold.stop();
    assert.ok(later.answered - cut.answered <= 5, `${later.answered - cut.answered} answers after the cut`);
  });
});
