// SPDX-License-Identifier: Apache-2.0
/**
 * Which policies count, and how, by their modes. Enforced: a policy in audit allows what it would allow, so that changing its
 * mode cuts nobody off, but its denials and its default deny refuse nothing. Audited: as if those were enforced; where that
 * differs from what is enforced, a packet goes on that would have been refused. Pending: as if staged documents were put in place, too.
 */
import type { PolicyDocument } from '../model.ts';
import type { PolicyInput, View } from './input.ts';

const harmless = new WeakMap<PolicyDocument, PolicyDocument>();

/** The document without what refuses. */
const withoutRefusals = (doc: PolicyDocument): PolicyDocument => {
  let made = harmless.get(doc);
  if (!made) {
    const specs = doc.specs.map((spec) => ({
      ...spec,
      defaultDeny: { ingress: false, egress: false },
      rules: spec.rules.filter(({ action }) => action !== 'deny'),
    }));
    made = { ...doc, specs };
    harmless.set(doc, made);
  }
  return made;
};

const putInPlace = (policies: readonly PolicyInput[]): readonly PolicyInput[] => {
  const replaced = new Set<string>();
  const added: PolicyInput[] = [];
  for (const policy of policies) {
    const { mode, staged, key } = policy.doc;
    const { action = 'Set', of = key } = staged ?? {};
    if (mode !== 'staged' || action === 'Learn' || action === 'Ignore') continue;
    replaced.add(of);
    if (action === 'Set') added.push(policy);
  }
  const kept = policies.filter(({ doc }) => ['enforce', 'audit'].includes(doc.mode) && !replaced.has(doc.key));
  return [...kept, ...added];
};

export const policiesIn = (view: View, policies: readonly PolicyInput[]): readonly PolicyInput[] => {
  if (policies.every(({ doc }) => doc.mode === 'enforce')) return policies;
  if (view === 'pending') return putInPlace(policies);
  return policies.flatMap((policy) => {
    const { doc, ruleIds } = policy;
    if (doc.mode === 'enforce' || (doc.mode === 'audit' && view === 'audited')) return [policy];
    return doc.mode === 'audit' ? [{ doc: withoutRefusals(doc), ruleIds }] : [];
  });
};
