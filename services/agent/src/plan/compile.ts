// SPDX-License-Identifier: Apache-2.0
/** One workload's policy: the engine's entries as a table, with flags. */
import { weir_limits } from '@weir/bpf';
import { buildPolicyTable, enforcementFlags } from '@weir/bpf/policy-table';
import type { CompiledWorkload, Compiler, NamedPort } from '@weir/policy-engine';
import { dependsOf, lockdown } from './lockdown.ts';
import type { PolicyEnabled, WorkloadPolicy } from './model.ts';
import type { CompilablePolicy } from './policies.ts';

export interface CompileRequest {
  readonly identity: number;
  readonly namedPorts: readonly NamedPort[];
  readonly policies: readonly CompilablePolicy[];
  readonly identities: ReadonlyMap<number, readonly string[]>;
  readonly cidrs: ReadonlyMap<string, number>;
  /** What named ports mean at each identity, for egress rules. */
  readonly peerNamedPorts: ReadonlyMap<number, readonly NamedPort[]>;
  /** Why no correct table can be made (such as prefixes without a number); empty = it can. */
  readonly impossible: string;
}

export interface CompileSettings {
  /** The host may always reach its own workloads. */
  readonly allowHost: boolean;
  readonly maxEntries?: number;
}

const enabledText = (ingress: boolean, egress: boolean): PolicyEnabled => {
  if (ingress) return egress ? 'both' : 'ingress';
  return egress ? 'egress' : 'none';
};

/** Never throws: a workload whose policy can't be made is denied everything, and says why. */
export const compilePolicy = (
  compiler: Compiler,
  request: CompileRequest,
  settings: CompileSettings,
): WorkloadPolicy => {
  if (request.impossible !== '') return lockdown(request.impossible, 0);
  const { identity, namedPorts, impossible: _, ...input } = request;
  const maxEntries = settings.maxEntries ?? weir_limits.WEIR_MAX_POLICY;
  let compiled: CompiledWorkload;
  try {
    compiled = compiler.compile({ ...input, subject: { identity, namedPorts }, maxEntries });
  } catch (error) {
    return lockdown(`its policy could not be compiled: ${(error as Error).message}`, 0);
  }
  const { entries, enforceIngress, enforceEgress } = compiled;
  const fits = !compiled.overflow && entries.length + 2 <= maxEntries;
  if (!fits) {
    // A policy that is far too large is not compiled to the end.
    const needed = Math.max(entries.length, maxEntries - 1);
    return lockdown(`its policy has ${needed} entries or more, at most ${maxEntries - 2} fit`, needed);
  }
  return {
    table: buildPolicyTable(entries, { ingress: enforceIngress, egress: enforceEgress }),
    flags: enforcementFlags({ ...compiled, allowHost: settings.allowHost }),
    defaultRuleIngress: compiled.defaultRuleIngress,
    defaultRuleEgress: compiled.defaultRuleEgress,
    entries: entries.length,
    enabled: enabledText(enforceIngress, enforceEgress),
    lockdown: '',
    depends: dependsOf(entries),
  };
};
