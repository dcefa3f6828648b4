// SPDX-License-Identifier: Apache-2.0
/** What all services of a host share, as the one element of `service_settings`. */
import { service_settings } from '@weir/bpf';
import { MAGLEV_SEED_BYTES } from '@weir/maglev';
import { formatIp, parseIp } from '@weir/net';
import type { IpipSource, IpipSources } from '../../plan/ipip-sources.ts';
import type { NodePorts } from '../../plan/services.ts';
import type { HeldServices } from '../services.ts';

const SEED_AT = service_settings.offsets.hash_seed1;

const bytesOf = ({ address }: IpipSource): Uint8Array => (address === '' ? new Uint8Array(16) : parseIp(address));

const sourceOf = (bytes: Uint8Array, bits: number): IpipSource => ({
  ...{ address: bytes.every((byte) => byte === 0) ? '' : formatIp(bytes), bits },
});

export const encodeSettings = (
  hostNetns: bigint,
  { low, high }: NodePorts,
  seed: Uint8Array,
  { ip4, ip6 }: IpipSources,
): Buffer => {
  const bytes = service_settings.encode({
    ...{ host_netns: hostNetns, node_port_low: low, node_port_high: high },
    ...{ hash_seed1: 0, hash_seed2: 0, hash_seed3: 0, source4_bits: ip4.bits, source6_bits: ip6.bits },
    ...{ source4: bytesOf(ip4), source6: bytesOf(ip6) },
  });
  bytes.set(seed, SEED_AT);
  return bytes;
};

/** `shared`: what does not belong to one network namespace. */
export const decodeSettings = (
  bytes: Buffer,
): { readonly hostNetns: bigint; readonly shared: Pick<HeldServices, 'nodePorts' | 'seed' | 'sources'> } => {
  const settings = service_settings.decode(bytes);
  const sources: IpipSources = {
    ip4: sourceOf(settings.source4, settings.source4_bits),
    ip6: sourceOf(settings.source6, settings.source6_bits),
  };
  return {
    hostNetns: settings.host_netns,
    shared: {
      nodePorts: { low: settings.node_port_low, high: settings.node_port_high },
      seed: bytes.toString('base64', SEED_AT, SEED_AT + MAGLEV_SEED_BYTES),
      sources: JSON.stringify(sources),
    },
  };
};
