// SPDX-License-Identifier: Apache-2.0
/**
 * One service document -> what this host's maps should hold of it: pure. Who may be chosen is decided here (state,
 * traffic policy, zone), so that the programs only count slots.
 */
import { weir_backend_flags as BACKEND, weir_service_flags as FLAG } from '@weir/bpf';
import { canonicalIp, parseCidr } from '@weir/net';
import {
  DsrDispatch,
  FrontendScope,
  FrontendType,
  type LoadBalancerService,
  NoBackendResponse,
  ServiceAlgorithm,
  type ServiceBackend,
  ServiceForwarding,
  type ServiceFrontend,
  SourceRangesPolicy,
  BackendState as STATE,
  TrafficDistribution,
  TrafficPolicy,
} from '@weir/proto/weir/bus/v1/config_pb.js';

export interface FrontendKey {
  /** Text; unspecified: every address of a host. */
  readonly address: string;
  /** 0, with protocol 0: whatever else is asked of the address. */
  readonly port: number;
  readonly protocol: number;
  /** What the fleet sees, where that differs from what others see. */
  readonly internal: boolean;
}

export interface FrontendValue {
  readonly frontend: number;
  readonly service: number;
  /** enum weir_service_flags */
  readonly flags: number;
  readonly table: number;
  readonly active: number;
  readonly terminating: number;
  readonly affinityS: number;
  /** Slots of its Maglev table; 0: it has none. */
  readonly maglev: number;
}

export interface PlannedFrontend {
  readonly key: FrontendKey;
  readonly value: FrontendValue;
}

export interface PlannedTable {
  /** Numbers: those that take new connections first, then the terminating ones. */
  readonly backends: readonly number[];
  /** Clients stay with their backend. */
  readonly sticky: boolean;
  /** By backend, where the fewest connections decide. */
  readonly weights?: ReadonlyMap<number, number>;
  readonly maglev?: PlannedMaglev;
}

export interface PlannedMaglev {
  readonly size: number;
  /** By address, port and protocol, which the fleet agrees on: those that take new connections. */
  readonly backends: readonly { readonly number: number; readonly key: string; readonly weight: number }[];
  /** Those that keep the connections they have. */
  readonly keeping: ReadonlySet<number>;
}

export interface BackendValue {
  readonly address: string;
  readonly port: number;
  readonly protocol: number;
  /** enum weir_backend_flags */
  readonly flags: number;
  /** Its host's number in `tunnels`, or 0. */
  readonly host: number;
}

/** How packets get to another host. */
export interface HostWay {
  /** In `tunnels`; 0: it is in none. */
  readonly number: number;
  /** Neither in a tunnel nor encrypted. */
  readonly isDirect: boolean;
}

export interface ServiceView {
  readonly frontends: readonly PlannedFrontend[];
  readonly tables: ReadonlyMap<number, PlannedTable>;
  readonly backends: ReadonlyMap<number, BackendValue>;
  /** Clients that the service names, by `rangeText`. */
  readonly ranges: ReadonlySet<string>;
}

/** What of this host decides. */
export interface ViewFacts {
  readonly host: string;
  readonly zone: string;
  /** Its addresses in the fleet, for host ports. */
  readonly addresses: readonly string[];
  /** All that its interfaces have. */
  readonly ownAddresses: ReadonlySet<string>;
  /** Clients outside may use addresses of the type cluster-ip too. */
  readonly externalClusterIps: boolean;
  /** Other hosts by id. */
  readonly ways: ReadonlyMap<string, HostWay>;
}

