// SPDX-License-Identifier: Apache-2.0
/**
 * What this host's BGP speaker is to say and to whom, from the documents alone: instances that select the host, their peers, and
 * as routes the host's blocks of pools and the addresses of services that it would serve.
 */
import type { ConfigEntry } from '@weir/bus';
import { canonicalCidr, cidrOfAddress, isIp, parseIp } from '@weir/net';
import {
  type BgpAdvertisement,
  type BgpInstance,
  FrontendType,
  type Host,
  type LoadBalancerService,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { isServedAt, serviceLabels } from '../announce/candidates.ts';
import { isSelected, labelTexts } from '../plan/label-selectors.ts';

export type Family = 4 | 6;

export interface PlannedPeer {
  readonly name: string;
  readonly address: string;
  readonly localAddress: string;
  readonly asn: number;
  readonly port: number;
  readonly passwordFile: string;
  readonly holdTimeS: number;
  readonly keepaliveTimeS: number;
  readonly connectRetryS: number;
  readonly gracefulRestartS: number;
  readonly ebgpMultihop: number;
  readonly families: readonly Family[];
}

export interface PlannedAdvertisement {
  readonly communities: readonly string[];
  readonly localPreference: number | undefined;
  /** Names; none: all of the instance. */
  readonly peers: readonly string[];
}

/** What the same advertisements name. */
export interface PlannedRoutes {
  /** Canonical, sorted. */
  readonly prefixes: readonly string[];
  /** In their order: each peer hears it as the first one says that is for it. */
  readonly advertisements: readonly number[];
}

export interface PlannedInstance {
  readonly name: string;
  readonly localAsn: number;
  readonly localPort: number;
  readonly peers: readonly PlannedPeer[];
  readonly advertisements: readonly PlannedAdvertisement[];
  /** Each prefix once. */
  readonly routes: readonly PlannedRoutes[];
}

export interface BgpPlan {
  readonly routerId: string;
  /** With which the host says where its prefixes are, over sessions of the other family. */
  readonly nextHop4: string;
  readonly nextHop6: string;
  readonly instances: readonly PlannedInstance[];
}

const HOLD_S = 90;
const KEEPALIVE_S = 30;
const RETRY_S = 120;
const BGP_PORT = 179;
const FRONTEND: Readonly<Record<string, FrontendType>> = {
  'load-balancer': FrontendType.LOAD_BALANCER,
  'external-ip': FrontendType.EXTERNAL_IP,
  'cluster-ip': FrontendType.CLUSTER_IP,
};

export const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4);

/** A host without an IPv4 address has one of its own all the same: 32 bits of its name. */
const routerIdOf = ({ id, underlayIp4 }: Host): string => {
  if (isIp(underlayIp4)) return underlayIp4;
  let hash = 2_166_136_261;
  for (const char of id) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619) >>> 0;
  // Never 0 nor of a class that is none of a host.
  return `10.${(hash >>> 16) & 255}.${(hash >>> 8) & 255}.${hash & 255 || 1}`;
};

/** Addresses that routers may hear of, by name of the interface. */
export type InterfaceAddresses = ReadonlyMap<string, readonly string[]>;

export class BgpPlanner {
  readonly #host: string;
  #self: Host | undefined;
  readonly #instances = new Map<string, BgpInstance>();
  readonly #services = new Map<string, LoadBalancerService>();
  #addresses: InterfaceAddresses = new Map();

  constructor(host: string) {
    this.#host = host;
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#self = undefined;
    this.#instances.clear();
    this.#services.clear();
    for (const entry of entries) this.change(entry);
  }

