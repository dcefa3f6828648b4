// SPDX-License-Identifier: Apache-2.0
/** The policies of a fleet: made what a case wants with as few calls as it takes, all new ones in one transaction. */
import { callApi } from '@weir/infra/api';
import type { PolicyJson, PolicyName } from '../mode.ts';
import { policyName } from '../world.ts';

export const urlOf = (base: string, { kind, namespace, name }: PolicyName): string =>
  `${base}/v1/policies/${kind}/${namespace ?? '-'}/${name}`;

export class Rules {
  readonly #base: () => string;
  readonly #applied = new Map<string, string>();
  #revision = 0;

  constructor(base: () => string) {
    this.#base = base;
  }

  /** `wanted` by key; returns the revision that holds all of it, 0 when there never was a policy. */
  async become(wanted: ReadonlyMap<string, PolicyJson>): Promise<number> {
    const gone = [...this.#applied].filter(([key]) => !wanted.has(key));
    for (const [key, text] of gone) {
      await this.#did(callApi(urlOf(this.#base(), policyName(JSON.parse(text) as PolicyJson)), { method: 'DELETE' }));
      this.#applied.delete(key);
    }
    const texts = [...wanted].map(([key, policy]) => [key, JSON.stringify(policy)] as const);
    const changed = texts.filter(([key, text]) => this.#applied.get(key) !== text);
    if (changed.length > 0) {
      // JSON is YAML: several documents are one change.
      const text = changed.map(([, document]) => document).join('\n---\n');
      await this.#did(callApi(`${this.#base()}/v1/policies`, { raw: { type: 'application/yaml', text } }));
      for (const [key, document] of changed) this.#applied.set(key, document);
    }
    return this.#revision;
  }

  async #did(call: Promise<{ readonly revision: number }>): Promise<void> {
    this.#revision = Math.max(this.#revision, (await call).revision);
  }
}
