// SPDX-License-Identifier: Apache-2.0
/**
 * The door between the runner and what answers its cells. The runner reads files, prints and counts; a mode plays a
 * world (alone in memory, in BPF maps, with real sockets), lets actions happen in it and answers cells. Nothing here
 * knows a file format. `engine-mode.ts`, `maps/mode.ts` and `traffic/mode.ts` (`createTrafficMode`) stand behind it;
 * the runner loads the one that is asked for. A mode has one session at a time; the next one opens after the last was closed.
 */

export type Labels = Readonly<Record<string, string>>;
export type Family = 4 | 6;
/** What a port belongs to. */
export type Transport = 'TCP' | 'UDP' | 'SCTP';
export type Protocol = Transport | 'ICMP' | 'ICMPv6';
export type Verdict = 'allow' | 'drop';

/** What would be of a connection, beside what is: if audited policies were enforced, and if staged ones were in place, too. */
export const VIEWS = ['audited', 'pending'] as const;
export type View = (typeof VIEWS)[number];

/** One new connection, tried once. */
export interface Cell {
  /** `ns/name` of a pod, or the name of an external. */
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  /** Of ICMP the type; the code is 0. */
  readonly port: number;
  readonly family: Family;
  /** Without it, what happens is asked; with it, what is said would happen. */
  readonly view?: View;
}

export interface NamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Transport;
}

export interface Pod {
  readonly ns: string;
  readonly name: string;
  /** Keys without a source are `k8s:` labels. */
  readonly labels: Labels;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly ports: readonly NamedPort[];
}

/** Addresses that are no workload's and yet something to policy; without an entity it is the world. */
export const ENTITIES = ['host', 'remote-node', 'kube-apiserver', 'health', 'ingress', 'init', 'unmanaged'] as const;
export type Entity = (typeof ENTITIES)[number];

/** Entities that have policies of their own (documents with a nodeSelector): the host of the pod spoken with, and another one. */
export const HOSTS: readonly (Entity | undefined)[] = ['host', 'remote-node'];

export interface External {
  readonly name: string;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly entity?: Entity;
  /** Of a host, as nodeSelectors look at it. */
  readonly labels?: Labels;
}

export interface World {
  readonly namespaces: ReadonlyMap<string, Labels>;
  /** By `ns/name`. */
  readonly pods: ReadonlyMap<string, Pod>;
  /** By name; never one of a pod. */
  readonly externals: ReadonlyMap<string, External>;
}

/** A policy as it was written: plain JSON, `kind` and `metadata` included. */
export type PolicyJson = Readonly<Record<string, unknown>>;

export interface PolicyName {
  /** NetworkPolicy, CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy. */
  readonly kind: string;
  /** Absent for a cluster-wide one. */
  readonly namespace?: string;
  readonly name: string;
}

export type Action =
  | { readonly do: 'createPolicy'; readonly policy: PolicyJson }
  | { readonly do: 'updatePolicy'; readonly policy: PolicyJson }
  | { readonly do: 'deletePolicy'; readonly policy: PolicyName }
  | { readonly do: 'createNamespace'; readonly namespace: string; readonly labels: Labels }
  | { readonly do: 'setNamespaceLabels'; readonly namespace: string; readonly labels: Labels }
  /** Pods and policies of the namespace go with it. */
  | { readonly do: 'deleteNamespace'; readonly namespace: string }
  | { readonly do: 'createPod'; readonly pod: Pod }
  /** Replaces all labels. */
  | { readonly do: 'setPodLabels'; readonly pod: string; readonly labels: Labels }
  | { readonly do: 'deletePod'; readonly pod: string };

export interface Needs {
  /** Every protocol and port that cells of the case probe: each pod and external listens on all of them. */
  readonly listens: readonly { readonly protocol: Transport; readonly port: number }[];
}

export type OwnAddresses = Readonly<Partial<Record<Entity, { readonly ip4: string; readonly ip6: string }>>>;

export interface Mode {
  readonly name: 'engine' | 'maps' | 'traffic';
  /** Addresses that some entities have whatever a file says, where the mode plays them by its own. */
  readonly ownAddresses?: OwnAddresses;
  /** Why this cell cannot be asked here, such as a protocol that the kernel lacks. */
  skips(cell: Cell): string | undefined;
  /** A case begins. */
  open(world: World, needs: Needs): Promise<Session>;
  close(): Promise<void>;
}

export interface Refusal {
  /** Of the field, as the user is told: `spec.ingress[0].ports[0].port`. */
  readonly path: string;
  readonly message: string;
}

export interface Session {
  /** Settles when all of it is in force, in the order given. */
  act(actions: readonly Action[]): Promise<void>;
  /** Offers a policy that must not be taken: how it was refused, or undefined when it was taken. */
  refused(policy: PolicyJson): Promise<Refusal | undefined>;
  /** One verdict per cell, in their order; each cell is a connection of its own. Undefined: no clear answer, `explain` says why. */
  ask(cells: readonly Cell[]): Promise<readonly (Verdict | undefined)[]>;
  /** What the mode itself knows about this cell, besides the engine's explanation; '' when nothing. */
  explain(cell: Cell): string;
  close(): Promise<void>;
}
