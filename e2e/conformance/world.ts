// SPDX-License-Identifier: Apache-2.0
/**
 * A world that changes: the one meaning of every action, for the files' reader (which refuses actions on what is not
 * there) and for the modes that have no fleet to ask.
 */
import { type Action, HOSTS, type Labels, type Pod, type PolicyJson, type PolicyName, type World } from './mode.ts';

export interface State extends World {
  readonly namespaces: Map<string, Labels>;
  readonly pods: Map<string, Pod>;
  /** By kind/namespace/name, `-` for the namespace of a cluster-wide one. */
  readonly policies: Map<string, PolicyJson>;
}

export const podKey = (pod: Pick<Pod, 'ns' | 'name'>): string => `${pod.ns}/${pod.name}`;

export const createState = (world: World): State => ({
  namespaces: new Map(world.namespaces),
  pods: new Map(world.pods),
  externals: world.externals,
  policies: new Map(),
});

const DEFAULT_NAMESPACE = 'default';
const CLUSTER_WIDE = ['CiliumClusterwideNetworkPolicy', 'ClusterNetworkPolicy', 'CiliumCIDRGroup'];

/** What the document calls itself; fields of the wrong type are left for admission to name. */
export const policyName = (policy: PolicyJson): PolicyName => {
  const metadata = (policy.metadata ?? {}) as { name?: unknown; namespace?: unknown };
  const kind = String(policy.kind ?? '');
  const name = String(metadata.name ?? '');
  const clusterWide = CLUSTER_WIDE.includes(kind) || (kind === 'FirewallPolicy' && metadata.namespace === undefined);
  return clusterWide ? { kind, name } : { kind, name, namespace: String(metadata.namespace ?? DEFAULT_NAMESPACE) };
};

export const policyKey = ({ kind, namespace, name }: PolicyName): string => `${kind}/${namespace ?? '-'}/${name}`;

const ofNamespace = (key: string, namespace: string): boolean => key.split('/')[1] === namespace;

/** Does it, or says why it cannot be done. */
export const apply = (state: State, action: Action): string | undefined => {
  switch (action.do) {
    case 'createPolicy': {
      const key = policyKey(policyName(action.policy));
      if (state.policies.has(key)) return `the policy ${key} exists already`;
      state.policies.set(key, action.policy);
      return undefined;
    }
    case 'updatePolicy': {
      const key = policyKey(policyName(action.policy));
      if (!state.policies.has(key)) return `there is no policy ${key}`;
      state.policies.set(key, action.policy);
      return undefined;
    }
    case 'deletePolicy': {
      const key = policyKey(action.policy);
      return state.policies.delete(key) ? undefined : `there is no policy ${key}`;
    }
    case 'createNamespace':
      if (state.namespaces.has(action.namespace)) return `the namespace ${action.namespace} exists already`;
      state.namespaces.set(action.namespace, action.labels);
      return undefined;
    case 'setNamespaceLabels':
      if (!state.namespaces.has(action.namespace)) return `there is no namespace ${action.namespace}`;
      state.namespaces.set(action.namespace, action.labels);
      return undefined;
    case 'deleteNamespace':
      if (!state.namespaces.delete(action.namespace)) return `there is no namespace ${action.namespace}`;
      for (const [key, { ns }] of state.pods) if (ns === action.namespace) state.pods.delete(key);
      for (const key of state.policies.keys()) if (ofNamespace(key, action.namespace)) state.policies.delete(key);
      return undefined;
    case 'createPod': {
      const key = podKey(action.pod);
      if (state.pods.has(key)) return `the pod ${key} exists already`;
      if (!state.namespaces.has(action.pod.ns)) return `there is no namespace ${action.pod.ns}`;
      state.pods.set(key, action.pod);
      return undefined;
    }
    case 'setPodLabels': {
      const pod = state.pods.get(action.pod);
      if (!pod) return `there is no pod ${action.pod}`;
      state.pods.set(action.pod, { ...pod, labels: action.labels });
      return undefined;
    }
    case 'deletePod':
      return state.pods.delete(action.pod) ? undefined : `there is no pod ${action.pod}`;
  }
};

/** Is this end a host, whose own policy is asked? */
export const isHost = (world: World, name: string): boolean => HOSTS.includes(world.externals.get(name)?.entity);

/**
 * Is the policy of this end asked about what goes between the two? What a host sends to its own workloads is theirs to judge,
 * and what it sends to itself nobody's.
 */
export const isAsked = (world: World, subject: string, other: string, direction: 'ingress' | 'egress'): boolean => {
  if (world.pods.has(subject)) return true;
  if (!isHost(world, subject)) return false;
  if (world.externals.get(subject)?.entity !== 'host') return !isSameEntity(world, subject, other);
  return world.pods.has(other) ? direction === 'ingress' : !isSameEntity(world, subject, other);
};

const isSameEntity = (world: World, one: string, other: string): boolean =>
  world.externals.get(one)?.entity === world.externals.get(other)?.entity;

/** The address of a pod or an external, undefined without one of the family. */
export const addressOf = (world: World, name: string, family: 4 | 6): string | undefined => {
  const end = world.pods.get(name) ?? world.externals.get(name);
  return family === 4 ? end?.ip4 : end?.ip6;
};
