// SPDX-License-Identifier: Apache-2.0
/**
 * What a host's own policy can never take away: failsafe ports, the servers of the bus, and what hosts of a fleet need of each
 * other. A document of the Admin tier before all others, put in by the agent while the host has a policy; its rules have no
 * number (0 in flows).
 */
import { isIp, isV4Mapped, parseCidr, parseIp } from '@weir/net';
import { type PolicyDocument, parseDocument } from '@weir/policy-engine';

export interface FailsafePort {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
  /** Whom it is for; undefined: everybody. */
  readonly cidr?: string;
}

const ONE = /^(tcp|udp|sctp):([0-9]{1,5})(?:@(\S+))?$/;
export const FAILSAFE_FIX = 'list tcp:22, udp:68, tcp:22@10.0.0.0/8 and the like, separated by commas; or none';

/** `tcp:22,udp:68@10.0.0.0/8`, or `none`. Throws an Error that says which part is wrong. */
export const parseFailsafe = (text: string): readonly FailsafePort[] =>
  text.trim() === 'none'
    ? []
    : text.split(',').map((part) => {
        const [, protocol, number, cidr] = ONE.exec(part.trim()) ?? [];
        const port = Number(number);
        if (!protocol || port < 1 || port > 65_535) throw new Error(`${JSON.stringify(part.trim())} is no port`);
        const made = { protocol: protocol.toUpperCase() as FailsafePort['protocol'], port };
        return cidr === undefined ? made : { ...made, cidr: parseCidr(cidr, { allowAddress: true }).text };
      });

export interface ControlAddress {
  readonly address: string;
  readonly port: number;
}

export interface FailsafeFacts {
  readonly inbound: readonly FailsafePort[];
  readonly outbound: readonly FailsafePort[];
  /** Servers of the bus. */
  readonly control: readonly ControlAddress[];
  /** This host's own. */
  readonly addresses: readonly string[];
  /** UDP ports of tunnels between hosts. */
  readonly tunnelPorts: readonly number[];
  /** TCP port of health endpoints. */
  readonly healthPort: number;
}

const portsOf = (...ports: readonly { readonly port: number; readonly protocol: string }[]) => [
  { ports: ports.map(({ port, protocol }) => ({ port: String(port), protocol })) },
];
const cidrOf = (address: string): string => `${address}/${isV4Mapped(parseIp(address)) ? 32 : 128}`;
const ECHO = [
  {
    fields: [
      { family: 'IPv4', type: 8 },
      { family: 'IPv6', type: 128 },
    ],
  },
];

export const failsafeDocument = (facts: FailsafeFacts): PolicyDocument => {
  const { inbound, outbound, addresses, healthPort } = facts;
  const control = facts.control.filter(({ address }) => isIp(address));
  const tunnels = portsOf(...facts.tunnelPorts.map((port) => ({ port, protocol: 'UDP' })));
  const own = new Set(addresses);
  const allow = (rule: object) => ({ action: 'Allow', ...rule });
  const doc = parseDocument({
    apiVersion: 'weir.io/v1',
    kind: 'FirewallPolicy',
    metadata: { name: 'failsafe' },
    spec: {
      tier: 'Admin',
      nodeSelector: {},
      ingress: [
        ...inbound.map(({ cidr, ...port }) => ({ ...(cidr ? { fromCIDR: [cidr] } : {}), toPorts: portsOf(port) })),
        // The bus itself is here: whoever could reach it still does.
        ...control
          .filter(({ address }) => own.has(address))
          .map(({ port }) => ({ toPorts: portsOf({ port, protocol: 'TCP' }) })),
        { fromEntities: ['remote-node'], toPorts: tunnels },
        { fromEntities: ['remote-node'], icmps: ECHO },
      ].map(allow),
      egress: [
        ...outbound.map(({ cidr, ...port }) => ({ ...(cidr ? { toCIDR: [cidr] } : {}), toPorts: portsOf(port) })),
        ...control.map(({ address, port }) => ({
          toCIDR: [cidrOf(address)],
          toPorts: portsOf({ port, protocol: 'TCP' }),
        })),
        { toEntities: ['remote-node'], toPorts: tunnels },
        { toEntities: ['remote-node', 'health'], icmps: ECHO },
        { toEntities: ['health'], toPorts: portsOf({ port: healthPort, protocol: 'TCP' }) },
      ].map(allow),
    },
  });
  return {
    ...doc,
    specs: doc.specs.map((spec) => ({
      ...spec,
      priority: -1,
      // By address, whoever has it: the bus may be a workload's, or another host's.
      rules: spec.rules.map((rule) =>
        rule.peers === 'any'
          ? rule
          : { ...rule, peers: rule.peers.map((peer) => (peer.kind === 'cidr' ? { ...peer, ipBlock: true } : peer)) },
      ),
    })),
  };
};
