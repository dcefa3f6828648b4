// SPDX-License-Identifier: Apache-2.0
/** Keys and values of the maps of services, and back. */
import { address_key, service, service_key, service_member_key, service_slot_key, weir_service_scope } from '@weir/bpf';
import { formatIp, parseIp } from '@weir/net';
import type { FrontendKey, PlannedFrontend } from '../../plan/service-view.ts';
import type { Encode } from './batches.ts';

const { SERVICE_SCOPE_ANY, SERVICE_SCOPE_INTERNAL } = weir_service_scope;

export const encodeKey = ({ address, port, protocol, internal }: FrontendKey, out: Buffer, at: number): void => {
  const scope = internal ? SERVICE_SCOPE_INTERNAL : SERVICE_SCOPE_ANY;
  service_key.encode({ addr: parseIp(address), port, protocol, scope }, out, at);
};

export const decodeFrontend = (keys: Buffer, values: Buffer, i: number): PlannedFrontend => {
  const { addr, port, protocol, scope } = service_key.decode(keys, i * service_key.size);
  const value = service.decode(values, i * service.size);
  const { frontend, service: number, flags, table, active, terminating, affinity_timeout_s: affinityS, maglev } = value;
  return {
    key: { address: formatIp(addr), port, protocol, internal: scope === SERVICE_SCOPE_INTERNAL },
    value: { frontend, service: number, flags, table, active, terminating, affinityS, maglev },
  };
};

export const u32: Encode<number> = (value, out, at) => {
  out.writeUInt32LE(value, at);
};
export const u32Bytes = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};
export const addressKey: Encode<string> = (address, out, at) => {
  address_key.encode({ addr: parseIp(address) }, out, at);
};
export const memberKey: Encode<readonly [number, number, ...number[]]> = ([table, number], out, at) => {
  service_member_key.encode({ table, backend: number }, out, at);
};
export const slotKey: Encode<readonly [number, number, ...number[]]> = ([table, slot], out, at) => {
  service_slot_key.encode({ table, slot }, out, at);
};
