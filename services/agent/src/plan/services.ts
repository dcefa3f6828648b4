// SPDX-License-Identifier: Apache-2.0
/**
 * Documents of services -> what this host's maps should hold. Incremental: a document that changes costs what it has, not
 * what the fleet has, and `take` says which elements are to be looked at. Who claims what others have: service-claims.ts.
 */
import { weir_service_flags as FLAG } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { decodeSeed } from '@weir/maglev';
import { canonicalIp, isIp } from '@weir/net';
import type { Host, LoadBalancerService, ServiceSettings } from '@weir/proto/weir/bus/v1/config_pb.js';
import { breathing } from '../breathe.ts';
import { type FrontendPlace, placesOf } from './frontend-places.ts';
import { movedHosts, type OverlayFacts, waysTo } from './host-ways.ts';
import { hostSource, type IpipSources, sourceOf } from './ipip-sources.ts';
import { isSelected, labelTexts, selectorIssues } from './label-selectors.ts';
import type { DocumentError } from './model.ts';
import { NO_OVERLAY } from './overlay.ts';
import { hijackIssues, takesHost } from './service-addresses.ts';
import { winnerOf } from './service-claims.ts';
import { serviceIssues } from './service-issues.ts';
import { NO_VIEW, ServiceRoom } from './service-room.ts';
import {
  type BackendValue,
  keyText,
  type PlannedFrontend,
  type PlannedTable,
  type ServiceView,
  type ViewFacts,
  viewOf,
} from './service-view.ts';

export interface NodePorts {
  readonly low: number;
  readonly high: number;
}

export interface DesiredServices {
  /** By `keyText`. */
  readonly frontends: ReadonlyMap<string, PlannedFrontend>;
  readonly tables: ReadonlyMap<number, PlannedTable>;
  readonly backends: ReadonlyMap<number, BackendValue>;
  /** Text, of all hosts. */
  readonly nodeAddresses: ReadonlySet<string>;
  readonly nodePorts: NodePorts;
  /** By `rangeText`. */
  readonly ranges: ReadonlySet<string>;
  /** Clients from outside may use some frontend. */
  readonly isOutside: boolean;
  /** The fleet's 12 bytes: with them every host makes the same Maglev tables. */
  readonly seed: Uint8Array;
  readonly sources: IpipSources;
  /** The backend is one of the service's, in whatever state. Of a service that is gone all are. */
  isServing(service: number, backend: number): boolean;
  /** What may differ from what it was when this was asked last. */
  take(): ServiceChanges;
}

export interface ServiceChanges {
  readonly frontends: ReadonlySet<string>;
  readonly tables: ReadonlySet<number>;
  readonly backends: ReadonlySet<number>;
  readonly ranges: ReadonlySet<string>;
  /** Some service has lost a backend. */
  readonly isLess: boolean;
}

interface Held {
  readonly body: LoadBalancerService;
  readonly revision: bigint;
  view: ServiceView | undefined;
}

const ZONE = 'topology.kubernetes.io/zone';
/** A few milliseconds. */
const SERVICES_AT_ONCE = 128;
const NODE_PORTS: NodePorts = { low: 30_000, high: 32_767 };
const SEED = 'JLfvgnHc2kaSUFaI';
interface Claim {
  readonly subject: string;
  readonly frontend: PlannedFrontend;
}

const noChanges = () => ({
  ...{ frontends: new Set<string>(), tables: new Set<number>(), backends: new Set<number>() },
  ranges: new Set<string>(),
  isLess: false,
});

/** What is the same for every backend, to compare. */
const textOf = ({ host, zone, addresses, ownAddresses }: ViewFacts, labels: readonly string[]): string =>
  JSON.stringify([host, zone, addresses, [...ownAddresses].sort(), labels]);

