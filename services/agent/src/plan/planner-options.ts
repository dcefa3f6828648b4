// SPDX-License-Identifier: Apache-2.0
/** What a planner is made with: whose host it plans, what was numbered before, how much fits. */
import type { CompileSettings } from './compile.ts';
import type { EgressNumbers } from './egress.ts';
import type { HostPolicyOptions } from './host-policy.ts';
import type { HostNumbers, LocalIds } from './numbers.ts';

export interface PlannerOptions extends CompileSettings {
  readonly host: string;
  readonly localIds?: LocalIds;
  readonly hostNumbers?: HostNumbers;
  readonly egressNumbers?: EgressNumbers;
  /** Namespace of this host's health endpoint; without it there is none. */
  readonly healthNetns?: string | undefined;
  /** Of the control plane: no service's. */
  readonly controlAddresses?: ReadonlySet<string>;
  /** Of the host's own policy: which version of it counts, and what it can't take away. Absent: as documents say. */
  readonly hostPolicy?: HostPolicyOptions;
  /** How long each step of a change of routing takes, ms. */
  readonly overlayStepMs?: number;
  readonly maxCidrs?: number;
  readonly maxIpcache?: number;
  /** Frontends. */
  readonly maxServices?: number;
}
