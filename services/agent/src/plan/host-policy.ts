// SPDX-License-Identifier: Apache-2.0
/**
 * The policy of the host itself: documents with a nodeSelector that selects it, as they are or, when a change of them was
 * undone (host-firewall/guard.ts), as they were before; before them what nobody may take away (failsafe.ts).
 */
import { createHash } from 'node:crypto';
import { weir_identity } from '@weir/bpf';
import { type Compiler, collectCidrs, hostLabels, parseDocument, resolveGroups } from '@weir/policy-engine';
import type { Host, Network } from '@weir/proto/weir/bus/v1/config_pb.js';
import { type CompileRequest, compilePolicy } from './compile.ts';
import { DEFAULT_WIREGUARD_PORT } from './encryption.ts';
import { type FailsafeFacts, type FailsafePort, failsafeDocument } from './failsafe.ts';
import type { DesiredWorkload, DocumentError, LocalFacts, Wiring, WorkloadPolicy } from './model.ts';
import { DEFAULT_TUNNEL_PORT } from './overlay.ts';
import type { CompilablePolicy } from './policies.ts';

export const HOST_ENDPOINT = 'reserved:host';
export const HOST_IDENTITY = weir_identity.IDENTITY_HOST;

/** A policy document as the bus told it. */
export interface StoredPolicy {
  readonly subject: string;
  readonly revision: string;
  readonly document: string;
  readonly rules: readonly (readonly [path: string, id: number])[];
}

/** All documents of which a host's policy is made: with nodeSelectors, and CIDR groups if they name some. */
export interface HostPolicyBundle {
  /** '': none, and the host has no policy. */
  readonly digest: string;
  readonly documents: readonly StoredPolicy[];
}

export const NO_HOST_POLICY: HostPolicyBundle = { digest: '', documents: [] };

export const bundleOf = (documents: readonly StoredPolicy[]): HostPolicyBundle => {
  if (documents.length === 0) return NO_HOST_POLICY;
  const digest = createHash('sha256').update(JSON.stringify(documents)).digest('hex').slice(0, 16);
  return { digest, documents };
};

/** Which of both is to be in force, decided by who knows what was confirmed. */
export interface HostPolicyChoice {
  readonly bundle: HostPolicyBundle;
  /** Why it is not the current one. */
  readonly why?: string | undefined;
}
export type ChooseHostPolicy = (current: HostPolicyBundle) => HostPolicyChoice;

export interface DesiredHostPolicy extends DesiredWorkload {
  readonly policy: WorkloadPolicy;
}

export interface HostPolicyPlan {
  /** What was chosen. */
  readonly bundle: HostPolicyBundle;
  /** Undefined: the host has no policy. */
  readonly desired: DesiredHostPolicy | undefined;
  readonly errors: readonly DocumentError[];
}

export interface HostPolicyInput extends Pick<CompileRequest, 'identities' | 'cidrs' | 'peerNamedPorts'> {
  readonly compiler: Compiler;
  readonly maxEntries?: number | undefined;
  /** Prefixes that have no number. */
  readonly refused: ReadonlySet<string>;
}

export interface HostPolicyOptions {
  readonly choose: ChooseHostPolicy;
  readonly inbound: readonly FailsafePort[];
  readonly outbound: readonly FailsafePort[];
}

const DEFAULT_HEALTH_PORT = 4240;
const PORT_MAX = 65_535;
const NO_MAC = '00:00:00:00:00:00';
export const HOST_WIRING: Wiring = {
  workloadId: HOST_ENDPOINT,
  ifname: 'lo',
  netns: '',
  cgroup: '',
  ip4: '',
  ip6: '',
  mac: NO_MAC,
  hostMac: NO_MAC,
};

const refusals = (current: HostPolicyBundle, chosen: HostPolicyBundle, why: string): DocumentError[] => {
  const kept = new Set(chosen.documents.map(({ subject, revision }) => `${subject} ${revision}`));
  return current.documents
    .filter(({ subject, revision }) => !kept.has(`${subject} ${revision}`))
    .map(({ subject, revision }) => ({
      ...{ subject, revision: BigInt(revision), code: 'CONFLICT' },
      message: `this host's own policy is what it was before: ${why}`,
    }));
};

const parseStored = ({ documents }: HostPolicyBundle): CompilablePolicy[] => {
  const parsed = documents.map(({ document, rules }) => ({
    doc: parseDocument(JSON.parse(document)),
    ruleIds: new Map(rules),
  }));
  const groups = parsed.flatMap(({ doc }) => (doc.group ? [doc.group] : []));
  return parsed
    .filter(({ doc }) => !doc.group)
    .map(({ doc: written, ruleIds }) => {
      const doc = resolveGroups(written, groups);
      return { doc, ruleIds, cidrs: collectCidrs([doc]) };
    });
};

const failsafeOf = (facts: FailsafeFacts): CompilablePolicy => {
  const doc = failsafeDocument(facts);
  return { doc, ruleIds: new Map(), cidrs: collectCidrs([doc]) };
};

