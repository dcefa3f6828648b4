// SPDX-License-Identifier: Apache-2.0
/**
 * Runtime policies that are for this host, and the workloads that they may be for. A host that does not know its labels is one of
 * those that a policy is for.
 */
import type { ConfigEntry } from '@weir/bus';
import { isWeirError } from '@weir/errors';
import type { Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import { hostsMatch, parseRuntimePolicy, type RuntimePolicy } from '@weir/runtime-engine';
import type { RuntimeWorkload, SelectedPolicy } from '../runtime/port.ts';
import { labelTexts } from './label-selectors.ts';
import type { DocumentError } from './model.ts';

interface Held {
  readonly revision: bigint;
  readonly policy: RuntimePolicy | DocumentError;
}

export interface WantedRuntime {
  readonly policies: readonly SelectedPolicy[];
  readonly workloads: readonly RuntimeWorkload[];
}

export class RuntimePolicies {
  /** By the subject of their document. */
  readonly #held = new Map<string, Held>();
  /** Of this host; undefined: its own document has not come. */
  #labels: readonly string[] | undefined;

  /** `host`: the own one. */
  put({ subject, document: { revision, body } }: ConfigEntry, host: string): void {
    if (body.case === 'host' && body.value.id === host) this.#labels = labelTexts(body.value.labels);
    if (body.case !== 'runtimePolicy') return;
    try {
      this.#held.set(subject, { revision, policy: parseRuntimePolicy(JSON.parse(body.value.document)) });
    } catch (error) {
      const code = isWeirError(error) ? error.code : 'MALFORMED';
      const message = `runtime policy ${body.value.key} could not be read: ${(error as Error).message}`;
      this.#held.set(subject, { revision, policy: { subject, revision, code, message } });
    }
  }

  remove({ subject, document: { body } }: ConfigEntry, host: string): void {
    if (body.case === 'host' && body.value.id === host) this.#labels = undefined;
    this.#held.delete(subject);
  }

  /** Of documents that cannot be read. */
  errors(): DocumentError[] {
    return [...this.#held.values()].flatMap(({ policy }) => ('code' in policy ? [policy] : []));
  }

  /** `locals`: the workloads of this host. */
  wanted(locals: Iterable<{ readonly doc: Workload }>, labels: ReadonlyMap<number, readonly string[]>): WantedRuntime {
    const policies = [...this.#held].flatMap(([subject, { revision, policy }]): SelectedPolicy[] =>
      'code' in policy || !hostsMatch(policy.scope, this.#labels) ? [] : [{ subject, revision, policy }],
    );
    const workloads = Array.from(
      locals,
      ({ doc: { identity, namespace, netns, cgroup } }): RuntimeWorkload => ({
        ...{ namespace, netns, cgroup },
        labels: labels.get(identity) ?? [],
      }),
    );
    return { policies, workloads };
  }
}
