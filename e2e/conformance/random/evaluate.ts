// SPDX-License-Identifier: Apache-2.0
/**
 * What is right, by the oracle that reads policies as JSON, rule by rule, and shares no code with the engine. Added here is
 * what is no policy: both ends are asked, the host always reaches its own workloads, an end that is neither workload nor host is not asked.
 */
import { askOracle, type OraclePeer } from '@weir/policy-engine/testing';
import type { Cell, Pod } from '../mode.ts';
import { addressOf, type State } from '../world.ts';

const labelsText = ({ ns, labels }: Pod): string =>
  JSON.stringify([ns, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);

/** Named ports of all pods that policy cannot tell apart: what a name in an egress rule means. */
const namedTogether = (state: State, pod: Pod): Record<string, number[]> => {
  const named: Record<string, number[]> = {};
  for (const other of state.pods.values()) {
    if (labelsText(other) !== labelsText(pod)) continue;
    for (const { name, port, protocol } of other.ports) {
      const key = `${name}/${protocol}`;
      named[key] = [...(named[key] ?? []), port];
    }
  }
  return named;
};

const ownNamed = ({ ports }: Pod): Record<string, number[]> =>
  Object.fromEntries(ports.map(({ name, port, protocol }) => [`${name}/${protocol}`, [port]]));

const peerOf = (state: State, name: string, family: 4 | 6, asked: boolean): OraclePeer => {
  const ip = addressOf(state, name, family);
  const pod = state.pods.get(name);
  if (!pod) {
    const entity = state.externals.get(name)?.entity;
    return { ...(ip === undefined ? {} : { ip }), ...(entity ? { reserved: entity } : {}) };
  }
  const { ns, labels } = pod;
  const nsLabels = { ...state.namespaces.get(ns), 'kubernetes.io/metadata.name': ns };
  const named = asked ? ownNamed(pod) : namedTogether(state, pod);
  return { ns, labels, nsLabels, named, ...(ip === undefined ? {} : { ip }) };
};

// biome-ignore lint/suspicious/noExplicitAny: documents as users write them
type Json = any;

const modeOf = (policy: Json): string => policy.spec.mode ?? policy.metadata.annotations?.['weir.io/mode'] ?? 'enforce';

const enforced = (policy: Json): Json => {
  const { mode: _, ...spec } = policy.spec;
  const { annotations: __, ...metadata } = policy.metadata;
  return { ...policy, metadata, spec };
};

/** The documents as if those that are audited, or those that are staged too, were enforced. */
const inView = (policies: readonly Json[], view: Cell['view']): readonly Json[] => {
  if (view === undefined) return policies;
  const counts = view === 'audited' ? ['enforce', 'audit'] : ['enforce', 'audit', 'staged'];
  return policies.filter((policy) => counts.includes(modeOf(policy))).map(enforced);
};

const allows = (state: State, direction: 'ingress' | 'egress', subject: string, other: string, cell: Cell): boolean => {
  const [entity, otherEntity] = [subject, other].map((name) => state.externals.get(name)?.entity);
  const isHost = entity === 'host' || entity === 'remote-node';
  if (!state.pods.has(subject) && !isHost) return true;
  if (!isHost && direction === 'ingress' && otherEntity === 'host') return true;
  // Its own workloads judge what comes from it.
  if (entity === 'host' && direction === 'egress' && state.pods.has(other)) return true;
  if (isHost && entity === otherEntity) return true;
  const { protocol, port, family } = cell;
  const answer = askOracle(
    inView([...state.policies.values()], cell.view),
    direction,
    isHost
      ? { reserved: 'host', hostLabels: state.externals.get(subject)?.labels ?? {} }
      : peerOf(state, subject, family, true),
    // Of two hosts each is a remote node to the other.
    isHost && otherEntity === 'host' ? { reserved: 'remote-node' } : peerOf(state, other, family, false),
    { protocol, port },
  );
  return answer.verdict === 'allow';
};

export const isAllowed = (state: State, cell: Cell): boolean =>
  allows(state, 'egress', cell.from, cell.to, cell) && allows(state, 'ingress', cell.to, cell.from, cell);
