// SPDX-License-Identifier: Apache-2.0
export {
  canonicalIp,
  compareIp,
  type Family,
  formatIp,
  ipFamily,
  isIp,
  isV4Mapped,
  nextAddress,
  parseIp,
  V4_PREFIX_BITS,
} from './address.ts';
export {
  type Cidr,
  type CidrOptions,
  canonicalCidr,
  cidrContains,
  cidrContainsIp,
  cidrOfAddress,
  lastAddress,
  maskAddress,
  parseCidr,
} from './cidr.ts';
export { escapeUntrusted } from './escape.ts';
export { type LabelSelector, type LabelTerm, parseLabelSelector, selectorMatches } from './label-selector.ts';
export { formatMac, parseMac } from './mac.ts';
export { PROTOCOLS, type ProtocolName, protocolName, protocolNumber } from './protocol.ts';
export { durationMs, formatTimeUs, parseTimeUs } from './times.ts';