/** Of the network document; empty: all is well. */
export const seedIssues = (text: string): string[] => {
  try {
    decodeSeed(text === '' ? SEED : text, 'services.maglev_seed');
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
};

export class ServicePlanner {
  readonly #host: string;
  readonly #control: ReadonlySet<string>;
  readonly #documents = new Map<string, Held>();
  readonly #errors = new Map<string, DocumentError>();
  readonly room: ServiceRoom;
  readonly #dirty = new Set<string>();
  readonly #gone = new Map<string, ServiceView>();
  /** By key: one for each subject. Nearly always there is one, and lists of one are cheap. */
  readonly #claims = new Map<string, Claim[]>();
  /** Of how many subjects it is. */
  readonly #users = new Map<number, number>();
  /** Frontends that take a host's address, by key. */
  readonly #hijacks = new Map<string, DocumentError[]>();
  readonly #frontends = new Map<string, PlannedFrontend>();
  readonly #tables = new Map<number, PlannedTable>();
  readonly #backends = new Map<number, BackendValue>();
  readonly #ranges = new Set<string>();
  /** Frontends for clients from outside, by `keyText`. */
  readonly #outside = new Set<string>();
  #nodeAddresses: ReadonlySet<string> = new Set();
  #nodePorts = NODE_PORTS;
  #seed = decodeSeed(SEED);
  #sources: Partial<IpipSources> = {};
  /** Service -> its backends. */
  readonly #serving = new Map<number, ReadonlySet<number>>();
  readonly #names = new Map<number, string>();
  #changes = noChanges();
  #facts: ViewFacts = {
    host: '',
    zone: '',
    addresses: [],
    ownAddresses: new Set(),
    externalClusterIps: false,
    ways: new Map(),
  };
  #labels: readonly string[] = [];
  #hostsChanged = true;

  /** `control`: addresses of the control plane. `maxFrontends`: for how many this host has maps. */
  constructor(host: string, control: ReadonlySet<string> = new Set(), maxFrontends?: number) {
    this.#host = host;
    this.#control = control;
    this.room = new ServiceRoom(maxFrontends);
  }

  /** What cannot be read leaves what was before it in force, and says so. */
  put({ subject, document: { body, revision } }: ConfigEntry): void {
    if (body.case !== 'service') return;
    const issues = [
      ...serviceIssues(body.value),
      ...hijackIssues(body.value, this.#control),
      ...selectorIssues('hosts', body.value.hosts),
    ];
    this.#errors.delete(subject);
    if (issues.length > 0) {
      const message = `${subject}: ${issues.join('; ')}`;
      this.#errors.set(subject, { subject, revision, code: 'INVALID_ARGUMENT', message });
      return;
    }
    this.#documents.set(subject, { body: body.value, revision, view: this.#viewBefore(subject) });
    const serving = new Set(body.value.backends.map(({ number }) => number));
    for (const number of this.#serving.get(body.value.number) ?? [])
      if (!serving.has(number)) this.#changes.isLess = true;
    this.#serving.set(body.value.number, serving);
    this.#names.set(body.value.number, body.value.id);
    this.#dirty.add(subject);
  }

  remove(subject: string): void {
    const number = this.#documents.get(subject)?.body.number;
    if (number !== undefined) {
      this.#serving.delete(number);
      this.#names.delete(number);
    }
    const view = this.#viewBefore(subject);
    if (view) this.#gone.set(subject, view);
    this.#errors.delete(subject);
    this.room.forget(subject);
    this.#documents.delete(subject);
    this.#dirty.delete(subject);
  }

  setSettings(settings: ServiceSettings | undefined): void {
    this.#nodePorts = {
      low: settings?.nodePortLow || NODE_PORTS.low,
      high: settings?.nodePortHigh || NODE_PORTS.high,
    };
    const externalClusterIps = settings?.externalClusterIps ?? false;
    if (externalClusterIps !== this.#facts.externalClusterIps) {
      this.#facts = { ...this.#facts, externalClusterIps };
      for (const subject of this.#documents.keys()) this.#dirty.add(subject);
    }
    const [ip4, ip6] = [settings?.ipipSourceCidr4, settings?.ipipSourceCidr6].map(sourceOf);
    this.#sources = { ...(ip4 ? { ip4 } : {}), ...(ip6 ? { ip6 } : {}) };
    const text = settings?.maglevSeed || SEED;
    if (seedIssues(text).length > 0) return;
    const seed = decodeSeed(text);
    if (Buffer.compare(seed, this.#seed) === 0) return;
    this.#seed = seed;
    for (const table of this.#tables.keys()) this.#changes.tables.add(table);
  }

  /** Hosts, or the own addresses, are others. */
  changed(): void {
    this.#hostsChanged = true;
  }

  /** As documents have it. */
  nameOf(number: number): string | undefined {
    return this.#names.get(number);
  }

  /** By number. */
  places(): ReadonlyMap<number, FrontendPlace> {
    return placesOf(this.#frontends.values(), this.#names);
  }

  errors(): DocumentError[] {
    return [...this.#errors.values(), ...this.room.errors, ...[...this.#hijacks.values()].flat()];
  }

  /**
   * What takes long of compute(), with room for others in between: ten thousand services are a third of a second. Nobody
   * may use what compute() has given meanwhile. What is told meanwhile, the next compute() does.
   */
  async prepare(hosts: Iterable<Host>, addresses: readonly string[], overlay: OverlayFacts): Promise<void> {
    if (this.#hostsChanged) this.#readHosts([...hosts], addresses, overlay);
    const breathe = breathing(SERVICES_AT_ONCE);
    for (const subject of this.#inOrder(this.#dirty)) {
      this.#dirty.delete(subject);
      this.#plan(subject);
      const pause = breathe();
      if (pause) await pause;
    }
  }

  /** Undefined: there is no service. */
  compute(
    hosts: Iterable<Host>,
    addresses: readonly string[],
    overlay: OverlayFacts = NO_OVERLAY,
  ): DesiredServices | undefined {
    if (this.#hostsChanged) this.#readHosts([...hosts], addresses, overlay);
    for (const [subject, view] of this.#gone) {
      this.room.leave(view);
      this.#replace(subject, view, NO_VIEW);
    }
    this.#gone.clear();
    for (const subject of this.#inOrder(this.#dirty)) this.#plan(subject);
    this.#dirty.clear();
    for (const subject of this.#inOrder(this.room.mayFit())) this.#plan(subject);
    if (this.#documents.size === 0) return undefined;
    return {
      frontends: this.#frontends,
      tables: this.#tables,
      backends: this.#backends,
      nodeAddresses: this.#nodeAddresses,
      nodePorts: this.#nodePorts,
      ranges: this.#ranges,
      isOutside: this.#outside.size > 0,
      seed: this.#seed,
      sources: {
        ip4: this.#sources.ip4 ?? hostSource(this.#facts.addresses, false),
        ip6: this.#sources.ip6 ?? hostSource(this.#facts.addresses, true),
      },
      isServing: (service, backend) => this.#serving.get(service)?.has(backend) ?? true,
      take: () => {
        const changes = this.#changes;
        this.#changes = noChanges();
        return changes;
      },
    };
  }

  /** The oldest first: after a start the same ones have room as before. */
  #inOrder(subjects: Iterable<string>): string[] {
    const number = (subject: string): number => this.#documents.get(subject)?.body.number ?? 0;
    return [...subjects].sort((a, b) => number(a) - number(b));
  }

  #plan(subject: string): void {
    const held = this.#documents.get(subject);
    if (!held) return;
    const isMeant = isSelected(held.body.hosts, this.#labels);
    const view = isMeant ? viewOf(held.body, this.#facts) : NO_VIEW;
    const old = held.view ?? NO_VIEW;
    if (!this.room.admit({ subject, revision: held.revision, id: held.body.id }, old, view)) return;
    this.#replace(subject, old, view);
    held.view = view;
  }

  #viewBefore(subject: string): ServiceView | undefined {
    const gone = this.#gone.get(subject);
    this.#gone.delete(subject);
    return gone ?? this.#documents.get(subject)?.view;
  }

  #readHosts(hosts: readonly Host[], addresses: readonly string[], overlay: OverlayFacts): void {
    this.#hostsChanged = false;
    const own = hosts.find(({ id }) => id === this.#host);
    const underlay = (host: Host): string[] => [host.underlayIp4, host.underlayIp6].filter(isIp).map(canonicalIp);
    const nodes = new Set([...hosts.flatMap(underlay), ...addresses.filter(isIp).map(canonicalIp)]);
    const isOther = nodes.size !== this.#nodeAddresses.size || !nodes.isSubsetOf(this.#nodeAddresses);
    this.#nodeAddresses = nodes;
    if (isOther) for (const text of this.#claims.keys()) this.#decide(text);
    const ownAddresses = addresses.filter(isIp).map(canonicalIp);
    const facts: ViewFacts = {
      host: this.#host,
      zone: own?.labels[ZONE] ?? '',
      addresses: own ? underlay(own) : [],
      ownAddresses: new Set([...ownAddresses, ...(own ? underlay(own) : [])]),
      externalClusterIps: this.#facts.externalClusterIps,
      ways: waysTo(
        hosts.filter((host) => host !== own),
        overlay,
      ),
    };
    const labels = labelTexts(own?.labels ?? {});
    const moved = movedHosts(this.#facts.ways, facts.ways);
    const isSame = textOf(facts, labels) === textOf(this.#facts, this.#labels);
    this.#facts = facts;
    this.#labels = labels;
    if (isSame && moved.size === 0) return;
    for (const [subject, { body }] of this.#documents)
      if (!isSame || body.backends.some(({ hostId }) => moved.has(hostId))) this.#dirty.add(subject);
  }

  #replace(subject: string, old: ServiceView, view: ServiceView): void {
    const texts = new Set<string>();
    for (const { key } of old.frontends) {
      const text = keyText(key);
      texts.add(text);
      const left = this.#claims.get(text)?.filter((claim) => claim.subject !== subject) ?? [];
      if (left.length > 0) this.#claims.set(text, left);
      else this.#claims.delete(text);
    }
    for (const frontend of view.frontends) {
      const text = keyText(frontend.key);
      texts.add(text);
      const others = this.#claims.get(text)?.filter((claim) => claim.subject !== subject) ?? [];
      others.push({ subject, frontend });
      this.#claims.set(text, others);
    }
    for (const text of texts) this.#decide(text);
    for (const range of [...old.ranges, ...view.ranges]) this.#changes.ranges.add(range);
    for (const range of old.ranges) this.#ranges.delete(range);
    for (const range of view.ranges) this.#ranges.add(range);
    for (const table of old.tables.keys()) {
      if (view.tables.has(table)) continue;
      this.#tables.delete(table);
      this.#changes.tables.add(table);
    }
    for (const [number, table] of view.tables) {
      this.#tables.set(number, table);
      this.#changes.tables.add(number);
    }
    for (const number of old.backends.keys()) if (!view.backends.has(number)) this.#leave(number);
    for (const [number, value] of view.backends) {
      this.#backends.set(number, value);
      if (!old.backends.has(number)) this.#users.set(number, (this.#users.get(number) ?? 0) + 1);
      this.#changes.backends.add(number);
    }
  }

  #decide(text: string): void {
    const claims: PlannedFrontend[] = [];
    this.#hijacks.delete(text);
    for (const { subject, frontend } of this.#claims.get(text) ?? []) {
      if (takesHost(frontend, this.#nodeAddresses)) this.#refuse(text, subject, frontend);
      else claims.push(frontend);
    }
    const winner = winnerOf(claims);
    if (winner) this.#frontends.set(text, winner);
    else this.#frontends.delete(text);
    if (winner && winner.value.flags & FLAG.SERVICE_ROUTABLE) this.#outside.add(text);
    else this.#outside.delete(text);
    this.#changes.frontends.add(text);
  }

  #refuse(text: string, subject: string, { key }: PlannedFrontend): void {
    const message = `${subject}: ${key.address} is the address of a host, where only node ports and host ports are served`;
    const revision = this.#documents.get(subject)?.revision ?? 0n;
    const refused = this.#hijacks.get(text) ?? [];
    this.#hijacks.set(text, [...refused, { subject, revision, code: 'INVALID_ARGUMENT', message }]);
  }

  #leave(number: number): void {
    const users = (this.#users.get(number) ?? 0) - 1;
    if (users > 0) {
      this.#users.set(number, users);
      return;
    }
    this.#users.delete(number);
    this.#backends.delete(number);
    this.#changes.backends.add(number);
  }
}
