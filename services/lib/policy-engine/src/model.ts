// SPDX-License-Identifier: Apache-2.0
/**
 * One rule model for all kinds of documents. What a kind means (defaults, namespaces, empty against absent lists) is decided
 * while parsing; behind this point nothing asks which kind a rule came from.
 */
import type { Cidr } from '@weir/net';
import type { Selector } from './selector.ts';
import type { Validity } from './validity.ts';

export type Kind =
  | 'NetworkPolicy'
  | 'CiliumNetworkPolicy'
  | 'CiliumClusterwideNetworkPolicy'
  | 'ClusterNetworkPolicy'
  | 'FirewallPolicy'
  | 'CiliumCIDRGroup';
export type Direction = 'ingress' | 'egress';
/** `pass` leaves it to the next tier. */
export type Action = 'allow' | 'deny' | 'pass';

/** Asked in this order. What none decided is denied when a policy of the Normal tier isolates, else allowed. */
export const TIERS = ['Admin', 'Normal', 'Baseline'] as const;
export type Tier = (typeof TIERS)[number];

/**
 * enforce; audit: allows as when enforced, what it would refuse goes on; staged: only judged beside what is enforced; off: kept,
 * judged by nobody. What audited and staged documents would do is told by explain and in flows.
 */
export const MODES = ['enforce', 'audit', 'staged', 'off'] as const;
export type PolicyMode = (typeof MODES)[number];

/** What enforcing a staged document would do. Learn and Ignore do nothing to verdicts: such a document only lies ready. */
export const STAGED_ACTIONS = ['Set', 'Delete', 'Learn', 'Ignore'] as const;
export type StagedAction = (typeof STAGED_ACTIONS)[number];

/**
 * How who is refused hears of it. None: not at all. Reset: TCP by a reset, all else as by Icmp. Icmp: ICMP or ICMPv6 says that it is
 * administratively prohibited.
 */
export const DENY_RESPONSES = ['None', 'Reset', 'Icmp'] as const;
export type DenyResponse = (typeof DENY_RESPONSES)[number];

/** In the text that was parsed, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type Entity =
  | 'all'
  | 'world'
  | 'world-ipv4'
  | 'world-ipv6'
  | 'cluster'
  | 'host'
  | 'init'
  | 'ingress'
  | 'unmanaged'
  | 'remote-node'
  | 'health'
  | 'none'
  | 'kube-apiserver';

/**
 * Prefixes under a name, for rules of any policy. What is no document of its own says of what it is: a host (its addresses), or a service of
 * the registry (`namespace/name`, addresses of its backends).
 */
export interface CidrGroup {
  readonly of?: 'node' | 'service';
  readonly name: string;
  /** As a selector looks at them: `k8s:key=value`. */
  readonly labels: readonly string[];
  readonly cidrs: readonly Cidr[];
}

export type Peer =
  | { readonly kind: 'selector'; readonly path: string; readonly selector: Selector }
  | { readonly kind: 'entity'; readonly path: string; readonly entity: Entity }
  | {
      readonly kind: 'cidr';
      readonly path: string;
      readonly cidr: Cidr;
      readonly except: readonly Cidr[];
      /** Kubernetes ipBlock: also matches managed peers by their address. */
      readonly ipBlock: boolean;
    }
  /** CIDR groups, hosts or services by name, or those that a selector finds: see groups.ts. */
  | {
      readonly kind: 'group';
      readonly path: string;
      readonly of?: 'node' | 'service';
      readonly group?: string;
      readonly selector?: Selector;
      /** Of services that a selector finds: only those. */
      readonly namespace?: string;
    };

/** ICMP types are ports too: type << 8, whatever the code. */
export type L4 =
  | { readonly kind: 'range'; readonly protocol: number; readonly first: number; readonly last: number }
  | { readonly kind: 'named'; readonly protocol: number; readonly name: string };

