// SPDX-License-Identifier: Apache-2.0
/**
 * How the hosts of the fleet are joined (weir.bus.v1.Network), as people set it: every field has a default, and names
 * are those of the message. What contradicts itself is refused here; what contradicts the fleet, in operations/network.
 */
import { named } from '@weir/http';
import { formatIp } from '@weir/net';
import { type Static, Type } from 'typebox';
import { unusableRange } from './addresses.ts';
import { Issues } from './refused.ts';

const CIDRS_MAX = 1_024;
const closed = { additionalProperties: false };

const word = <const T extends string>(words: readonly T[], description: string) =>
  Type.Optional(
    Type.Unsafe<T>(
      Type.Union(
        words.map((one) => Type.Literal(one)),
        { default: words[0], description },
      ),
    ),
  );
const flag = (description: string, fallback = false) => Type.Optional(Type.Boolean({ default: fallback, description }));
const number = (maximum: number, fallback: number, description: string, minimum = 0) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: fallback, description }));
const texts = (description: string, maxItems = CIDRS_MAX) =>
  Type.Optional(Type.Array(Type.String({ maxLength: 320 }), { maxItems, default: [], description }));
const part = <T extends Parameters<typeof Type.Object>[0]>(properties: T, description: string) =>
  Type.Optional(Type.Object(properties, { ...closed, default: {}, description }));

export const TUNNEL_PORT = 8_472;
export const WIREGUARD_PORT = 51_871;
export const HEALTH_PORT = 4_240;
export const HEALTH_INTERVAL_S = 60;
const PORT_MAX = 65_535;
/** RFC 8200, section 5: every link that carries IPv6 takes packets of this size. */
const MTU_MIN_IPV6 = 1_280;
/** RFC 791: what every host must be able to take in one piece. */
const MTU_MIN_IPV4 = 576;
const VLAN_MAX = 4_094;
const NODE_PORT_LOW = 30_000;
const NODE_PORT_HIGH = 32_767;
/** Of the seed of Maglev tables, as Cilium's. */
const SEED_BYTES = 12;
const NAT64_BITS = 96;
const NAT64_ZERO_BYTE = 8;

const IPIP_SOURCE = (family: string): string =>
  `${family} prefix from which packets come that carry another to its backend (DSR by IPIP); empty: the host's address`;