export class HostPolicyPlanner {
  readonly #host: string;
  readonly #options: HostPolicyOptions | undefined;
  #network: Network | undefined;
  #labels: readonly string[] = hostLabels({});
  #labelsKey = '';
  #chosen: HostPolicyBundle = NO_HOST_POLICY;
  #policies: readonly CompilablePolicy[] = [];
  #failsafeKey = '';
  #cidrs: readonly string[] = [];
  #refused: readonly DocumentError[] = [];
  #dirty = true;
  #plan: HostPolicyPlan = { bundle: NO_HOST_POLICY, desired: undefined, errors: [] };

  /** Without options documents decide, and nothing is kept open. */
  constructor(host: string, options?: HostPolicyOptions) {
    this.#host = host;
    this.#options = options;
  }

  put(network: Network | undefined): void {
    this.#network = network;
  }

  /** What selects whom, or who exists, is not what it was. */
  changed(): void {
    this.#dirty = true;
  }

  /** Of this host; the same array as long as they are the same. */
  labels(hosts: Iterable<Host>): readonly string[] {
    let own: Host | undefined;
    for (const host of hosts) if (host.id === this.#host) own = host;
    const key = JSON.stringify(own?.labels ?? {});
    if (key !== this.#labelsKey) {
      this.#labelsKey = key;
      this.#labels = hostLabels(own?.labels ?? {});
      this.#dirty = true;
    }
    return this.#labels;
  }

  /** What is to be in force, and the prefixes that it names. To be called before compile(). */
  choose(current: HostPolicyBundle, facts: Pick<LocalFacts, 'control' | 'addresses'>): readonly string[] {
    const choice: HostPolicyChoice = this.#options?.choose(current) ?? { bundle: current };
    const { bundle: chosen, why } = choice;
    const failsafe = this.#failsafe(facts);
    this.#refused = why === undefined ? [] : refusals(current, chosen, why);
    const failsafeKey = JSON.stringify(failsafe);
    if (chosen.digest === this.#chosen.digest && failsafeKey === this.#failsafeKey) return this.#cidrs;
    this.#dirty = true;
    this.#failsafeKey = failsafeKey;
    this.#chosen = chosen;
    this.#policies = chosen.digest === '' ? [] : [failsafeOf(failsafe), ...parseStored(chosen)];
    this.#cidrs = this.#policies.flatMap(({ cidrs }) => cidrs);
    return this.#cidrs;
  }

  compile(input: HostPolicyInput): HostPolicyPlan {
    const { errors, ...plan } = this.#made(input);
    return { ...plan, errors: [...errors, ...this.#refused] };
  }

  #made(input: HostPolicyInput): HostPolicyPlan {
    if (!this.#dirty) return this.#plan;
    this.#dirty = false;
    const bundle = this.#chosen;
    if (bundle.digest === '') {
      this.#plan = { bundle, desired: undefined, errors: [] };
      return this.#plan;
    }
    const policy = this.#compile(this.#policies, input);
    const errors: DocumentError[] = [];
    if (policy.lockdown !== '') {
      for (const { subject, revision } of bundle.documents) {
        const message = `this host's own policy is not enforced, it goes on as it was: ${policy.lockdown}`;
        errors.push({ subject, revision: BigInt(revision), code: 'TOO_LARGE', message });
      }
    }
    // Never in part, and never so that nobody could put it right: what was there before stays.
    const made = policy.lockdown === '' ? this.#desired(policy) : this.#plan.desired;
    this.#plan = { bundle, desired: made, errors };
    return this.#plan;
  }

  #failsafe({ control = [], addresses }: Pick<LocalFacts, 'control' | 'addresses'>): FailsafeFacts {
    const { inbound = [], outbound = [] } = this.#options ?? {};
    const { tunnelPort, wireguard, health } = this.#network ?? {};
    return {
      ...{ inbound, outbound, control, addresses },
      tunnelPorts: [tunnelPort || DEFAULT_TUNNEL_PORT, wireguard?.port || DEFAULT_WIREGUARD_PORT],
      healthPort: Math.min(health?.port || DEFAULT_HEALTH_PORT, PORT_MAX),
    };
  }

  #compile(policies: readonly CompilablePolicy[], input: HostPolicyInput) {
    const { refused, maxEntries, compiler, ...request } = input;
    const missing = refused.size > 0 && policies.some(({ cidrs }) => cidrs.some((cidr) => refused.has(cidr)));
    return compilePolicy(
      compiler,
      {
        ...request,
        ...{ identity: HOST_IDENTITY, namedPorts: [], labels: this.#labels, policies },
        impossible: missing ? 'the policies of this host name more CIDR prefixes than fit' : '',
      },
      { allowHost: false, ...(maxEntries === undefined ? {} : { maxEntries }) },
    );
  }

  #desired(policy: WorkloadPolicy): DesiredHostPolicy {
    return {
      ...{ id: HOST_ENDPOINT, localId: 0, identity: HOST_IDENTITY, wiring: HOST_WIRING },
      ...{ policy, waiting: '', message: '' },
    };
  }
}
