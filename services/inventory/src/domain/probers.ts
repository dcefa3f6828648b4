// SPDX-License-Identifier: Apache-2.0
/**
 * Who asks a backend whether it serves: the host that has it. One that is outside the fleet, or whose host is silent, is asked by
 * another one, chosen by hash among those alive. Who was chosen stays until he can't, so hosts that come move nothing. Pure.
 */

/** Feature of a heartbeat: this agent asks backends. */
export const ABLE = 'health-checks';

export interface Crew {
  readonly alive: readonly string[];
  readonly isAlive: ReadonlySet<string>;
  /** Who asks already may go on. */
  readonly mayStay: ReadonlySet<string>;
}

/** FNV-1a. */
export const hashOf = (text: string): number => {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return hash >>> 0;
};

/** Empty: nobody can. */
export const wantedProber = (
  { host_id, prober }: { readonly host_id: string | null; readonly prober: string | null },
  hash: number,
  { alive, isAlive, mayStay }: Crew,
): string => {
  if (host_id !== null && isAlive.has(host_id)) return host_id;
  if (prober && mayStay.has(prober)) return prober;
  return alive[hash % Math.max(1, alive.length)] ?? '';
};