export const NetworkPutSchema = named(
  'NetworkPut',
  Type.Object(
    {
      routing: word(
        ['native', 'tunnel', 'hybrid'],
        'native: the underlay carries the addresses of workloads; tunnel: VXLAN between all hosts; hybrid: native on one subnet, VXLAN otherwise',
      ),
      underlay: word(['ipv4', 'ipv6'], 'Which address of a host the others send to'),
      families: word(['dual', 'ipv4', 'ipv6'], 'Which addresses workloads get; those that exist keep theirs'),
      tunnel_port: number(PORT_MAX, TUNNEL_PORT, 'UDP port of VXLAN; 0: 8472'),
      tunnel_source_port_low: number(PORT_MAX, 0, 'Lowest UDP source port of the tunnel; 0: as the kernel chooses'),
      tunnel_source_port_high: number(PORT_MAX, 0, 'Highest UDP source port of the tunnel; 0: as the kernel chooses'),
      mtu: number(
        PORT_MAX,
        0,
        'Largest L3 packet of workloads, bytes; 0: that of the uplink less what the tunnel needs',
      ),
      masquerade: part(
        {
          ipv4: flag("What IPv4 workloads send to the world leaves with the host's address"),
          ipv6: flag("What IPv6 workloads send to the world leaves with the host's address"),
          non_masquerade_cidrs: texts(
            'To these workloads keep their address; the pools of the fleet always belong to them',
          ),
          link_local_ipv4: flag('Also to 169.254.0.0/16'),
          link_local_ipv6: flag('Also to fe80::/10'),
          remote_nodes: flag("Also to other hosts' own addresses"),
          interfaces: texts('Interfaces by name, a final + as wildcard; none: the uplink', 64),
        },
        'Source address of what leaves the fleet',
      ),
      nat64: part(
        {
          prefix: Type.Optional(
            Type.String({
              maxLength: 64,
              default: '',
              description:
                'What workloads send to these 96 bits with an IPv4 address behind them leaves as IPv4 with the address of their host: 64:ff9b::/96; empty: nothing is translated',
            }),
          ),
        },
        'IPv4 for workloads with an IPv6 address',
      ),
      vlan_bypass: Type.Optional(
        Type.Array(
          Type.Integer({
            minimum: 0,
            maximum: VLAN_MAX,
            description: 'give a VLAN id from 1 to 4094, or 0 for every VLAN',
          }),
          {
            maxItems: VLAN_MAX + 1,
            default: [],
            description: 'VLAN ids whose tagged frames pass the uplinks unjudged; 0: every VLAN',
          },
        ),
      ),
      wireguard: part(
        {
          enabled: flag('Hosts encrypt what they send to one another'),
          port: number(PORT_MAX, WIREGUARD_PORT, 'UDP port; 0: 51871'),
          strict_cidrs: texts(
            'Between these nothing leaves or is taken unencrypted, not even when encryption cannot be had',
          ),
          strict_ingress: flag(
            'What other hosts and their workloads send to workloads is taken encrypted only, whatever its address',
          ),
          strict_except_hosts: flag(
            "Hosts' own addresses are excepted from strict_cidrs and strict_ingress: what hosts say themselves may be in the clear",
          ),
          opt_out_labels: texts(
            'Hosts with one of these labels take no part: key=value. Nothing to or from them is encrypted; hosts of the control plane are such, lest a lost key cuts them off',
            64,
          ),
        },
        'Encryption between hosts',
      ),
      health: part(
        {
          enabled: flag('Every host probes the others', true),
          base_interval_s: number(
            86_400,
            HEALTH_INTERVAL_S,
            'Seconds between probes of a fleet of one; grows with ln(1 + hosts); 0: 60',
          ),
          port: number(PORT_MAX, HEALTH_PORT, 'TCP port that every agent answers at; 0: 4240'),
          endpoints: flag(
            'Every host has an endpoint of identity health, which the others probe by the path of workloads',
            true,
          ),
        },
        'Probes between hosts',
      ),
      services: part(
        {
          node_port_low: number(PORT_MAX, NODE_PORT_LOW, 'First port of the range of node ports; 0: 30000'),
          node_port_high: number(PORT_MAX, NODE_PORT_HIGH, 'Last port of the range of node ports; 0: 32767'),
          maglev_seed: Type.Optional(
            Type.String({
              maxLength: 64,
              default: '',
              description: 'Base64 of 12 bytes, from which every host computes the same tables; empty: that of Cilium',
            }),
          ),
          ipip_source_cidr4: Type.Optional(
            Type.String({ ...{ maxLength: 18, default: '' }, description: IPIP_SOURCE('IPv4') }),
          ),
          ipip_source_cidr6: Type.Optional(
            Type.String({ ...{ maxLength: 43, default: '' }, description: IPIP_SOURCE('IPv6') }),
          ),
          acceleration: word(
            ['disabled', 'native', 'best-effort', 'generic'],
            'Packets for services are balanced by XDP: in every driver, in those that can, or (for tests) in none',
          ),
          external_cluster_ips: flag('Clients outside may use addresses of the type cluster-ip too', false),
        },
        'What all services have in common',
      ),
    },
    closed,
  ),
);

type Full<T> = T extends readonly (infer U)[]
  ? readonly U[]
  : T extends object
    ? { readonly [K in keyof T]-?: Full<NonNullable<T[K]>> }
    : T;
/** With every default filled in, as the schemas do it. */
export type NetworkSpec = Full<Static<typeof NetworkPutSchema>>;

