// SPDX-License-Identifier: Apache-2.0
/**
 * Which workloads leave by which egress gateway, as this host must know it: of its own workloads all, of those of others
 * the ones that it may serve. No I/O.
 *
 * A group is one hop of one document: the hosts that its selector means, in the order of their names. The first that is
 * alive gets new connections; a host serves whoever comes, because others may see another one dead.
 */
import { weir_limits } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import type { Host, Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import { EgressDocuments } from './egress-documents.ts';
import { type Choice, type EgressSet, egressSet, hopOf, setNumber } from './egress-sets.ts';
import { isSelected, labelTexts } from './label-selectors.ts';
import type { DocumentError } from './model.ts';
import { HostNumbers, type LocalIdState } from './numbers.ts';

/** Where a gateway's address comes from; one of both is given. */
export interface WayOut {
  readonly interface: string;
  readonly egressIp: string;
}

export interface DesiredGateway {
  readonly group: number;
  readonly host: string;
  /** Number of the host in `tunnels`; 0 = this host. */
  readonly tunnel: number;
  readonly alive: boolean;
  /** Of this host's. */
  readonly way: WayOut | undefined;
}

export interface DesiredEgress {
  /** Address of a workload -> its set. */
  readonly sources: ReadonlyMap<string, number>;
  readonly sets: ReadonlyMap<number, EgressSet>;
  readonly groups: ReadonlyMap<number, { readonly chosen: number; readonly own: number }>;
  readonly gateways: ReadonlyMap<number, DesiredGateway>;
}

interface Group {
  readonly name: string;
  readonly number: number;
  /** In the order in which they are chosen. */
  readonly hosts: readonly string[];
  readonly way: WayOut;
}

export interface EgressPlan {
  readonly sources: ReadonlyMap<string, number>;
  readonly sets: ReadonlyMap<number, EgressSet>;
  readonly groups: readonly Group[];
  /** Ids of this host's workloads that leave by a gateway. */
  readonly selected: ReadonlySet<string>;
  /** Hosts that must be reached through the tunnel device, however they are routed. */
  readonly peers: ReadonlySet<string>;
  /** Hosts whose health decides for this host's workloads. */
  readonly watched: ReadonlySet<string>;
  /** Ways out of this host. */
  readonly ways: readonly WayOut[];
  readonly errors: readonly DocumentError[];
}

export const NO_EGRESS: EgressPlan = {
  sources: new Map(),
  sets: new Map(),
  groups: [],
  selected: new Set(),
  peers: new Set(),
  watched: new Set(),
  ways: [],
  errors: [],
};

/** No such group: the datapath drops (194). For what has no room. */
const CLOSED = 0xffff_fffe;
const MAX_SOURCES = weir_limits.WEIR_MAX_EGRESS_SOURCES;
const MAX_ROUTES = weir_limits.WEIR_MAX_EGRESS_ROUTES;

export interface EgressInput {
  readonly hosts: Iterable<Host>;
  readonly workloads: Iterable<Workload>;
  /** Undefined: not known here. */
  readonly labelsOf: (identity: number) => readonly string[] | undefined;
}

export interface EgressNumbers {
  readonly groups: HostNumbers;
  readonly gateways: HostNumbers;
}

/** Numbers as they were kept. */
export const egressNumbers = (state?: {
  readonly egressGroups: LocalIdState;
  readonly egressGateways: LocalIdState;
}): EgressNumbers => ({
  groups: new HostNumbers(state?.egressGroups, weir_limits.WEIR_MAX_EGRESS_GROUPS),
  gateways: new HostNumbers(state?.egressGateways, weir_limits.WEIR_MAX_EGRESS_GATEWAYS),
});

/** What a change of the plan is made in. */
interface Draft {
  readonly groups: Map<string, Group>;
  readonly sets: Map<number, EgressSet>;
  readonly sources: Map<string, number>;
  readonly selected: Set<string>;
  readonly peers: Set<string>;
  readonly watched: Set<string>;
  readonly hosts: readonly Host[];
  routes: number;
  readonly full: Set<string>;
}

export class EgressPlanner {
  readonly #ownHost: string;
  readonly #documents = new EgressDocuments();
  readonly numbers: EgressNumbers;
  #plan: EgressPlan = NO_EGRESS;
  #isDue = false;
  #noRoom = '';

  constructor(ownHost: string, numbers: EgressNumbers = egressNumbers()) {
    this.#ownHost = ownHost;
    this.numbers = numbers;
  }

  put(entry: ConfigEntry): void {
    this.#documents.put(entry);
    this.#isDue = true;
  }

  remove(subject: string): void {
    this.#documents.remove(subject);
    this.#isDue = true;
  }

  /** A host, a workload or labels changed. */
  changed(): void {
    if (!this.#documents.isEmpty) this.#isDue = true;
  }

  get plan(): EgressPlan {
    return this.#plan;
  }

  errors(): DocumentError[] {
    const message = this.#noRoom;
    const noRoom = message === '' ? [] : [{ subject: '', revision: 0n, code: 'TOO_LARGE', message }];
    return [...this.#documents.errors(), ...this.#plan.errors, ...noRoom];
  }

  /** True when there is a new plan. */
  compute(input: EgressInput): boolean {
    if (!this.#isDue) return false;
    this.#isDue = false;
    this.#plan = this.#documents.isEmpty ? NO_EGRESS : this.#compute(input);
    this.numbers.groups.keep(new Map(this.#plan.groups.map(({ name, number }) => [name, number])));
    return true;
  }

  #compute({ hosts, workloads, labelsOf }: EgressInput): EgressPlan {
    const draft: Draft = {
      ...{ groups: new Map(), sets: new Map(), sources: new Map(), selected: new Set(), peers: new Set() },
      ...{ watched: new Set(), routes: 0, full: new Set() },
      hosts: [...hosts].sort((a, b) => (`${a.name} ${a.id}` < `${b.name} ${b.id}` ? -1 : 1)),
    };
    const { mindsHosts } = this.#documents;
    const hostLabels = new Map(draft.hosts.map(({ id, labels }) => [id, labelTexts(labels)]));
    const selecting = new Map<number | string, ReturnType<EgressDocuments['selecting']>>();
    /** Workloads that the same documents and hops serve share a set. */
    const sets = new Map<string, number>();
    for (const workload of workloads) {
      const { id, identity, hostId } = workload;
      const kind = mindsHosts ? `${identity} ${hostId}` : identity;
      let documents = selecting.get(kind);
      if (!documents) {
        const labels = labelsOf(identity);
        documents = labels ? this.#documents.selecting(labels, hostLabels.get(hostId) ?? []) : [];
        selecting.set(kind, documents);
      }
      if (documents.length === 0) continue;
      const choices = documents.map((document): Choice => ({ document, hop: hopOf(document, id) }));
      const groups = choices.map((choice) => this.#group(draft, choice));
      const here = hostId === this.#ownHost;
      if (!here && !groups.some((group) => group?.hosts.includes(this.#ownHost))) continue;
      const key = groups.map((group, i) => group?.name ?? `closed ${choices[i]?.document.subject}`).join('\n');
      let set = sets.get(key);
      if (set === undefined) {
        set = this.#set(draft, choices);
        sets.set(key, set);
      }
      this.#place(draft, workload, set);
      if (!here) draft.peers.add(hostId);
      else {
        draft.selected.add(id);
        for (const group of groups) for (const host of group?.hosts ?? []) draft.watched.add(host);
      }
    }
    draft.watched.delete(this.#ownHost);
    for (const host of draft.watched) draft.peers.add(host);
    const groups = [...draft.groups.values()];
    return {
      ...draft,
      groups,
      ways: groups.filter(({ hosts: serving }) => serving.includes(this.#ownHost)).map(({ way }) => way),
      errors: [...draft.full].map((message) => ({ subject: '', revision: 0n, code: 'TOO_LARGE', message })),
    };
  }

  /** Undefined: there is no number for it. */
  #group({ groups, hosts, full }: Draft, { document: { body }, hop }: Choice): Group | undefined {
    const name = `${body.name}/${hop}`;
    const known = groups.get(name);
    const gateway = body.gateways[hop];
    if (known || !gateway) return known;
    try {
      const group = {
        name,
        number: this.numbers.groups.of(name),
        hosts: hosts.filter((host) => isSelected(gateway.hosts, labelTexts(host.labels))).map(({ id }) => id),
        way: { interface: gateway.interface, egressIp: gateway.egressIp },
      };
      groups.set(name, group);
      return group;
    } catch (error) {
      full.add(`${(error as Error).message}: what ${body.name} selects is dropped`);
      return undefined;
    }
  }

  #set(draft: Draft, choices: readonly Choice[]): number {
    let set = egressSet(choices, (choice) => this.#group(draft, choice)?.number ?? CLOSED);
    if (draft.routes + set.size > MAX_ROUTES) {
      draft.full.add(`egress gateways have more than ${MAX_ROUTES} destinations on this host: others are dropped`);
      set = new Map(['0.0.0.0/0', '::/0'].map((all) => [all, CLOSED]));
    }
    const number = setNumber(set, draft.sets);
    if (!draft.sets.has(number)) draft.routes += set.size;
    draft.sets.set(number, set);
    return number;
  }

  #place({ sources, full }: Draft, { ip4, ip6 }: Workload, set: number): void {
    for (const address of [ip4, ip6]) {
      if (address === '') continue;
      if (sources.size < MAX_SOURCES || sources.has(address)) sources.set(address, set);
      else full.add(`more than ${MAX_SOURCES} addresses leave by egress gateways: the others are dropped`);
    }
  }

  /** Undefined: there is no room for another gateway, and it is said. */
  #gatewayNumber(name: string): number | undefined {
    try {
      return this.numbers.gateways.of(name);
    } catch (error) {
      this.#noRoom = `egress gateway ${name} is not used: ${(error as Error).message}`;
      return undefined;
    }
  }

  /** `tunnels`: numbers of hosts that can be reached through the device. */
  resolve(tunnels: ReadonlyMap<string, number>, unreachable: ReadonlySet<string>): DesiredEgress | undefined {
    const plan = this.#plan;
    if (plan === NO_EGRESS) return undefined;
    const groups = new Map<number, { chosen: number; own: number }>();
    const gateways = new Map<number, DesiredGateway>();
    const names = new Map<string, number>();
    this.#noRoom = '';
    for (const { name, number, hosts, way } of plan.groups) {
      let [chosen, own] = [0, 0];
      for (const host of hosts) {
        const here = host === this.#ownHost;
        const tunnel = here ? 0 : tunnels.get(host);
        if (tunnel === undefined) continue;
        const gateway = this.#gatewayNumber(`${name}/${host}`);
        if (gateway === undefined) continue;
        names.set(`${name}/${host}`, gateway);
        const alive = here || !unreachable.has(host);
        gateways.set(gateway, { group: number, host, tunnel, alive, way: here ? way : undefined });
        if (here) own = gateway;
        if (alive && chosen === 0) chosen = gateway;
      }
      groups.set(number, { chosen, own });
    }
    this.numbers.gateways.keep(names);
    return { sources: plan.sources, sets: plan.sets, groups, gateways };
  }
}
