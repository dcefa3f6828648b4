// SPDX-License-Identifier: Apache-2.0
/** A fleet of one family: its workloads get no other address, and all else is as with both. */
import assert from 'node:assert/strict';
import { inNetns } from '@weir/infra/netns';
import { conversationsOf, converse } from './conversations.ts';
import { closedPorts } from './errors.ts';
import { type Family, peopleOn, type Scene, setNetwork } from './scene.ts';

const WORDS = { ip4: 'ipv4', ip6: 'ipv6' } as const;

/** `scene` without its workloads, which must be gone; resolves with those made now. */
export const oneFamily = async (scene: Scene, family: Family, network: object): Promise<Scene> => {
  await setNetwork(scene, { ...network, families: WORDS[family] });
  const [web, evil, db, shop, thief] = await peopleOn(scene.fleet);
  assert.ok(web && evil && db && shop && thief);
  const other = family === 'ip4' ? 'ip6' : 'ip4';
  for (const workload of [web, evil, db, shop, thief]) {
    assert.ok(workload[family], `${workload.id} has an ${family}`);
    assert.equal(workload[other], '', `${workload.id} has no ${other}`);
    const globals = inNetns(workload.netns, 'ip', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global');
    assert.match(globals, family === 'ip4' ? / inet / : / inet6 /);
    assert.doesNotMatch(globals, family === 'ip4' ? / inet6 / : / inet /);
  }
  const single: Scene = { ...scene, web, evil, db, shop, thief };
  await converse(scene, conversationsOf(single), [family]);
  await closedPorts(web, db, [family]);
  return single;
};

export const removePeople = async ({ fleet }: Pick<Scene, 'fleet'>): Promise<void> => {
  await Promise.all([...fleet.workloads.keys()].map((id) => fleet.removeWorkload(id)));
};