const TCP = 6;
const ANY = { 4: '0.0.0.0', 6: '::' } as const;
const OUTSIDE: ReadonlySet<FrontendType> = new Set([
  FrontendType.UNSPECIFIED,
  FrontendType.NONE,
  FrontendType.NODE_PORT,
  FrontendType.EXTERNAL_IP,
  FrontendType.LOAD_BALANCER,
  FrontendType.HOST_PORT,
]);
const TYPE_FLAG: Partial<Record<FrontendType, number>> = {
  [FrontendType.NODE_PORT]: FLAG.SERVICE_NODE_PORT,
  [FrontendType.EXTERNAL_IP]: FLAG.SERVICE_EXTERNAL_IP,
  [FrontendType.LOAD_BALANCER]: FLAG.SERVICE_LOAD_BALANCER,
  [FrontendType.HOST_PORT]: FLAG.SERVICE_HOST_PORT,
  [FrontendType.LOCAL_REDIRECT]: FLAG.SERVICE_LOCAL_REDIRECT,
};
/** Their addresses are for services alone: a port that no service has is nobody's. */
const WHOLE: ReadonlySet<FrontendType> = new Set([FrontendType.CLUSTER_IP, FrontendType.LOAD_BALANCER]);
const UNNAMED = { address: '', internal: false, port: 0, protocol: 0 } as const;

export const keyText = ({ address, port, protocol, internal }: FrontendKey): string =>
  `${address} ${port} ${protocol}${internal ? ' internal' : ''}`;

export const rangeText = (service: number, cidr: string): string =>
  `${service} ${parseCidr(cidr, { allowAddress: true }).text}`;

const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

interface Chosen {
  readonly active: readonly number[];
  readonly terminating: readonly number[];
  readonly maglev?: PlannedMaglev;
  readonly weights?: ReadonlyMap<number, number>;
}

const isActive = ({ state }: ServiceBackend): boolean => state === STATE.ACTIVE || state === STATE.UNSPECIFIED;
const isTerminating = ({ state }: ServiceBackend): boolean => state === STATE.TERMINATING;
/** A backend that failed its check has nobody to answer for it; all others keep what they have. */
const isKeeping = ({ state }: ServiceBackend): boolean => state !== STATE.QUARANTINED;
const numbers = (backends: readonly ServiceBackend[]): number[] =>
  backends.map(({ number }) => number).sort((a, b) => a - b);

/** Those that are preferred, or all when there are none. */
const preferred = (
  active: readonly ServiceBackend[],
  distribution: TrafficDistribution,
  { host, zone }: ViewFacts,
): readonly ServiceBackend[] => {
  const near =
    distribution === TrafficDistribution.PREFER_SAME_NODE
      ? active.filter(({ hostId }) => hostId === host)
      : distribution === TrafficDistribution.PREFER_SAME_ZONE && zone !== ''
        ? active.filter((backend) => backend.zone === zone)
        : [];
  return near.length > 0 ? near : active;
};

const maglevOf = (
  { algorithm, maglevSize: size }: LoadBalancerService,
  own: readonly ServiceBackend[],
  taking: readonly ServiceBackend[],
): PlannedMaglev | undefined => {
  if (algorithm !== ServiceAlgorithm.MAGLEV || taking.length === 0) return undefined;
  return {
    size,
    backends: taking.map(({ number, address, port, protocol, weight }) => ({
      ...{ number, weight: weight === 0 ? 1 : weight },
      key: `${canonicalIp(address)}:${port}/${protocol}`,
    })),
    keeping: new Set(own.filter(isKeeping).map(({ number }) => number)),
  };
};

const weightsOf = (
  { algorithm }: LoadBalancerService,
  own: readonly ServiceBackend[],
): ReadonlyMap<number, number> | undefined =>
  algorithm === ServiceAlgorithm.LEAST_CONNECTIONS
    ? new Map(own.map(({ number, weight }) => [number, weight === 0 ? 1 : weight]))
    : undefined;

class View {
  readonly #service: LoadBalancerService;
  readonly #facts: ViewFacts;
  readonly frontends: PlannedFrontend[] = [];
  readonly tables = new Map<number, PlannedTable>();
  readonly backends = new Map<number, BackendValue>();
  readonly ranges: ReadonlySet<string>;