const INTERFACE = /^(?!\.{1,2}$)[^/\s:]{1,15}$/;
const LABEL = /^[^=\s]{1,317}=[^=\s]{0,63}$/;

const checkPorts = (spec: NetworkSpec, issues: Issues): void => {
  const { tunnel_source_port_low: low, tunnel_source_port_high: high } = spec;
  if ((low === 0) !== (high === 0)) {
    const [path, given] = low === 0 ? ['tunnel_source_port_low', low] : ['tunnel_source_port_high', high];
    issues.add(path, given, 'is only half of a range', 'give both ends of the range, or neither');
  } else if (low > high) {
    issues.add('tunnel_source_port_low', low, `is above tunnel_source_port_high ${high}`, 'give the lower end first');
  }
  if (spec.wireguard.enabled && spec.routing !== 'native' && spec.wireguard.port === spec.tunnel_port) {
    issues.add('wireguard.port', spec.wireguard.port, 'is the port of the tunnel too', 'choose another one');
  }
};

const checkMtu = ({ mtu, families }: NetworkSpec, issues: Issues): void => {
  if (mtu === 0) return;
  if (families !== 'ipv4' && mtu < MTU_MIN_IPV6) {
    const fix = `give ${MTU_MIN_IPV6} or more, 0 to follow the uplink, or set families to ipv4`;
    issues.add('mtu', mtu, `is less than the ${MTU_MIN_IPV6} bytes that IPv6 needs`, fix);
  } else if (mtu < MTU_MIN_IPV4) {
    issues.add('mtu', mtu, `is less than ${MTU_MIN_IPV4}`, `give ${MTU_MIN_IPV4} or more, or 0 to follow the uplink`);
  }
};

const checkMasquerade = ({ masquerade, families }: NetworkSpec, issues: Issues): void => {
  for (const family of ['ipv4', 'ipv6'] as const) {
    if (masquerade[family] && families !== 'dual' && families !== family) {
      issues.add(`masquerade.${family}`, true, `has nothing to do: families is ${families}`, 'leave it out');
    }
  }
  for (const [i, name] of masquerade.interfaces.entries()) {
    if (INTERFACE.test(name)) continue;
    const fix = 'give 1 to 15 characters without / : or spaces, such as eth0 or bond+';
    issues.add(`masquerade.interfaces[${i}]`, name, 'is not the name of an interface', fix);
  }
};

/** RFC 6052: 96 bits, of which the ninth byte is zero. Gives the prefix in its one spelling. */
const checkNat64 = ({ nat64: { prefix }, families }: NetworkSpec, issues: Issues): string => {
  if (prefix === '') return '';
  const path = 'nat64.prefix';
  const cidr = issues.cidr(path, prefix);
  if (cidr === undefined) return prefix;
  const fix = 'give 64:ff9b::/96, or 96 bits of your own that no host has, such as 2001:db8:64::/96';
  const unusable = unusableRange(formatIp(cidr.addr));
  if (cidr.family !== 6 || cidr.bits !== NAT64_BITS) issues.add(path, prefix, 'is not 96 bits of IPv6', fix);
  else if (cidr.addr[NAT64_ZERO_BYTE] !== 0) issues.add(path, prefix, 'has bits set from 64 to 71 (RFC 6052)', fix);
  else if (unusable) issues.add(path, prefix, `lies in ${unusable}, where no other host is reached`, fix);
  if (families === 'ipv4') issues.add(path, prefix, 'has nothing to do: families is ipv4', 'leave it out');
  return cidr.text;
};

