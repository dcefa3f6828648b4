// SPDX-License-Identifier: Apache-2.0
/** Conditions as a test on the flow under a reader: what live streams filter with, without an object per flow. */
import { type Cidr, isV4Mapped, parseIp } from '@weir/net';
import type { Condition } from './conditions.ts';
import type { OwnerRef, Side } from './filter.ts';
import { type FlowOwner, isBinary, isUnit } from './flow-owners.ts';
import type { FlowReader } from './flow-reader.ts';
import { isLocal } from './identities.ts';

export type FlowTest = (flow: FlowReader, host: string, timeMs: number) => boolean;

const MAPPED_BYTES = 12;

/** `wanted` has 16 bytes; an IPv4 address has its four in the message. */
const addressMatches = (
  { message, addressBytes: own }: FlowReader,
  at: number,
  wanted: Uint8Array,
  bits: number,
  addressBytes = own,
): boolean => {
  const skip = addressBytes === 4 ? MAPPED_BYTES : 0;
  if ((addressBytes === 4) !== isV4Mapped(wanted)) return false;
  let left = bits;
  for (let index = 0; left > 0; index += 1, left -= 8) {
    const difference = (message[at + index] as number) ^ (wanted[skip + index] as number);
    if (left >= 8 ? difference !== 0 : difference >> (8 - left) !== 0) return false;
  }
  return true;
};

const sided = (
  side: Side,
  from: (flow: FlowReader, timeMs: number) => boolean,
  to: (flow: FlowReader, timeMs: number) => boolean,
): FlowTest => {
  if (side === 'from') return (flow, _host, timeMs) => from(flow, timeMs);
  if (side === 'to') return (flow, _host, timeMs) => to(flow, timeMs);
  return (flow, _host, timeMs) => from(flow, timeMs) || to(flow, timeMs);
};

const onAddresses = (side: Side, test: (flow: FlowReader, at: number, timeMs: number) => boolean): FlowTest =>
  sided(
    side,
    (flow, timeMs) => test(flow, flow.sourceAt, timeMs),
    (flow, timeMs) => test(flow, flow.destinationAt, timeMs),
  );

const inColumn = (column: 'verdict' | 'protocol' | 'drop_reason' | 'rule_id', values: readonly number[]): FlowTest => {
  const set = new Set(values);
  switch (column) {
    case 'verdict':
      return (flow) => set.has(flow.verdict);
    case 'protocol':
      return (flow) => set.has(flow.protocol);
    case 'drop_reason':
      return (flow) => set.has(flow.dropReason);
    case 'rule_id':
      return (flow) => set.has(flow.ruleId);
  }
};

const isOwnedBy = (wanted: OwnerRef, owner: FlowOwner, host: string): boolean => {
  switch (wanted.by) {
    case 'exec_id':
      return wanted.id.host === host && wanted.id.execNs === owner.execNs && wanted.id.pid === owner.pid;
    case 'binary':
      return isBinary(wanted.ref, owner.binary);
    case 'unit':
      return isUnit(wanted.name, owner.unit);
    case 'uid':
      return wanted.uid === owner.uid;
  }
};

const compileOne = (condition: Condition): FlowTest => {
  switch (condition.kind) {
    case 'in':
      return inColumn(condition.column, condition.values);
    case 'direction':
      return (flow) => condition.values.includes(flow.direction);
    case 'pending':
      return (flow) => condition.values.includes(flow.pendingVerdict);
    case 'pending_rule':
      return (flow) => flow.pendingVerdict !== 0 && condition.values.includes(flow.pendingRuleId);
    case 'is_reply':
      return (flow) => flow.isReply === condition.value;
    case 'host':
      return (_flow, host) => condition.names.includes(host);
    case 'owner':
      return (flow, host) => {
        const { owner } = flow;
        return owner !== undefined && condition.of.some((wanted) => isOwnedBy(wanted, owner, host));
      };
    case 'owned':
      throw new TypeError('flows on the bus have no numbers of the store');
    case 'port': {
      const set = new Set(condition.values);
      return sided(
        condition.side,
        (flow) => set.has(flow.sourcePort),
        (flow) => set.has(flow.destinationPort),
      );
    }
    case 'identity': {
      const set = new Set(condition.values);
      const matches = (identity: number): boolean => set.has(identity) || (condition.local && isLocal(identity));
      return sided(
        condition.side,
        (flow) => matches(flow.sourceIdentity),
        (flow) => matches(flow.destinationIdentity),
      );
    }
    case 'ip':
      return onAddresses(condition.side, (flow, at) =>
        condition.cidrs.some((cidr: Cidr) => addressMatches(flow, at, cidr.addr, cidr.bits)),
      );
    case 'source_xlated':
      return (flow) =>
        flow.xlatedBytes !== 0 &&
        condition.cidrs.some((cidr) => addressMatches(flow, flow.xlatedAt, cidr.addr, cidr.bits, flow.xlatedBytes));
    case 'frontend': {
      const set = new Set(condition.values);
      return sided(
        condition.side,
        (flow) => flow.isReply && set.has(flow.frontend),
        (flow) => !flow.isReply && set.has(flow.frontend),
      );
    }
    case 'use': {
      const uses = condition.uses.map(({ ip, fromMs, toMs }) => ({ bytes: parseIp(ip), fromMs, toMs }));
      return onAddresses(condition.side, (flow, at, timeMs) =>
        uses.some(
          ({ bytes, fromMs, toMs }) =>
            timeMs >= fromMs && timeMs < toMs && addressMatches(flow, at, bytes, flow.addressBytes * 8),
        ),
      );
    }
  }
};

export const compileConditions = (conditions: readonly Condition[]): FlowTest => {
  const tests = conditions.map(compileOne);
  return (flow, host, timeMs) => tests.every((test) => test(flow, host, timeMs));
};
