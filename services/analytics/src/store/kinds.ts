// SPDX-License-Identifier: Apache-2.0
/** Kinds of events and the tables in which each is stored and accounted for. They are alike, and read by the same code. */
import type { EventKind } from '@weir/bus';

export interface KindTables {
  readonly kind: EventKind;
  /** Runs of agents: what they produced, stored, lost. */
  readonly agents: string;
  /** Ranges of sequence numbers that are stored. */
  readonly ingested: string;
  /** Where some are missing for good. */
  readonly losses: string;
}

export const KINDS: Readonly<Record<EventKind, KindTables>> = {
  flow: { kind: 'flow', agents: 'agents', ingested: 'ingested', losses: 'losses' },
  process: {
    kind: 'process',
    agents: 'process_agents',
    ingested: 'process_ingested',
    losses: 'process_losses',
  },
};