export interface Rule {
  /** `spec.ingress[0]`, `specs[1].egressDeny[2]`. */
  readonly path: string;
  readonly direction: Direction;
  readonly action: Action;
  /** As its author calls it. */
  readonly name?: string;
  /** 'any': whoever. A list: any of these; an empty one is nobody. */
  readonly peers: 'any' | readonly Peer[];
  /** 'any': every protocol and port. A list: any of these; an empty one is no traffic. */
  readonly l4: 'any' | readonly L4[];
  /** Of a deny; absent = None. */
  readonly denyResponse?: DenyResponse;
  readonly position?: Position;
}

export interface PolicySpec {
  /** `spec` or `specs[1]`. */
  readonly path: string;
  readonly subject: Selector;
  /** The subject are hosts (nodeSelector), by their own labels, and no workload. */
  readonly onHosts?: boolean;
  readonly tier: Tier;
  /** Of the Admin and Baseline tiers: the lower number decides first, then the order of rules. */
  readonly priority: number;
  readonly defaultDeny: { readonly ingress: boolean; readonly egress: boolean };
  /** Of its default denials; absent = None. */
  readonly denyResponse?: DenyResponse;
  readonly rules: readonly Rule[];
  readonly description?: string;
  /** What flows say that a rule of it decided: 32 printable characters at most. */
  readonly log?: string;
  readonly position?: Position;
}

/** Something legal that its author may not have meant. */
export interface PolicyWarning {
  readonly code: string;
  readonly message: string;
  readonly path: string;
  readonly fix?: string;
  readonly line?: number;
  readonly column?: number;
}

export interface PolicyDocument {
  /** kind/namespace/name; `-` stands for the namespace of a cluster-wide policy. */
  readonly key: string;
  readonly kind: Kind;
  readonly apiVersion: string;
  /** Absent in cluster-wide policies. */
  readonly namespace?: string;
  /** It was not written, so it is `default`. */
  readonly namespaceIsDefault?: boolean;
  readonly name: string;
  /** As written, without status and what a server fills in. */
  readonly json: PolicyJson;
  readonly mode: PolicyMode;
  /** Of a staged document: the one in force that it is about; without it, itself. */
  readonly staged?: { readonly action: StagedAction; readonly of?: string };
  /** When it counts; absent = always. */
  readonly validity?: Validity;
  /** Of a CiliumCIDRGroup, which has no specs. */
  readonly group?: CidrGroup;
  readonly specs: readonly PolicySpec[];
  /** Found while parsing; lint() adds what needs identities. */
  readonly warnings: readonly PolicyWarning[];
  readonly position?: Position;
}

export interface PolicyJson {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly specs?: unknown;
}

/** A rule as the policy service numbers it. */
export interface ListedRule {
  readonly path: string;
  readonly direction: Direction;
  readonly action: Action;
  readonly description?: string;
  /** What flows say that it decided. */
  readonly log?: string;
  readonly line?: number;
  readonly column?: number;
}

export const defaultDenyPath = (spec: PolicySpec, direction: Direction): string =>
  `${spec.path}.defaultDeny.${direction}`;

/** Every rule in document order, each spec followed by the default denials it causes, which are rules too: they refuse. */
export const listRules = (doc: PolicyDocument): ListedRule[] =>
  doc.specs.flatMap((spec) => {
    const description = spec.description === undefined ? {} : { description: spec.description };
    const log = spec.log === undefined ? {} : { log: spec.log };
    const listed: ListedRule[] = spec.rules.map(({ path, direction, action, name, position }) => ({
      path,
      direction,
      action,
      ...(name === undefined ? description : { description: name }),
      ...log,
      ...position,
    }));
    for (const direction of ['ingress', 'egress'] as const) {
      if (!spec.defaultDeny[direction]) continue;
      listed.push({
        path: defaultDenyPath(spec, direction),
        direction,
        action: 'deny',
        ...description,
        ...log,
        ...spec.position,
      });
    }
    return listed;
  });
