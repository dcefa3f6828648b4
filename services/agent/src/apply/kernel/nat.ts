// SPDX-License-Identifier: Apache-2.0
/** Masquerade's mappings: the walk that ends them, and what they are for who asks. */
import { nat_in_value, nat_key, nat_sweep_ctx, weir_ct_flags, weir_nat_sweep_flags } from '@weir/bpf';
import type { BpfObject } from '@weir/loader';
import { formatIp } from '@weir/net';
import type { NatFacts, NatMapping } from '../../platform.ts';
import type { PortRange } from './nat-ports.ts';

/** Halves that the LRU left over cost nothing but their place: every so many sweeps. */
const ORPHANS_EVERY = 30;

export interface Nat {
  /** Returns how many mappings there are. */
  sweep(): Promise<number>;
  read(limit: number): Promise<NatFacts>;
}

export const natOf = (object: BpfObject, ports: PortRange): Nat => {
  const program = object.program('nat_sweep');
  let turn = 0;
  let entries = 0;

  const sweep = async (): Promise<number> => {
    const flags = ++turn % ORPHANS_EVERY === 0 ? weir_nat_sweep_flags.NAT_SWEEP_ORPHANS : 0;
    const ctx = nat_sweep_ctx.encode({ now_ns: 0n, flags, failed: 0, entries: 0n, expired: 0n, orphans: 0n });
    const { ctxOut } = await program.testRun({ ctx });
    const result = nat_sweep_ctx.decode(ctxOut);
    if (result.failed) throw new Error('the walk over the masquerade mappings failed');
    entries = Number(result.entries - result.expired);
    return entries;
  };

  const mappings = async (limit: number): Promise<NatMapping[]> => {
    const { keys, values, count } = await object.map('nat_in').lookupAll();
    const nowNs = process.hrtime.bigint();
    return Array.from({ length: Math.min(count, limit) }, (_, i): NatMapping => {
      const key = nat_key.decode(keys, i * nat_key.size);
      const value = nat_in_value.decode(values, i * nat_in_value.size);
      return {
        protocol: key.protocol,
        source: formatIp(value.addr),
        sourcePort: value.port,
        address: formatIp(key.local),
        port: key.local_port,
        remote: formatIp(key.remote),
        remotePort: key.remote_port,
        isAnswered: (value.flags & weir_ct_flags.CT_REPLIED) !== 0,
        expiresInS: Number((value.expires_ns - nowNs) / 1_000_000_000n),
      };
    });
  };

  /** Index = ports found taken; the last: none was found. */
  const retries = async (): Promise<number[]> => {
    const map = object.map('nat_retries');
    const { values, count } = await map.lookupAll();
    return Array.from({ length: count }, (_, i) => {
      let sum = 0;
      for (let at = i * map.valueStride; at < (i + 1) * map.valueStride; at += 8)
        sum += Number(values.readBigUInt64LE(at));
      return sum;
    });
  };

  return {
    sweep,
    read: async (limit) => ({
      ports,
      entries,
      capacity: object.map('nat_in').maxEntries,
      retries: await retries(),
      mappings: await mappings(limit),
    }),
  };
};
