// SPDX-License-Identifier: Apache-2.0
/** `/services`: what the kernel holds of load balancing, with the names that documents give it. */
import { weir_service_flags } from '@weir/bpf';
import { protocolName } from '@weir/net';
import type { HeldServices } from '../apply/services.ts';
import type { PlannedFrontend } from '../plan/service-view.ts';

const flagNames = (flags: number): string[] =>
  Object.entries(weir_service_flags)
    .filter(([, bit]) => flags & bit)
    .map(([name]) => name.replace('SERVICE_', '').toLowerCase());

export const endpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

const item = (held: HeldServices, { key, value }: PlannedFrontend, nameOf: (service: number) => string | undefined) => {
  const at = (number: number): string => {
    const backend = held.backends.get(number);
    return backend ? endpoint(backend.address, backend.port) : `backend ${number}, which is not known`;
  };
  const slots = held.slots.get(value.table) ?? [];
  const { active, terminating } = value;
  return {
    // The rest of an address has neither.
    service: value.service === 0 ? null : (nameOf(value.service) ?? String(value.service)),
    address: key.address,
    port: key.port,
    protocol: key.protocol === 0 ? 'ANY' : protocolName(key.protocol),
    scope: key.internal ? 'internal' : 'any',
    flags: flagNames(value.flags),
    affinity_timeout_s: value.affinityS,
    active: slots.slice(0, active).map(at),
    terminating: slots.slice(active, active + terminating).map(at),
  };
};

export const listServices = (
  held: HeldServices | undefined,
  nameOf: (service: number) => string | undefined,
  limit: number,
): object => {
  const frontends = [...(held?.frontends ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  return {
    frontends: frontends.length,
    backends: held?.backends.size ?? 0,
    items: held ? frontends.slice(0, limit).map((one) => item(held, one, nameOf)) : [],
  };
};