  /** Says whether it could matter. */
  change({ kind, key, removed, document: { body } }: ConfigEntry): boolean {
    if (kind === 'bgpInstance') {
      if (removed || body.case !== 'bgpInstance') this.#instances.delete(key);
      else this.#instances.set(key, body.value);
      return true;
    }
    if (kind === 'service') {
      if (removed || body.case !== 'service') this.#services.delete(key);
      else this.#services.set(key, body.value);
      return this.#instances.size > 0;
    }
    if (kind !== 'host' || key !== this.#host) return false;
    this.#self = removed || body.case !== 'host' ? undefined : body.value;
    return this.#instances.size > 0;
  }

  /** Interfaces whose addresses some instance tells of. */
  get interfaces(): ReadonlySet<string> {
    const all = [...this.#instances.values()].flatMap(({ advertisements }) => advertisements);
    return new Set(all.flatMap((one) => (one.type === 'interface' ? one.interface : [])));
  }

  /** `addresses`: by interface, of those. Undefined: this host speaks to nobody. */
  plan(addresses: InterfaceAddresses = new Map()): BgpPlan | undefined {
    this.#addresses = addresses;
    const self = this.#self;
    if (!self) return undefined;
    const labels = labelTexts(self.labels);
    const instances = [...this.#instances.values()]
      .filter(({ hosts, peers }) => isSelected(hosts, labels) && peers.length > 0)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const [first] = instances;
    if (!first) return undefined;
    const override = (one: BgpInstance) => one.overrides.find(({ host }) => host === self.id);
    return {
      routerId: instances.map((one) => override(one)?.routerId ?? '').find((id) => id !== '') ?? routerIdOf(self),
      nextHop4: self.underlayIp4,
      nextHop6: self.underlayIp6,
      instances: instances.map((one) => {
        const { localAsn = 0, localAddress4 = '', localAddress6 = '' } = override(one) ?? {};
        return {
          name: one.name,
          localAsn: localAsn || one.localAsn,
          localPort: one.localPort,
          peers: one.peers.map((peer) => peerOf(peer, { 4: localAddress4, 6: localAddress6 })),
          advertisements: one.advertisements.map(({ communities, localPreference, peers }) => ({
            ...{ communities, localPreference, peers },
          })),
          routes: this.#routesOf(one, self, labels),
        };
      }),
    };
  }

  #routesOf({ advertisements }: BgpInstance, self: Host, labels: readonly string[]): PlannedRoutes[] {
    const named = new Map<string, number[]>();
    for (const [at, advertisement] of advertisements.entries())
      for (const prefix of new Set(this.#prefixesOf(advertisement, self, labels)))
        named.set(prefix, [...(named.get(prefix) ?? []), at]);
    const groups = new Map<string, { prefixes: string[]; advertisements: number[] }>();
    for (const [prefix, by] of [...named].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const group = groups.get(by.join());
      if (group) group.prefixes.push(prefix);
      else groups.set(by.join(), { prefixes: [prefix], advertisements: by });
    }
    return [...groups.values()];
  }

  #prefixesOf(advertisement: BgpAdvertisement, self: Host, labels: readonly string[]): string[] {
    const { type, services, addresses, interface: device } = advertisement;
    if (type === 'interface')
      return (this.#addresses.get(device) ?? []).map((address) => cidrOfAddress(parseIp(address)).text);
    if (type === 'pod-cidr') return self.pools.map((pool) => canonicalCidr(pool));
    const types = new Set(addresses.map((name) => FRONTEND[name]));
    return [...this.#services.values()]
      .filter((service) => isSelected(services, serviceLabels(service)) && isServedAt(service, self.id, labels))
      .flatMap(({ frontends }) => frontends)
      .filter(({ type: frontend, address }) => types.has(frontend) && isIp(address))
      .map(({ address }) => cidrOfAddress(parseIp(address)).text);
  }
}

const peerOf = (peer: BgpInstance['peers'][number], local: Readonly<Record<Family, string>>): PlannedPeer => {
  const own = familyOf(peer.address);
  return {
    name: peer.name,
    address: peer.address,
    localAddress: local[own],
    asn: peer.asn,
    port: peer.port || BGP_PORT,
    passwordFile: peer.passwordFile,
    holdTimeS: peer.holdTimeS || HOLD_S,
    keepaliveTimeS: peer.keepaliveTimeS || KEEPALIVE_S,
    connectRetryS: peer.connectRetryS || RETRY_S,
    gracefulRestartS: peer.gracefulRestartS,
    ebgpMultihop: peer.ebgpMultihop,
    families:
      peer.families.length === 0 ? [own] : ([4, 6] as const).filter((family) => peer.families.includes(`ipv${family}`)),
  };
};
