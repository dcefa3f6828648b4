// SPDX-License-Identifier: Apache-2.0
/** Every pair of workloads with everything they may say to each other, what the policies make of it, and what came. */
import type { Workload } from '@weir/infra/fleet';
import { L4S } from './layout.ts';
import { type Expectation, expectation } from './oracle.ts';
import type { L4, MatrixPolicy, Party } from './policies.ts';

export interface Cell {
  readonly from: Workload;
  readonly to: Workload;
  readonly l4: L4;
  readonly expected: Expectation;
  ok?: boolean;
}

const party = (w: Workload): Party => ({
  name: w.spec.name,
  namespace: w.spec.namespace ?? 'default',
  labels: w.spec.labels ?? {},
  ip4: w.ip4,
});

export const nameOf = ({ from, to, l4 }: Cell): string =>
  `${from.id} -> ${to.id} ${l4.protocol}/${l4.port} IPv${l4.family}`;

export const addressOf = (w: Workload, family: 4 | 6): string => (family === 4 ? w.ip4 : w.ip6);

export const cellsOf = (workloads: readonly Workload[], policies: readonly MatrixPolicy[]): Cell[] =>
  workloads.flatMap((from) =>
    workloads
      .filter((to) => to !== from)
      .flatMap((to) =>
        L4S.map((l4) => ({ from, to, l4, expected: expectation(policies, party(from), party(to), l4) })),
      ),
  );
