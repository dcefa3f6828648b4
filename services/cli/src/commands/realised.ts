// SPDX-License-Identifier: Apache-2.0
/** Waits for hosts to hold what inventory was told. */
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';

interface Host {
  readonly id: string;
  readonly state: string;
  readonly realised: Readonly<Record<string, number | string>> | null;
}

const POLL_MS = 500;

/** Until every host that is alive holds that revision of inventory, for `timeoutS` seconds at most. */
export const waitInventory = async (context: Context, revision: number, timeoutS: number): Promise<void> => {
  const deadline = Date.now() + timeoutS * 1_000;
  for (;;) {
    const hosts = (await context.client.list<Host>('inventory', '/v1/hosts')).filter(({ state }) => state === 'alive');
    const pending = hosts.filter(({ realised }) => Number(realised?.inventory ?? 0) < revision);
    const names = (list: readonly Host[]) => list.map(({ id }) => escapeUntrusted(id)).join(', ');
    if (pending.length === 0) {
      context.out(`revision ${revision} of inventory is in the kernel of ${hosts.length} hosts: ${names(hosts)}`);
      return;
    }
    if (Date.now() > deadline) {
      const message = `error: after ${timeoutS} s revision ${revision} of inventory is still pending on ${names(pending)}`;
      throw new CliFailure(EXIT.failed, message);
    }
    await sleep(POLL_MS, undefined, { signal: context.signal }).catch(() => {});
    if (context.signal.aborted) return;
  }
};
