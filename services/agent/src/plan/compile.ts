// SPDX-License-Identifier: Apache-2.0
/** One workload's policy: the engine's entries as a table, with flags. */
import { weir_limits } from '@weir/bpf';
import { buildPolicyTable, enforcementFlags, type ViewedPolicy } from '@weir/bpf/policy-table';
import type { CompiledWorkload, Compiler, NamedPort } from '@weir/policy-engine';
import { dependsOf, lockdown } from './lockdown.ts';
import type { PolicyEnabled, WorkloadPolicy } from './model.ts';
import type { CompilablePolicy } from './policies.ts';

export interface CompileRequest {
  readonly identity: number;
  readonly namedPorts: readonly NamedPort[];
  /** Of a host. */
  readonly labels?: readonly string[];
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

interface Views {
  readonly views: readonly ViewedPolicy[];
  readonly unjudged: string;
  readonly ipBlock: boolean;
  readonly tiers: boolean;
}

/** A view's two default denials are entries, too. */
const DENIALS = 2;

/**
 * What would be if audited policies were enforced, and if staged ones were in place, when there are such. What does not fit is left
 * out and told: nothing that is enforced depends on it.
 */
const compileViews = (compiler: Compiler, request: CompileRequest, room: number): Views => {
  const { identity, namedPorts, labels, impossible: _, ...input } = request;
  const subject = { identity, namedPorts, ...(labels ? { labels } : {}) };
  const views: ViewedPolicy[] = [];
  const unjudged: string[] = [];
  let left = room;
  let [ipBlock, tiers] = [false, false];
  for (const [mode, view] of [
    ['audit', 'audited'],
    ['staged', 'pending'],
  ] as const) {
    if (!request.policies.some(({ doc }) => doc.mode === mode)) continue;
    const compiled = compiler.compile({ ...input, subject, view, maxEntries: Math.max(left, 0) });
    if (compiled.overflow || compiled.entries.length + DENIALS > left) {
      unjudged.push(`what ${mode === 'audit' ? 'audited' : 'staged'} policies would do has more entries than fit`);
      continue;
    }
    left -= compiled.entries.length + DENIALS;
    views.push({ view, ...compiled });
    ipBlock ||= compiled.ipBlock;
    tiers ||= compiled.tiers;
  }
  return { views, unjudged: unjudged.join('; '), ipBlock, tiers };
};

/** Never throws: a workload whose policy can't be made is denied everything, and says why. */
export const compilePolicy = (
  compiler: Compiler,
  request: CompileRequest,
  settings: CompileSettings,
): WorkloadPolicy => {
  if (request.impossible !== '') return lockdown(request.impossible, 0);
  const { identity, namedPorts, labels, impossible: _, ...input } = request;
  const subject = { identity, namedPorts, ...(labels ? { labels } : {}) };
  const maxEntries = settings.maxEntries ?? weir_limits.WEIR_MAX_POLICY;
  let compiled: CompiledWorkload;
  try {
    compiled = compiler.compile({ ...input, subject, maxEntries });
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
  const room = maxEntries - entries.length - 2;
  const { views, unjudged, ipBlock, tiers } = compileViews(compiler, request, room);
  return {
    table: buildPolicyTable(entries, { ingress: enforceIngress, egress: enforceEgress }, views),
    flags: enforcementFlags({
      ...compiled,
      ipBlock: compiled.ipBlock || ipBlock,
      tiers: compiled.tiers || tiers,
      allowHost: settings.allowHost,
      views,
    }),
    unjudged,
    defaultRuleIngress: compiled.defaultRuleIngress,
    defaultRuleEgress: compiled.defaultRuleEgress,
    entries: entries.length,
    enabled: enabledText(enforceIngress, enforceEgress),
    lockdown: '',
    depends: dependsOf(entries),
  };
};
