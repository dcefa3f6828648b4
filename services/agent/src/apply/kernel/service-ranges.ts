// SPDX-License-Identifier: Apache-2.0
/** Clients that services name, in the map `service_ranges`: by service and prefix, as `rangeText` writes them. */
import { prefix_key, service_range, service_range_key, weir_service_range_bits } from '@weir/bpf';
import type { BpfMap } from '@weir/loader';
import { type Encode, put, take, walk } from './batches.ts';
import { cidrKey, cidrText } from './prefixes.ts';

const STATIC = weir_service_range_bits.SERVICE_RANGE_STATIC_BITS;

const rangeKey: Encode<string> = (range, out, at) => {
  const [service, cidr = ''] = range.split(' ');
  const { prefixlen, addr } = prefix_key.decode(cidrKey(cidr), 0);
  service_range_key.encode({ prefixlen: STATIC + prefixlen, service: Number(service), addr }, out, at);
};

export const readRanges = async (map: BpfMap): Promise<Set<string>> => {
  const ranges = new Set<string>();
  await walk(map, (keys, _, i) => {
    const { prefixlen, service, addr } = service_range_key.decode(keys, i * service_range_key.size);
    ranges.add(`${service} ${cidrText(prefix_key.encode({ prefixlen: prefixlen - STATIC, addr }), 0)}`);
  });
  return ranges;
};

export const writeRanges = (map: BpfMap, ranges: readonly string[]): Promise<void> =>
  put(map, ranges, rangeKey, (_, out, at) => {
    service_range.encode({ flags: 0 }, out, at);
  });

export const removeRanges = (map: BpfMap, ranges: readonly string[]): Promise<void> => take(map, ranges, rangeKey);
