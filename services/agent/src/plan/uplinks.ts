// SPDX-License-Identifier: Apache-2.0
/**
 * What this host's uplinks do: masquerade, NAT64, the list of VLANs, the prefilter. Documents in, plain values out; which
 * interface and which address that is, only the host knows (apply/kernel/uplinks.ts).
 *
 * Nothing is wanted of an uplink that no document asks for: then it has no program.
 */
import type { ConfigEntry } from '@weir/bus';
import { cidrOfAddress, isIp, parseCidr, parseIp } from '@weir/net';
import {
  Acceleration,
  type Host,
  type Masquerade,
  type Network,
  type Prefilter,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import type { EgressPlan, WayOut } from './egress.ts';
import { DEFAULT_WIREGUARD_PORT, encryptionOf, isStrict } from './encryption.ts';
import { isSelected, labelTexts, selectorIssues } from './label-selectors.ts';
import type { DocumentError } from './model.ts';
import { DEFAULT_TUNNEL_PORT } from './overlay.ts';

export interface DesiredStrict {
  /** Canonical prefixes between which nothing does. */
  readonly cidrs: ReadonlySet<string>;
  /** What other hosts of the fleet and their workloads send to workloads here does not, whatever its address. */
  readonly ingress: boolean;
  /** Hosts' own addresses are excepted. */
  readonly exceptHosts: boolean;
  readonly wireguardPort: number;
  readonly tunnelPort: number;
}

/** native: in every driver, or it is a failure; best-effort: in those that can; generic: in none. */
export type XdpWish = 'native' | 'best-effort' | 'generic';

const XDP_WISH: Partial<Record<Acceleration, XdpWish>> = {
  [Acceleration.NATIVE]: 'native',
  [Acceleration.BEST_EFFORT]: 'best-effort',
  [Acceleration.GENERIC]: 'generic',
};

export interface DesiredUplinks {
  /** Names, a final + as wildcard; empty: the uplink. */
  readonly interfaces: readonly string[];
  readonly masquerade4: boolean;
  readonly masquerade6: boolean;
  /** Addresses that are taken when an uplink has them: the host's in the fleet. */
  readonly prefer: readonly string[];
  /** Canonical prefixes to which workloads keep their address. */
  readonly unmasqueraded: ReadonlySet<string>;
  /** Canonical prefix of 96 bits under which workloads reach IPv4; undefined: nothing is translated. */
  readonly nat64?: string | undefined;
  /** VLAN ids that pass; 0 = every one. Undefined: nobody asks. */
  readonly vlans: ReadonlySet<number> | undefined;
  /** What must not pass in the clear. Undefined: everything may. */
  readonly strict?: DesiredStrict | undefined;
  /** Canonical prefixes whose packets are dropped. Undefined: no prefilter is there for this host. */
  readonly prefilter: ReadonlySet<string> | undefined;
  /** Clients from outside are served. */
  readonly services?: boolean | undefined;
  /** The host's own packets are judged by its policy. */
  readonly guard?: boolean | undefined;
  /** How packets for services are balanced before the stack sees them; undefined: not at all. */
  readonly acceleration?: XdpWish | undefined;
  /** Ways out of workloads that leave by a gateway; with it nothing that was selected leaves past one. */
  readonly ways?: readonly WayOut[] | undefined;
}

/** Multicast and broadcast are for the link; no answer would find its way back. */
const NEVER = ['224.0.0.0/4', '255.255.255.255/32', 'ff00::/8'];
const LINK_LOCAL4 = '169.254.0.0/16';
const LINK_LOCAL6 = 'fe80::/10';
const VLAN_MAX = 4094;
const INTERFACE = /^[^\s/+]{1,15}\+?$|^\+$/;

const cidrIssues = (field: string, cidrs: readonly string[]): string[] =>
  cidrs.flatMap((cidr) => {
    try {
      parseCidr(cidr, { allowAddress: true });
      return [];
    } catch (error) {
      return [`${field}: ${(error as Error).message}`];
    }
  });

const NAT64_BITS = 96;

const nat64Issues = (prefix: string): string[] => {
  if (prefix === '') return [];
  const issues = cidrIssues('nat64.prefix', [prefix]);
  if (issues.length > 0) return issues;
  const { family, bits } = parseCidr(prefix);
  return family === 6 && bits === NAT64_BITS ? [] : [`nat64.prefix: ${prefix} is not 96 bits of IPv6: 64:ff9b::/96`];
};

const networkIssues = ({ masquerade, vlanBypass, nat64, wireguard }: Network): string[] => [
  ...nat64Issues(nat64?.prefix ?? ''),
  ...cidrIssues('strict_cidrs', wireguard?.strictCidrs ?? []),
  ...cidrIssues('non_masquerade_cidrs', masquerade?.nonMasqueradeCidrs ?? []),
  ...(masquerade?.interfaces ?? [])
    .filter((name) => !INTERFACE.test(name))
    .map(
      (name) => `interfaces: ${JSON.stringify(name)} is not the name of an interface; give one such as eth0 or eth+`,
    ),
  ...vlanBypass
    .filter((id) => id > VLAN_MAX)
    .map((id) => `vlan_bypass: ${id} is not a VLAN id (1-${VLAN_MAX}, 0 = every one)`),
];

const prefilterIssues = ({ cidrs, hosts }: Prefilter): string[] => [
  ...cidrIssues('cidrs', cidrs),
  ...selectorIssues('hosts', hosts),
];

const canonical = (cidr: string): string => parseCidr(cidr, { allowAddress: true }).text;
const hostPrefix = (address: string): string[] => (isIp(address) ? [cidrOfAddress(parseIp(address)).text] : []);

const poolsOf = ({ pools }: Host): string[] =>
  cidrIssues('', pools).length === 0 ? pools.map((pool) => parseCidr(pool).text) : [];

/** `own`: this host's document. */
const unmasquerade = (masquerade: Masquerade, hosts: readonly Host[], own: Host | undefined): Set<string> =>
  new Set([
    ...NEVER,
    ...(masquerade.linkLocalIpv4 ? [] : [LINK_LOCAL4]),
    ...(masquerade.linkLocalIpv6 ? [] : [LINK_LOCAL6]),
    ...masquerade.nonMasqueradeCidrs.map(canonical),
    ...hosts.flatMap(poolsOf),
    ...(masquerade.remoteNodes ? [] : hosts)
      .filter((host) => host !== own)
      .flatMap(({ underlayIp4, underlayIp6 }) => [...hostPrefix(underlayIp4), ...hostPrefix(underlayIp6)]),
  ]);

/** Of a host that takes part in encryption. */
const strictOf = (network: Network | undefined, own: Host | undefined): DesiredStrict | undefined => {
  const wireguard = encryptionOf(network, own);
  if (!wireguard || !isStrict(wireguard)) return undefined;
  return {
    cidrs: new Set(wireguard.strictCidrs.map(canonical)),
    ingress: wireguard.strictIngress,
    exceptHosts: wireguard.strictExceptHosts,
    wireguardPort: wireguard.port || DEFAULT_WIREGUARD_PORT,
    tunnelPort: network?.tunnelPort || DEFAULT_TUNNEL_PORT,
  };
};

interface Held<T> {
  readonly revision: bigint;
  readonly body: T;
}

export class UplinkPlanner {
  readonly #ownHost: string;
  readonly #errors = new Map<string, DocumentError>();
  #network: Held<Network> | undefined;
  readonly #prefilters = new Map<string, Held<Prefilter>>();
  #services = false;
  #guard = false;
  /** Until a document changes. */
  #planned: { readonly desired: DesiredUplinks | undefined } | undefined;

  constructor(ownHost: string) {
    this.#ownHost = ownHost;
  }

  /** What cannot be read leaves what was before it in force, and says so. */
  put({ subject, document: { body, revision } }: ConfigEntry): void {
    const issues =
      body.case === 'network'
        ? networkIssues(body.value)
        : body.case === 'prefilter'
          ? prefilterIssues(body.value)
          : [];
    this.#errors.delete(subject);
    if (issues.length > 0) {
      const message = `${subject}: ${issues.join('; ')}`;
      this.#errors.set(subject, { subject, revision, code: 'INVALID_ARGUMENT', message });
      return;
    }
    if (body.case === 'network') this.#network = { revision, body: body.value };
    if (body.case === 'prefilter') this.#prefilters.set(subject, { revision, body: body.value });
    this.#planned = undefined;
  }

  remove({ subject, document: { body } }: ConfigEntry): void {
    this.#errors.delete(subject);
    if (body.case === 'network') this.#network = undefined;
    this.#prefilters.delete(subject);
    this.#planned = undefined;
  }

  /** Hosts or ways out are others. */
  changed(): void {
    this.#planned = undefined;
  }

  errors(): DocumentError[] {
    return [...this.#errors.values()];
  }

  /** `services`: clients from outside are to be served. `guard`: the host has a policy of its own. */
  compute(
    hosts: Iterable<Host>,
    egress: Pick<EgressPlan, 'groups' | 'ways'>,
    { services = false, guard = false }: { readonly services?: boolean; readonly guard?: boolean } = {},
  ): DesiredUplinks | undefined {
    if (services !== this.#services || guard !== this.#guard) this.#planned = undefined;
    this.#services = services;
    this.#guard = guard;
    this.#planned ??= { desired: this.#compute([...hosts], egress) };
    return this.#planned.desired;
  }

  #compute(hosts: readonly Host[], egress: Pick<EgressPlan, 'groups' | 'ways'>): DesiredUplinks | undefined {
    const own = hosts.find(({ id }) => id === this.#ownHost);
    const network = this.#network?.body;
    const masquerade = network?.masquerade;
    const isMasquerading = masquerade !== undefined && (masquerade.ipv4 || masquerade.ipv6);
    const labels = labelTexts(own?.labels ?? {});
    const prefilters = [...this.#prefilters.values()].filter(({ body }) => isSelected(body.hosts, labels));
    const vlans = network && network.vlanBypass.length > 0 ? new Set(network.vlanBypass) : undefined;
    const nat64 = network?.nat64?.prefix ? canonical(network.nat64.prefix) : undefined;
    const strict = strictOf(network, own);
    const services = this.#services;
    const guard = this.#guard;
    const isAsked =
      guard || services || isMasquerading || nat64 !== undefined || vlans !== undefined || strict !== undefined;
    if (!isAsked && prefilters.length === 0 && egress.ways.length === 0) return undefined;
    return {
      interfaces: masquerade?.interfaces ?? [],
      masquerade4: masquerade?.ipv4 ?? false,
      masquerade6: masquerade?.ipv6 ?? false,
      prefer: [own?.underlayIp4 ?? '', own?.underlayIp6 ?? ''].filter((address) => address !== ''),
      nat64,
      unmasqueraded: isMasquerading ? unmasquerade(masquerade, hosts, own) : new Set(),
      vlans,
      services,
      acceleration: services ? XDP_WISH[network?.services?.acceleration ?? Acceleration.UNSPECIFIED] : undefined,
      strict,
      guard,
      prefilter:
        prefilters.length > 0 ? new Set(prefilters.flatMap(({ body }) => body.cidrs.map(canonical))) : undefined,
      ways: egress.groups.length > 0 ? egress.ways : undefined,
    };
  }
}
