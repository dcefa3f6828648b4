// SPDX-License-Identifier: Apache-2.0
/**
 * What a host does about a runtime policy, from what it said last. That it enforces one is told only where the host says so of this very
 * document; that it took the document says nothing, since agents of before this kind take it, too.
 */
import type { DocumentFailure, HostAck } from './realisation.ts';

export type RuntimeHostState = 'not-enforced' | 'pending' | 'away' | 'not-selected';

export interface RuntimeHost {
  readonly host: string;
  readonly state: RuntimeHostState;
  readonly reason: string | null;
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

export const runtimeHost = (host: string, place: RuntimePlace, ack: HostAck | undefined): RuntimeHost => {
  if (!place.isSelected) return { host, state: 'not-selected', reason: null };
  if (!place.isAlive) return { host, state: 'away', reason: null };
  if (ack === undefined || ack.realised < place.revision) return { host, state: 'pending', reason: null };
  return { host, state: 'not-enforced', reason: failureOf(place, ack.errors) ?? SILENT };
};
