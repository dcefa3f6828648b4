// SPDX-License-Identifier: Apache-2.0
/** Which hosts a policy is for. */
import { createSelector, matches } from '@weir/policy-engine/reading';
import type { Scope } from './model.ts';

/** `labels` as key=value; undefined: not known, and then the host is one of them, because leaving it out would open it. */
export const hostsMatch = ({ nodes }: Scope, labels: readonly string[] | undefined): boolean =>
  nodes === undefined || labels === undefined || matches(createSelector(nodes), labels);
