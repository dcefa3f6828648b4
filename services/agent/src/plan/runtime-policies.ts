// SPDX-License-Identifier: Apache-2.0
/**
 * Runtime policies that are for this host. Nothing attaches them yet, and each says so: a policy that is stored must never pass for one
 * that is enforced. A host that does not know its labels is one of those that a policy is for.
 */
import type { ConfigEntry } from '@weir/bus';
import { isWeirError } from '@weir/errors';
import { hostsMatch, parseRuntimePolicy, type RuntimePolicy } from '@weir/runtime-engine';
import { labelTexts } from './label-selectors.ts';
import type { DocumentError } from './model.ts';

interface Held {
  readonly revision: bigint;
  readonly policy: RuntimePolicy | DocumentError;
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

  errors(): DocumentError[] {
    return [...this.#held].flatMap(([subject, { revision, policy }]): DocumentError[] => {
      if ('code' in policy) return [policy];
      if (!hostsMatch(policy.scope, this.#labels)) return [];
      const message = `runtime policy ${policy.key} is not enforced yet: this agent attaches no hooks of runtime policies`;
      return [{ subject, revision, code: 'UNSUPPORTED', message }];
    });
  }
}
