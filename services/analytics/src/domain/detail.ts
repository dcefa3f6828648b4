// SPDX-License-Identifier: Apache-2.0
/**
 * The column flows.detail: what is shown but rarely asked for, packed into one int4, because each column costs
 * time at every COPY. The layout is also in the view flow_records and in the column's comment.
 */
import { PROTOCOLS } from '@weir/net';

export interface Detail {
  readonly tcpFlags: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly tracePoint: number;
  readonly traceReason: number;
  readonly report: number;
  readonly direction: number;
  readonly isReply: boolean;
  readonly encrypted: boolean;
  /** weir.flow.v1.SockXlatePoint; of ICMP always 0. */
  readonly sockXlatePoint: number;
}

export const DETAIL = {
  sockXlatePoint: { shift: 12, mask: 0x7 },
  tracePoint: { shift: 16, mask: 0xf },
  traceReason: { shift: 21, mask: 0xf },
  report: { shift: 25, mask: 0xf },
  direction: { shift: 29, mask: 0x3 },
} as const;
const ENCRYPTED = 1 << 20;
/** TCP has nine, of which eight are told. */
const TCP_FLAGS = 0xfff;

/** A value that a newer sender knows and that has no room here is kept as 0, unspecified. */
const part = (value: number, { shift, mask }: { shift: number; mask: number }): number =>
  value > mask ? 0 : value << shift;

export const isIcmp = (protocol: number): boolean => protocol === PROTOCOLS.ICMP || protocol === PROTOCOLS.ICMPv6;

export const packDetail = (flow: Detail & { readonly protocol: number }): number =>
  (isIcmp(flow.protocol)
    ? (flow.icmpType << 8) | flow.icmpCode
    : (flow.tcpFlags & TCP_FLAGS) | part(flow.sockXlatePoint, DETAIL.sockXlatePoint)) |
  part(flow.tracePoint, DETAIL.tracePoint) |
  part(flow.traceReason, DETAIL.traceReason) |
  part(flow.report, DETAIL.report) |
  part(flow.direction, DETAIL.direction) |
  (flow.encrypted ? ENCRYPTED : 0) |
  (flow.isReply ? 1 << 31 : 0);

const field = (detail: number, { shift, mask }: { shift: number; mask: number }): number => (detail >> shift) & mask;

export const unpackDetail = (detail: number, protocol: number): Detail => {
  const icmp = isIcmp(protocol);
  return {
    tcpFlags: icmp ? 0 : detail & TCP_FLAGS,
    icmpType: icmp ? (detail >> 8) & 0xff : 0,
    icmpCode: icmp ? detail & 0xff : 0,
    tracePoint: field(detail, DETAIL.tracePoint),
    traceReason: field(detail, DETAIL.traceReason),
    report: field(detail, DETAIL.report),
    direction: field(detail, DETAIL.direction),
    isReply: detail < 0,
    encrypted: (detail & ENCRYPTED) !== 0,
    sockXlatePoint: icmp ? 0 : field(detail, DETAIL.sockXlatePoint),
  };
};
