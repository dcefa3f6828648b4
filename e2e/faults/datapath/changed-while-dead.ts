// SPDX-License-Identifier: Apache-2.0
/** What the policy says changes while the agent is dead, and under connections that it now denies. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENT_TIMEOUT_MS, type Workload } from '@weir/infra/fleet';
import { applyPolicy, POLICY, type Scene } from './scene.ts';

const FOR_STRANGERS = POLICY.replace('app: friend', 'app: stranger');
const REFUSED_MS = 1_000;
const PATIENT_MS = 60_000;
const CONNECTIONS = 5;

const asks = async (from: Workload, { server }: Scene, timeoutMs: number): Promise<boolean> =>
  (await from.probe({ protocol: 'tcp', host: server.ip4, port: 80, timeoutMs })).ok;

/** Who was allowed is refused by an agent that returns, and the other way round; then the policy is as it was. */
export const changedWhileDead = async (scene: Scene): Promise<void> => {
  const { agent, fleet, friend, server, stranger } = scene;
  await agent.kill();
  const revision = await applyPolicy(scene, FOR_STRANGERS);
  assert.equal(await asks(friend, scene, PATIENT_TIMEOUT_MS), true, 'while nobody is there to change it');
  await agent.start();
  await fleet.waitRealised(revision, PATIENT_MS);
  assert.equal(await asks(friend, scene, REFUSED_MS), false);
  assert.equal(await asks(stranger, scene, PATIENT_TIMEOUT_MS), true);

  const hold = await stranger.hold({
    ...{ host: server.ip4, port: 80, connections: CONNECTIONS, tickMs: 20, stallMs: PATIENT_MS },
  });
  await sleep(200);
  await fleet.waitRealised(await applyPolicy(scene, POLICY), PATIENT_MS);
  const cut = await hold.report();
  assert.ok(cut.answered > 0);
  await sleep(REFUSED_MS);
  const later = await hold.stop();
  // what was on its way
  assert.ok(later.answered - cut.answered <= CONNECTIONS, `${later.answered - cut.answered} answers after the cut`);
  assert.equal(await asks(friend, scene, PATIENT_TIMEOUT_MS), true);
};
