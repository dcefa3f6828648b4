// SPDX-License-Identifier: Apache-2.0
/** Policies of this host's workloads. Those with the same labels and ports have the same, made once. */
import type { Compiler, NamedPort } from '@weir/policy-engine';
import { type CompileSettings, compilePolicy } from './compile.ts';
import type { WorkloadPolicy } from './model.ts';
import type { Policies } from './policies.ts';
import type { Local } from './wiring.ts';

export interface CompileInput {
  readonly compiler: Compiler;
  readonly policies: Policies;
  readonly locals: ReadonlyMap<string, Local>;
  readonly identities: ReadonlyMap<number, readonly string[]>;
  readonly cidrs: ReadonlyMap<string, number>;
  readonly peerNamedPorts: ReadonlyMap<number, readonly NamedPort[]>;
  /** Prefixes that have no number. */
  readonly refused: ReadonlySet<string>;
}

/** Of the workloads in `todo`, into `compiled`; who has no labels yet gets none. */
export const compileWorkloads = (
  todo: Iterable<string>,
  { compiler, policies, locals, refused, ...input }: CompileInput,
  settings: CompileSettings,
  compiled: Map<string, WorkloadPolicy>,
): void => {
  const made = new Map<string, WorkloadPolicy>();
  for (const id of todo) {
    const doc = locals.get(id)?.doc;
    if (!doc || !input.identities.has(doc.identity)) {
      compiled.delete(id);
      continue;
    }
    const namedPorts = doc.namedPorts.map(({ name, port, protocol }) => ({ name, port, protocol }));
    const key = `${doc.identity} ${JSON.stringify(namedPorts)}`;
    let policy = made.get(key);
    if (!policy) {
      const own = policies.of(doc.identity);
      const missing = refused.size > 0 && own.some(({ cidrs }) => cidrs.some((cidr) => refused.has(cidr)));
      const impossible = missing ? `the policies of this host name more CIDR prefixes than fit` : '';
      const request = { ...input, identity: doc.identity, namedPorts, policies: own, impossible };
      policy = compilePolicy(compiler, request, settings);
      made.set(key, policy);
    }
    compiled.set(id, policy);
  }
};
