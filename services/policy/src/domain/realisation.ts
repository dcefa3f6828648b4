// SPDX-License-Identifier: Apache-2.0
/** Whether a host holds a revision, from what it said last. An ack is sent after the kernel's maps are written. */

export interface DocumentFailure {
  readonly subject: string;
  readonly revision: string;
  readonly code: string;
  readonly message: string;
}

/** One hook of a runtime policy on a host. */
export interface RuntimeHook {
  readonly path: string;
  readonly backend: string;
  readonly enforces: string[];
  readonly limits: string[];
}

/** What a host does about a runtime policy. */
export interface RuntimeReport {
  readonly subject: string;
  readonly revision: string;
  readonly state: string;
  readonly hooks: RuntimeHook[];
}

export interface HostAck {
  readonly realised: bigint;
  /** What `errors` takes into account; null: an agent that does not tell, then all that there is. */
  readonly tried: bigint | null;
  readonly errors: readonly DocumentFailure[];
  /** Of runtime policies; without: an agent that does not tell, or none is for it. */
  readonly runtime?: readonly RuntimeReport[];
}

export type HostRevisionState = 'realised' | 'pending' | 'failed' | 'away';

export interface HostRevision {
  readonly host: string;
  readonly realised: bigint;
  readonly state: HostRevisionState;
  readonly error: string | null;
}

const POLICY_SUBJECT = 'weir.v1.cfg.policy.';
const WORKLOAD_SUBJECT = 'weir.v1.cfg.workload.';

/**
 * A policy document that the host could not take, or a workload whose policy does not fit into its map: such a
 * workload is in lockdown. Other failures of workloads are inventory's.
 */
const failureFor = (revision: bigint, { tried, errors }: HostAck): DocumentFailure | undefined => {
  // It may be the very revision that takes the cause away.
  if (tried !== null && revision > tried) return undefined;
  return errors.find(({ subject, revision: failed, code }) => {
    if (subject.startsWith(POLICY_SUBJECT)) return BigInt(failed) <= revision;
    return subject.startsWith(WORKLOAD_SUBJECT) && code === 'TOO_LARGE';
  });
};

export const hostRevision = (
  host: string,
  revision: bigint,
  ack: HostAck | undefined,
  alive: boolean,
): HostRevision => {
  const realised = ack?.realised ?? 0n;
  const failure = ack === undefined ? undefined : failureFor(revision, ack);
  if (failure !== undefined) return { host, realised, state: 'failed', error: failure.message };
  if (realised >= revision) return { host, realised, state: 'realised', error: null };
  return { host, realised, state: alive ? 'pending' : 'away', error: null };
};
