// SPDX-License-Identifier: Apache-2.0
/**
 * Named points between the writes. Tests make the agent die, fail or wait there; otherwise they do nothing.
 * WEIR_AGENT_FAILPOINT=<name>[:<n>] ends the process by SIGKILL at the n-th passage (1 unless told).
 */
export const FAILPOINTS = [
  'wire.created',
  'wire.closed-entry',
  'wire.attached',
  'wire.configured',
  'unwire.closed',
  'unwire.link-removed',
  'unwire.connections-removed',
  'apply.closed',
  'apply.begun',
  'apply.prepared',
  'apply.cidrs-written',
  'apply.swapped',
  'apply.ipcache-written',
  'apply.addresses-written',
  'apply.cidrs-removed',
  'apply.ipcache-removed',
  'apply.committed',
  'apply.routes-written',
  'apply.uplinks-written',
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];
export type ReachFailpoint = (name: Failpoint) => void | Promise<void>;

export const noFailpoint: ReachFailpoint = () => {};

export const killingFailpoint = (setting: string): ReachFailpoint => {
  const [name, times = '1'] = setting.split(':');
  let left = Number(times);
  return (reached) => {
    if (reached !== name || --left > 0) return;
    process.kill(process.pid, 'SIGKILL');
  };
};
