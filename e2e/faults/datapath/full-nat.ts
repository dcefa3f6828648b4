// SPDX-License-Identifier: Apache-2.0
/** More masqueraded connections than a host has room for: who is in use keeps his, and what was given up is counted. */
import { PATIENT_TIMEOUT_MS, until } from '@weir/infra/fleet';
import { agentMetric, agentStatus } from '../../lib/agent-api.ts';
import { setNetwork } from '../../lib/routing.ts';
import { size } from '../../lib/size.ts';
import type { Scene } from './scene.ts';

export const MAX_NAT = size({ short: 2_048, long: 8_192 });
const FLOWS_PER_TICK = size({ short: 8, long: 16 });
const HELD = 20;
const PATIENT_MS = 60_000;

export interface FullNat {
  /** The most that was seen. */
  readonly pressure: number;
  readonly evicted: number;
  /** New connections were made while it was full, and those in use stayed. */
  readonly worked: boolean;
  readonly resets: number;
  readonly unanswered: number;
}

/** Of an agent that has room for MAX_NAT. Leaves the network as it is by default. */
export const fillNat = async ({ fleet, agent, neighbour }: Scene, pressureWanted: number): Promise<FullNat> => {
  const outside = { name: 'full', ip4: '198.51.100.8', ip6: '2001:db8:51::8', tcp: [80], udp: [80] };
  const external = await fleet.addExternal(outside);
  await setNetwork(fleet, { masquerade: { ipv4: true, ipv6: true } });
  const evictions = async (): Promise<number> => (await agentStatus(agent)).counters.nat_evicted ?? 0;
  const [before, to] = [await evictions(), { host: outside.ip4, port: 80 }];
  const held = await neighbour.hold({ ...to, connections: HELD, tickMs: 20, stallMs: PATIENT_MS });
  const flood = await neighbour.open({
    ...{ ...to, protocol: 'udp', tickMs: 4, count: FLOWS_PER_TICK, timeoutMs: PATIENT_TIMEOUT_MS },
  });
  let pressure = 0;
  await until('mappings to be evicted', PATIENT_MS, async () => {
    pressure = Math.max(pressure, await agentMetric(agent, 'weir_agent_map_pressure_ratio', { map: 'nat' }));
    return pressure >= pressureWanted && (await evictions()) > before;
  });
  const fresh = await neighbour.probe({ ...to, protocol: 'tcp', timeoutMs: PATIENT_TIMEOUT_MS });
  const load = await flood.stop({ drainMs: PATIENT_TIMEOUT_MS });
  const kept = await held.stop();
  const evicted = (await evictions()) - before;
  await setNetwork(fleet, {});
  await fleet.removeExternal(external);
  const worked = fresh.ok && kept.connected === HELD;
  return { pressure, evicted, worked, resets: kept.resets, unanswered: load.refused + load.lost };
};
