// SPDX-License-Identifier: Apache-2.0
/**
 * What becomes of connections that a change refuses. Who applies a document says it: cut, or drain. The last applied change of a
 * workload's policy decides about all of its connections; of several that come together, one that cuts. Whatever else changes what a policy
 * means (labels, identities, groups, times) leaves it as it was.
 *
 * An agent that begins has not seen what its documents changed: it decides nothing, and the kernel has what was decided.
 */
import { samePolicyTable } from '@weir/bpf/policy-table';
import type { EstablishedChange, WorkloadPolicy } from './model.ts';

interface Touched {
  readonly drains: boolean;
  readonly before: WorkloadPolicy;
}

const isSame = (a: WorkloadPolicy, b: WorkloadPolicy): boolean =>
  a.flags === b.flags && samePolicyTable(a.table, b.table);

export class Established {
  readonly #touched = new Map<string, Touched>();
  readonly #decided = new Map<string, EstablishedChange>();
  #number = 0;

  /** A document was applied that selects the workload; `before`: its policy so far. */
  touched(id: string, drains: boolean, before: WorkloadPolicy | undefined): void {
    const known = this.#touched.get(id);
    if (known) this.#touched.set(id, { ...known, drains: known.drains && drains });
    else if (before) this.#touched.set(id, { drains, before });
  }

  /** When policies were compiled. */
  decide(compiled: ReadonlyMap<string, WorkloadPolicy>): void {
    for (const [id, { drains, before }] of this.#touched) {
      const policy = compiled.get(id);
      if (policy && !isSame(policy, before)) this.#decided.set(id, { number: ++this.#number, drains });
    }
    this.#touched.clear();
    for (const id of this.#decided.keys()) if (!compiled.has(id)) this.#decided.delete(id);
  }

  of(id: string): EstablishedChange | undefined {
    return this.#decided.get(id);
  }
}
