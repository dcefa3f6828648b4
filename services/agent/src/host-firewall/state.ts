// SPDX-License-Identifier: Apache-2.0
/**
 * What a host must remember of its own policy's changes, over restarts and without the bus: what was confirmed last, what waits
 * for it and until when, what was undone and why. One file, replaced whole, on the disk before the kernel is told.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type HostPolicyBundle, NO_HOST_POLICY } from '../plan/host-policy.ts';

/** Of a clock that no step and no restart of the agent changes: a boot of the machine and its milliseconds. */
export interface MachineTime {
  readonly boot: string;
  readonly ms: number;
}

export type HostFirewallAct = 'applied' | 'confirmed' | 'undone' | 'opened' | 'closed';

export interface HostFirewallEvent {
  /** From 1 on, without gaps. */
  readonly sequence: number;
  readonly timeMs: number;
  readonly act: HostFirewallAct;
  readonly by: 'agent' | 'operator';
  readonly why: string;
  /** Documents that it was about: key@revision. */
  readonly documents: readonly string[];
}

export interface HostFirewallState {
  readonly version: 1;
  readonly good: HostPolicyBundle;
  readonly pending: { readonly bundle: HostPolicyBundle; readonly until: MachineTime } | null;
  readonly refused: { readonly digest: string; readonly why: string; readonly timeMs: number } | null;
  /** The host has no policy until then, because somebody on it said so. */
  readonly open: { readonly until: MachineTime; readonly why: string } | null;
  readonly history: readonly HostFirewallEvent[];
}

export type HostFirewallName = 'none' | 'confirmed' | 'pending' | 'undone' | 'open';

/** What the fleet learns of it. */
export interface ToldHostFirewall {
  readonly state: HostFirewallName;
  readonly confirmedBy: 'bus' | 'operator';
  /** subject@revision. */
  readonly documents: readonly string[];
  readonly lastGood: readonly string[];
  /** Unix milliseconds; 0: nothing ends. */
  readonly untilMs: number;
  readonly why: string;
  /** Empty: as they were told last. */
  readonly events: readonly HostFirewallEvent[];
}

export const EMPTY: HostFirewallState = {
  version: 1,
  good: NO_HOST_POLICY,
  pending: null,
  refused: null,
  open: null,
  history: [],
};

export const readState = async (
  path: string,
  onTrouble: (what: string, cause: unknown) => void,
): Promise<HostFirewallState> => {
  try {
    const read = JSON.parse(await readFile(path, 'utf8')) as Partial<HostFirewallState>;
    if (read.version === 1) return { ...EMPTY, ...read };
    onTrouble(`${path} is of version ${read.version}; it is begun anew`, undefined);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
      onTrouble(`${path} could not be read; it is begun anew`, cause);
  }
  return EMPTY;
};

/** On the disk, not only on its way there: a machine that loses power comes back to what it was told. */
export const writeState = async (path: string, state: HostFirewallState): Promise<void> => {
  const next = `${path}.new`;
  const file = await open(next, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(state));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};
