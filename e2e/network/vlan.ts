// SPDX-License-Identifier: Apache-2.0
/** Tagged frames at the uplinks: without a list all pass, with one only its ids, and the others are dropped by name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { until } from '@weir/infra/fleet';
import { inNetns, netnsPath } from '@weir/infra/netns';
import { agentMetric } from '../lib/agent-api.ts';
import { type Scene, setNetwork } from './scene.ts';

const TABLE = 'weir_vlans';
const IDS = [5, 7] as const;
const FRAMES = 10;
/** IEEE 802: for experiments. */
const ETHERTYPE = 0x88b5;

const tagged = (id: number): Buffer => {
  const frame = Buffer.alloc(64, 0);
  frame.fill(0xff, 0, 6);
  Buffer.from('020000000077', 'hex').copy(frame, 6);
  frame.writeUInt16BE(0x8100, 12);
  frame.writeUInt16BE(id, 14);
  frame.writeUInt16BE(ETHERTYPE, 16);
  return frame;
};

export const vlans = async (scene: Scene, network: object): Promise<void> => {
  const { fleet } = scene;
  const { bridgeNetns } = fleet.underlay;
  const rules = IDS.map((id) => `vlan id ${id} counter\n`).join('');
  execFileSync('nsenter', [`--net=${netnsPath(bridgeNetns)}`, '--', 'nft', '-f', '-'], {
    input: `table netdev ${TABLE} {\nchain left {\ntype filter hook ingress device "h1" priority -300; policy accept;\n${rules}}\n}\n`,
  });
  /** Frames of each id that have left h1 until now. */
  const left = (): number[] => {
    const text = inNetns(bridgeNetns, 'nft', 'list', 'table', 'netdev', TABLE);
    return IDS.map((id) => Number(new RegExp(`vlan id ${id} counter packets (\\d+)`).exec(text)?.[1]));
  };
  const [h1, h2] = ['h1', 'h2'].map((name) => fleet.agents.get(name));
  assert.ok(h1 && h2);
  const dropped = (agent: typeof h1, direction: string) =>
    agentMetric(agent, 'weir_datapath_dropped_packets_total', { reason: 'vlan_filtered', direction });
  const station = await fleet.hostStation('h1');
  /** Of each id so many frames are sent, in this order; only those of `ids` leave h1. */
  const leaving = async (when: string, ...ids: readonly number[]): Promise<void> => {
    const before = left();
    for (const id of IDS) for (let i = 0; i < FRAMES; i++) await station.frame('uplink0', tagged(id));
    const fresh = () => left().map((count, i) => count - (before[i] ?? 0));
    const wanted = IDS.map((id) => (ids.includes(id) ? FRAMES : 0));
    await until(
      `${when}: frames of VLANs ${ids} to leave, no others`,
      60_000,
      async () => fresh().join() === wanted.join(),
      () => fresh().join(),
    );
  };
  await leaving('without a list', 5, 7);
  await setNetwork(scene, { ...network, vlan_bypass: [7] });
  const before = await dropped(h1, 'egress');
  await leaving('with a list', 7);
  await until('h1 to count them', 60_000, async () => (await dropped(h1, 'egress')) === before + FRAMES);
  // From somewhere else: h2 judges what comes in too.
  const router = scene.outside;
  const entered = await dropped(h2, 'ingress');
  for (let i = 0; i < FRAMES; i++) await router.frame('uplink0', tagged(5));
  await until('h2 to count them', 60_000, async () => (await dropped(h2, 'ingress')) >= entered + FRAMES);
  await setNetwork(scene, { ...network, vlan_bypass: [0] });
  await leaving('every VLAN', 5, 7);
  await setNetwork(scene, network);
  await leaving('without a list again', 5, 7);
};
