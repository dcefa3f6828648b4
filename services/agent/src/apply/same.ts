// SPDX-License-Identifier: Apache-2.0
/** Whether what is connected is what it should be, and what is done about an entry that is not. */
import type { DesiredWorkload } from '../plan/model.ts';
import type { Maps, WorkloadValue } from './ports.ts';
import type { Wired } from './wiring.ts';

export const sameAddresses = ({ wiring }: DesiredWorkload, value: WorkloadValue): boolean =>
  wiring.ip4 === value.ip4 && wiring.ip6 === value.ip6 && wiring.mac === value.mac && wiring.hostMac === value.hostMac;

export const sameWiring = (desired: DesiredWorkload | undefined, { wiring }: Wired): boolean =>
  desired !== undefined &&
  desired.wiring.netns === wiring.netns &&
  desired.wiring.cgroup === wiring.cgroup &&
  desired.wiring.ip4 === wiring.ip4 &&
  desired.wiring.ip6 === wiring.ip6;

export const sameValue = (a: WorkloadValue, b: WorkloadValue): boolean =>
  JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value: WorkloadValue): unknown[] => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));

/** Puts the entry of `who` back if somebody changed it; says so. `values`: what the kernel has, by interface. */
export const mendValue = async (
  maps: Pick<Maps, 'writeWorkloads'>,
  who: string,
  wired: Wired,
  values: ReadonlyMap<number, WorkloadValue>,
): Promise<string[]> => {
  const value = values.get(wired.ifindex);
  if (value && sameValue(value, wired.value)) return [];
  await maps.writeWorkloads([wired.value]);
  return [`the entry of ${who} in the map 'workloads' was ${value ? 'changed' : 'removed'}`];
};
