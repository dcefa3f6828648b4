// SPDX-License-Identifier: Apache-2.0
/** What of a service's document can not be put into the maps. Inventory refuses it too; a host does not depend on that. */
import { weir_maglev_bits as MAGLEV_BITS } from '@weir/bpf';
import { MAGLEV_SIZES } from '@weir/maglev';
import { isIp, parseCidr } from '@weir/net';
import { FrontendType, type LoadBalancerService, ServiceAlgorithm } from '@weir/proto/weir/bus/v1/config_pb.js';

/** Four tables for each frontend: by family and by who sees them. */
const MAX_NUMBER = 2 ** 30 - 1;
/** The bit above says something else in a slot of Maglev. */
const MAX_BACKEND = MAGLEV_BITS.MAGLEV_CHANGED - 1;
const MAX_PORT = 65_535;

const rangeIssues = (cidr: string, i: number): string[] => {
  try {
    parseCidr(cidr, { allowAddress: true });
    return [];
  } catch (error) {
    return [`source_ranges[${i}]: ${(error as Error).message}`];
  }
};

const addressIssues = (field: string, address: string): string[] =>
  isIp(address) ? [] : [`${field} "${address}" is not an IP address`];

const numberIssues = (field: string, value: number, max: number): string[] =>
  value >= 1 && value <= max ? [] : [`${field} is ${value}; give 1 to ${max}`];

/** What is wrong with it; empty when all is well. */
export const serviceIssues = ({
  number,
  frontends,
  backends,
  algorithm,
  maglevSize,
  sourceRanges,
}: LoadBalancerService): string[] => [
  ...sourceRanges.flatMap(rangeIssues),
  ...numberIssues('number', number, 2 ** 32 - 1),
  ...(algorithm !== ServiceAlgorithm.MAGLEV || MAGLEV_SIZES.includes(maglevSize)
    ? []
    : [`maglev_size is ${maglevSize}; give one of ${MAGLEV_SIZES.join(', ')}`]),
  ...frontends.flatMap(({ number: one, type, address, port }, i) => [
    ...numberIssues(`frontends[${i}].number`, one, MAX_NUMBER),
    ...numberIssues(`frontends[${i}].port`, port, MAX_PORT),
    ...(address === '' && (type === FrontendType.NODE_PORT || type === FrontendType.HOST_PORT)
      ? []
      : addressIssues(`frontends[${i}].address`, address)),
  ]),
  ...backends.flatMap(({ number: one, address, port }, i) => [
    ...numberIssues(`backends[${i}].number`, one, MAX_BACKEND),
    ...numberIssues(`backends[${i}].port`, port, MAX_PORT),
    ...addressIssues(`backends[${i}].address`, address),
  ]),
];
