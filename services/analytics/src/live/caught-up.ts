// SPDX-License-Identifier: Apache-2.0
/** Between what is stored and what passes on the bus: whoever reads both waits here in between. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, type EventKind, STREAM } from '@weir/bus';
import { CONSUMERS, SUBJECTS } from '../consumers/kinds.ts';

const POLL_MS = 25;
/** When the store is further behind, a stream begins with what there is and says that something is missing. */
const MAX_MS = 5_000;

/** Resolves to true when all of that kind that was published up to now is stored. */
export const storeCaughtUp = async (
  { jsm }: Pick<Bus, 'jsm'>,
  kind: EventKind,
  signal: AbortSignal,
): Promise<boolean> => {
  const last = await jsm.streams.getMessage(STREAM.EVENTS, { last_by_subj: SUBJECTS[kind].wildcard });
  for (let waited = 0; waited < MAX_MS && !signal.aborted; waited += POLL_MS) {
    const info = await jsm.consumers.info(STREAM.EVENTS, CONSUMERS[kind]);
    if (info.ack_floor.stream_seq >= (last?.seq ?? 0)) return true;
    if (info.num_pending === 0 && info.num_ack_pending === 0) return true;
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
  return false;
};
