// SPDX-License-Identifier: Apache-2.0
/** What an agent has beside its planner for the host's own policy: who confirms changes, and where the bus is. */
import { join } from 'node:path';
import type { Bus } from '@weir/bus';
import { logger } from '@weir/telemetry';
import type { AgentConfig } from '../config.ts';
import { ControlAddresses } from './control.ts';
import { HostFirewallGuard } from './guard.ts';
import { machineTime, proveBus } from './prove.ts';

export interface HostFirewallContext {
  readonly config: AgentConfig;
  readonly bus: () => Pick<Bus, 'nc'> | undefined;
  /** Something else is to be in force. */
  readonly again: () => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export const startHostFirewall = async ({ config, bus, again, onTrouble }: HostFirewallContext) => {
  const log = logger('host-firewall');
  const guard = await HostFirewallGuard.open({
    path: join(config.stateDir, 'host-firewall.json'),
    confirm: config.hostConfirm,
    confirmMs: config.hostConfirmS * 1000,
    now: machineTime,
    prove: proveBus(config.natsUrl, bus),
    onChange: again,
    onEvent: (event) => log[event.act === 'undone' || event.act === 'opened' ? 'warn' : 'info'](event, event.act),
    onTrouble,
  });
  return { guard, control: new ControlAddresses(config.natsUrl, again) };
};
