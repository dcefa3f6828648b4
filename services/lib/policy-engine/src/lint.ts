// SPDX-License-Identifier: Apache-2.0
/** Warnings about documents that are valid but may not do what was meant. Those of parsing come first. */
import { createWorld, type IdentityLabels, type World } from './compile/world.ts';
import { IDENTITY } from './constants.ts';
import type { PolicyDocument, PolicyWarning } from './model.ts';
import { isSubject } from './subject.ts';

export interface LintOptions {
  /** Who exists now. Without it nothing is said about selectors that find nobody. */
  readonly identities?: IdentityLabels;
}

/** Many documents are looked at with the same identities: their labels are read once. */
const worlds = new WeakMap<IdentityLabels, World>();

const worldOf = (identities: IdentityLabels): World => {
  const world = worlds.get(identities) ?? createWorld();
  worlds.set(identities, world);
  world.sync(identities, new Map());
  return world;
};

export const lint = (doc: PolicyDocument, options: LintOptions = {}): PolicyWarning[] => {
  const warnings: PolicyWarning[] = [...doc.warnings];
  const { identities } = options;
  if (!identities) return warnings;
  const world = worldOf(identities);
  for (const spec of doc.specs) {
    if (
      !spec.onHosts &&
      !world.select(spec.subject).some((identity) => identity >= IDENTITY.FIRST_ALLOCATED && identities.has(identity))
    ) {
      warnings.push({
        code: 'selects-nothing',
        message: `${doc.key} selects no workload that exists now`,
        path: spec.path,
        fix: 'check the labels and the namespace, or create the workload',
        ...spec.position,
      });
    }
    for (const rule of spec.rules) {
      if (rule.peers === 'any') continue;
      for (const peer of rule.peers) {
        if (peer.kind !== 'selector' || world.select(peer.selector).length > 0) continue;
        warnings.push({
          code: 'peer-selects-nothing',
          message: `${peer.path} selects nobody that exists now`,
          path: peer.path,
          fix: 'check the labels and the namespace',
          ...rule.position,
        });
      }
    }
  }
  return warnings;
};

/** Does any part of the document apply to a workload, or host, with these labels? */
export const selects = (doc: PolicyDocument, labels: readonly string[]): boolean =>
  doc.specs.some((spec) => isSubject(spec, labels));
