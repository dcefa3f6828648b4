// SPDX-License-Identifier: Apache-2.0
/**
 * What a host does about a runtime policy, from what it said last. That it enforces one is told only where the host says so of this very
 * document; that it took the document says nothing, since agents of before this kind take it, too.
 */
import type { DocumentFailure, HostAck, RuntimeHook } from './realisation.ts';

export type RuntimeHostState = 'enforced' | 'partly-enforced' | 'not-enforced' | 'pending' | 'away' | 'not-selected';

export interface RuntimeHost {
  readonly host: string;
  readonly state: RuntimeHostState;
  readonly reason: string | null;
  /** Each hook: by what it is attached, and its limits. */
  readonly hooks: RuntimeHook[];
}

const SILENT = 'its agent does not tell of runtime policies: none is attached';

export interface RuntimePlace {
  readonly subject: string;
  readonly revision: bigint;
  /** Its labels are those that the policy asks for, or are not known. */
  readonly isSelected: boolean;
  readonly isAlive: boolean;
}

const failureOf = ({ subject, revision }: RuntimePlace, failures: readonly DocumentFailure[]): string | undefined =>
  failures.find((one) => one.subject === subject && BigInt(one.revision) === revision)?.message;

/** Words of the agent to words of the API. */
const STATES: Readonly<Record<string, RuntimeHostState>> = { loaded: 'enforced', partly: 'partly-enforced' };

export const runtimeHost = (host: string, place: RuntimePlace, ack: HostAck | undefined): RuntimeHost => {
  const of = (state: RuntimeHostState): RuntimeHost => ({ host, state, reason: null, hooks: [] });
  if (!place.isSelected) return of('not-selected');
  if (!place.isAlive) return of('away');
  if (ack === undefined || ack.realised < place.revision) return of('pending');
  const said = ack.runtime?.find(
    ({ subject, revision }) => subject === place.subject && BigInt(revision) === place.revision,
  );
  const state = STATES[said?.state ?? ''] ?? 'not-enforced';
  const failure = failureOf(place, ack.errors);
  const reason = failure ?? (state === 'not-enforced' ? SILENT : null);
  return { host, state, reason, hooks: said?.hooks ?? [] };
};
