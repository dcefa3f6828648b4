// SPDX-License-Identifier: Apache-2.0
/**
 * What is right, by the oracle that reads policies as JSON, rule by rule, and shares no code with the engine. Added here is
 * what is no policy: both ends are asked, the host always reaches its own workloads, nobody asks an end that is no workload.
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

const allows = (state: State, direction: 'ingress' | 'egress', subject: string, other: string, cell: Cell): boolean => {
  if (!state.pods.has(subject)) return true;
  if (direction === 'ingress' && state.externals.get(other)?.entity === 'host') return true;
  const { protocol, port, family } = cell;
  const answer = askOracle(
    [...state.policies.values()],
    direction,
    peerOf(state, subject, family, true),
    peerOf(state, other, family, false),
    { protocol, port },
  );
  return answer.verdict === 'allow';
};

export const isAllowed = (state: State, cell: Cell): boolean =>
  allows(state, 'egress', cell.from, cell.to, cell) && allows(state, 'ingress', cell.to, cell.from, cell);