const checkWireguard = ({ wireguard }: NetworkSpec, issues: Issues): void => {
  const { enabled, strict_cidrs, strict_ingress, strict_except_hosts } = wireguard;
  if (strict_cidrs.length > 0 && !enabled) {
    const fix =
      'set wireguard.enabled, or leave strict_cidrs out: without encryption nothing could be sent between them';
    issues.add('wireguard.strict_cidrs', strict_cidrs[0], 'asks for encryption, which is off', fix);
  }
  if (strict_ingress && !enabled) {
    const fix = 'set wireguard.enabled, or leave strict_ingress out: without encryption no host would hear another';
    issues.add('wireguard.strict_ingress', true, 'asks for encryption, which is off', fix);
  }
  if (strict_except_hosts && strict_cidrs.length === 0 && !strict_ingress) {
    const fix = 'give strict_cidrs or strict_ingress too, or leave it out';
    issues.add('wireguard.strict_except_hosts', true, 'is an exception from nothing', fix);
  }
  for (const [i, label] of wireguard.opt_out_labels.entries()) {
    if (!LABEL.test(label))
      issues.add(`wireguard.opt_out_labels[${i}]`, label, 'is not key=value', 'write it as rack=r1');
  }
};

const checkServices = ({ services }: NetworkSpec, issues: Issues): void => {
  const { node_port_low: low, node_port_high: high, maglev_seed: seed } = services;
  if (low > high) issues.add('services.node_port_low', low, `is over node_port_high ${high}`, `give at most ${high}`);
  const bytes = Buffer.from(seed, 'base64');
  if (seed !== '' && (bytes.length !== SEED_BYTES || bytes.toString('base64') !== seed)) {
    const fix = `give ${SEED_BYTES} random bytes: head -c${SEED_BYTES} /dev/urandom | base64`;
    issues.add('services.maglev_seed', seed, `is not base64 of ${SEED_BYTES} bytes`, fix);
  }
  for (const [field, isIp6] of [
    ['ipip_source_cidr4', false],
    ['ipip_source_cidr6', true],
  ] as const) {
    // biome-ignore format: a table
    const cidr = services[field];
    if (cidr === '') continue;
    const [found] = issues.cidrs(`services.${field}`, [cidr]);
    if (found && found.text.includes(':') !== isIp6)
      issues.add(`services.${field}`, cidr, 'is of the other family', `give an ${isIp6 ? 'IPv6' : 'IPv4'} prefix`);
  }
};

/** Throws INVALID_ARGUMENT that lists everything wrong; gives what is stored: 0 replaced by what it stands for, CIDRs in their one spelling. */
export const checkNetwork = (given: NetworkSpec): NetworkSpec => {
  const issues = new Issues();
  const cidrs = (path: string, texts: readonly string[]) => issues.cidrs(path, texts).map(({ text }) => text);
  const { masquerade, wireguard } = given;
  const prefix = checkNat64(given, issues);
  const spec: NetworkSpec = {
    ...given,
    tunnel_port: given.tunnel_port || TUNNEL_PORT,
    masquerade: {
      ...masquerade,
      non_masquerade_cidrs: cidrs('masquerade.non_masquerade_cidrs', masquerade.non_masquerade_cidrs),
    },
    nat64: { prefix },
    wireguard: {
      ...wireguard,
      port: wireguard.port || WIREGUARD_PORT,
      strict_cidrs: cidrs('wireguard.strict_cidrs', wireguard.strict_cidrs),
    },
    health: {
      ...given.health,
      port: given.health.port || HEALTH_PORT,
      base_interval_s: given.health.base_interval_s || HEALTH_INTERVAL_S,
    },
    services: {
      ...given.services,
      node_port_low: given.services.node_port_low || NODE_PORT_LOW,
      node_port_high: given.services.node_port_high || NODE_PORT_HIGH,
    },
  };
  checkServices(spec, issues);
  checkPorts(spec, issues);
  checkMtu(spec, issues);
  checkMasquerade(spec, issues);
  checkWireguard(spec, issues);
  const twice = spec.vlan_bypass.findIndex((id, i) => spec.vlan_bypass.indexOf(id) !== i);
  if (twice >= 0) issues.add(`vlan_bypass[${twice}]`, spec.vlan_bypass[twice], 'is there twice', 'leave it out');
  issues.throw();
  return spec;
};
