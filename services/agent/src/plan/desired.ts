// SPDX-License-Identifier: Apache-2.0
/** What a host should hold: the planner's answer, which the executor writes. */
import type { DesiredEgress } from './egress.ts';
import type { EncryptedRoute, EncryptionPlan } from './encryption.ts';
import type { DesiredHostPolicy, HostPolicyBundle } from './host-policy.ts';
import type { DesiredWorkload, DocumentError, Route } from './model.ts';
import type { OverlayPlan } from './overlay.ts';
import type { WantedRuntime } from './runtime-policies.ts';
import type { DesiredServices } from './services.ts';
import type { DesiredUplinks } from './uplinks.ts';

export interface Desired {
  readonly workloads: ReadonlyMap<string, DesiredWorkload>;
  /** Canonical prefix -> local identity. */
  readonly cidrs: ReadonlyMap<string, number>;
  readonly routes: ReadonlyMap<string, Route>;
  readonly overlay: OverlayPlan;
  readonly encryption: EncryptionPlan;
  /** Pools whose packets go through the encrypting device as they are. */
  readonly encryptedPools: readonly EncryptedRoute[];
  /** All that the fleet has given to labels. */
  readonly identities: ReadonlySet<number>;
  /** Undefined: uplinks are left alone. */
  readonly uplinks?: DesiredUplinks | undefined;
  /** Undefined: nobody leaves by a gateway. */
  readonly egress?: DesiredEgress | undefined;
  /** Undefined: there is none. */
  readonly services?: DesiredServices | undefined;
  /** Undefined: the host has no policy of its own. */
  readonly hostPolicy?: DesiredHostPolicy | undefined;
  /** From what documents that is made. */
  readonly hostBundle?: HostPolicyBundle;
  /** Undefined: what stands is left alone. */
  readonly runtime?: WantedRuntime;
  readonly errors: readonly DocumentError[];
}
