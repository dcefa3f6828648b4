// SPDX-License-Identifier: Apache-2.0
/** Which hosts hold a revision, and waiting until all that are alive do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type HostRevision, hostRevision } from '../domain/realisation.ts';
import type { Operations } from './context.ts';

/** For acks that another replica has stored. */
const POLL_MS = 250;
export const WAIT_MAX_S = 60;

const hostsAt = async ({ ackBook, fleet }: Operations, revision: bigint): Promise<HostRevision[]> => {
  const acks = await ackBook.acks();
  return fleet.hosts().map((host) => {
    const ack = acks.get(host);
    return hostRevision(host, revision, ack, fleet.isAlive(host, ack !== undefined));
  });
};

export const waitForRevision = async (
  operations: Operations,
  revision: bigint,
  waitS = 0,
  signal: AbortSignal = new AbortController().signal,
): Promise<readonly HostRevision[]> => {
  await operations.fleetKnown();
  const deadline = Date.now() + waitS * 1_000;
  for (;;) {
    const hosts = await hostsAt(operations, revision);
    const leftMs = deadline - Date.now();
    if (leftMs <= 0 || signal.aborted || !hosts.some(({ state }) => state === 'pending')) return hosts;
    const round = new AbortController();
    const stop = AbortSignal.any([signal, round.signal]);
    await Promise.race([
      operations.acknowledged.next(stop),
      sleep(Math.min(POLL_MS, leftMs), undefined, { signal: stop }).catch(() => {}),
    ]);
    round.abort();
  }
};