  constructor(service: LoadBalancerService, facts: ViewFacts) {
    this.#service = service;
    this.#facts = facts;
    this.ranges = new Set([...service.sourceRanges, ...this.#left()].map((range) => rangeText(service.number, range)));
  }

  /** Who is not redirected, as the ranges of the service: it has no others. */
  #left(): string[] {
    const { skipRedirectFromBackends, backends } = this.#service;
    if (!skipRedirectFromBackends) return [];
    return backends.filter(({ hostId }) => hostId === this.#facts.host).map(({ address }) => canonicalIp(address));
  }

  add(frontend: ServiceFrontend): void {
    const { address, type } = frontend;
    if (address !== '') this.#addAt(frontend, canonicalIp(address));
    else if (type === FrontendType.NODE_PORT) for (const any of [ANY[4], ANY[6]]) this.#addAt(frontend, any);
    else for (const own of this.#facts.addresses) this.#addAt(frontend, own);
  }

  #addAt(frontend: ServiceFrontend, address: string): void {
    const { internalTrafficPolicy, externalTrafficPolicy, frontends } = this.#service;
    const { type, scope } = frontend;
    const isRedirect = type === FrontendType.LOCAL_REDIRECT;
    const isHere = isRedirect || type === FrontendType.HOST_PORT;
    const inside = this.#choose(frontend, address, isHere || internalTrafficPolicy === TrafficPolicy.LOCAL);
    // Who has nothing here leaves it to whoever else serves the address.
    if (isHere && inside.active.length + inside.terminating.length === 0) return;
    const isOutside = this.#isOutside(frontend);
    const isInside = scope !== FrontendScope.EXTERNAL;
    const isSame =
      isHere || (externalTrafficPolicy === TrafficPolicy.LOCAL) === (internalTrafficPolicy === TrafficPolicy.LOCAL);
    const outside =
      isSame || !isOutside ? inside : this.#choose(frontend, address, externalTrafficPolicy === TrafficPolicy.LOCAL);
    const isTwo = isOutside && (!isInside || (!isSame && JSON.stringify(inside) !== JSON.stringify(outside)));
    const hasOther =
      scope === FrontendScope.INTERNAL &&
      frontends.some(
        (other) =>
          other.scope === FrontendScope.EXTERNAL &&
          other.address === frontend.address &&
          other.port === frontend.port &&
          other.protocol === frontend.protocol,
      );
    if (isOutside) this.#put(frontend, address, outside, { isTwo, internal: false });
    if (isRedirect) {
      // Over what somebody else serves there: he keeps what is asked from outside, and of whom it leaves out (services.ts).
      this.#put(frontend, address, inside, { internal: false });
      const over = this.frontends.at(-1) as PlannedFrontend;
      this.frontends.push({ ...over, key: { ...over.key, internal: true } });
      return;
    }
    if (isInside && (isTwo || !isOutside)) this.#put(frontend, address, inside, { internal: isTwo || hasOther });
    if (WHOLE.has(type) && isInside) this.#refuseRest(address, isOutside ? FLAG.SERVICE_ROUTABLE : 0);
  }

  #choose({ portName, protocol }: ServiceFrontend, address: string, isLocal: boolean): Chosen {
    const family = familyOf(address);
    const own = this.#service.backends.filter(
      (backend) =>
        backend.portName === portName &&
        backend.protocol === protocol &&
        familyOf(backend.address) === family &&
        (!isLocal || backend.hostId === this.#facts.host),
    );
    const active = preferred(own.filter(isActive), this.#service.distribution, this.#facts);
    for (const backend of own)
      if (!this.backends.has(backend.number)) this.backends.set(backend.number, this.#placed(backend));
    const terminating = own.filter(isTerminating);
    const maglev = maglevOf(this.#service, own, active.length > 0 ? active : terminating);
    const weights = weightsOf(this.#service, [...active, ...terminating]);
    return {
      ...{ active: numbers(active), terminating: numbers(terminating) },
      ...(maglev ? { maglev } : {}),
      ...(weights ? { weights } : {}),
    };
  }

  #placed({ address: text, port, protocol, hostId }: ServiceBackend): BackendValue {
    const address = canonicalIp(text);
    const { host, ownAddresses, ways } = this.#facts;
    const way = ways.get(hostId);
    const flags =
      hostId === host || ownAddresses.has(address) ? BACKEND.BACKEND_LOCAL : way?.isDirect ? BACKEND.BACKEND_DSR : 0;
    return { address, port, protocol, flags, host: way?.number ?? 0 };
  }

  #put(
    frontend: ServiceFrontend,
    address: string,
    { active, terminating, maglev, weights }: Chosen,
    { isTwo = false, internal }: { isTwo?: boolean; internal: boolean },
  ): void {
    const { number, port, protocol } = frontend;
    const { affinityTimeoutS } = this.#service;
    const table = number * 4 + (familyOf(address) === 6 ? 2 : 0) + (internal ? 1 : 0);
    this.tables.set(table, {
      ...{ backends: [...active, ...terminating], sticky: affinityTimeoutS > 0 },
      ...(maglev ? { maglev } : {}),
      ...(weights ? { weights } : {}),
    });
    this.frontends.push({
      key: { address, port, protocol, internal },
      value: {
        frontend: number,
        service: this.#service.number,
        flags: this.#flags(frontend) | (isTwo ? FLAG.SERVICE_TWO_SCOPES : 0),
        table,
        active: active.length,
        terminating: terminating.length,
        affinityS: affinityTimeoutS,
        maglev: maglev?.size ?? 0,
      },
    });
  }

  #isOutside({ type, scope }: ServiceFrontend): boolean {
    const isType = OUTSIDE.has(type) || (type === FrontendType.CLUSTER_IP && this.#facts.externalClusterIps);
    return isType && scope !== FrontendScope.INTERNAL;
  }

  #flags(frontend: ServiceFrontend): number {
    const { type, protocol } = frontend;
    const service = this.#service;
    const { forwarding, dsrDispatch } = service;
    const isDsr = forwarding === ServiceForwarding.DSR || (forwarding === ServiceForwarding.HYBRID && protocol === TCP);
    const bits: readonly (readonly [boolean, number])[] = [
      [this.#isOutside(frontend), FLAG.SERVICE_ROUTABLE],
      [service.affinityTimeoutS > 0, FLAG.SERVICE_AFFINITY],
      [service.externalTrafficPolicy === TrafficPolicy.LOCAL, FLAG.SERVICE_EXTERNAL_LOCAL],
      [service.internalTrafficPolicy === TrafficPolicy.LOCAL, FLAG.SERVICE_INTERNAL_LOCAL],
      [
        type === FrontendType.LOCAL_REDIRECT ? service.skipRedirectFromBackends : service.sourceRanges.length > 0,
        FLAG.SERVICE_SOURCE_RANGE,
      ],
      [service.sourceRangesPolicy === SourceRangesPolicy.DENY, FLAG.SERVICE_SOURCE_RANGE_DENY],
      [service.noBackend === NoBackendResponse.DROP, FLAG.SERVICE_NO_BACKEND_DROP],
      [isDsr, FLAG.SERVICE_DSR],
      [isDsr && dsrDispatch === DsrDispatch.IPIP, FLAG.SERVICE_DSR_IPIP],
      [service.algorithm === ServiceAlgorithm.LEAST_CONNECTIONS, FLAG.SERVICE_LEAST],
    ];
    return bits.reduce((flags, [isSet, bit]) => (isSet ? flags | bit : flags), TYPE_FLAG[type] ?? 0);
  }

  #refuseRest(address: string, more: number): void {
    const nobody = { frontend: 0, service: 0, table: 0, active: 0, terminating: 0, affinityS: 0, maglev: 0 };
    this.frontends.push({ key: { ...UNNAMED, address }, value: { ...nobody, flags: FLAG.SERVICE_WILDCARD | more } });
  }
}

/** A process of this host itself serves, at an address of the host: it gets what was asked of the service as it came. */
const isDelegated = ({ delegateIfLocal, backends }: LoadBalancerService, { ownAddresses }: ViewFacts): boolean =>
  delegateIfLocal && backends.some((one) => isActive(one) && ownAddresses.has(canonicalIp(one.address)));

export const viewOf = (service: LoadBalancerService, facts: ViewFacts): ServiceView => {
  const view = new View(service, facts);
  if (isDelegated(service, facts)) return view;
  for (const frontend of service.frontends) view.add(frontend);
  return view;
};
