// SPDX-License-Identifier: Apache-2.0
/**
 * Every flow is somewhere: stored, lost at a named place, or on its way. After a burst what the kernel counted, what the
 * agents say and what Postgres holds must be the same numbers.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { callApi } from '@weir/infra/api';
import { type Fleet, until, type Workload } from '@weir/infra/fleet';
import { type HostAccount, hostAccounts } from '../lib/host-accounts.ts';

const CONNECTIONS = 500;
const SETTLE_MS = 60_000;

interface AgentCounts {
  readonly produced: number;
  readonly ring: number;
  readonly throttle: number;
}

/** What the agent says of itself. */
const agentCounts = (socket: string): AgentCounts => {
  const text = execFileSync('curl', ['-sS', '--max-time', '10', '--unix-socket', socket, 'http://agent/status']);
  const { produced, lost_ring: ring, lost_throttle: throttle } = JSON.parse(text.toString()).flows;
  return { produced: Number(produced), ring: Number(ring), throttle: Number(throttle) };
};

const storedFlows = async (analytics: string, host: string): Promise<number> => {
  let count = 0;
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ host, limit: '1000', ...(cursor ? { cursor } : {}) });
    const page: { items: unknown[]; next_cursor: string | null } = await callApi(`${analytics}/v1/flows?${query}`);
    count += page.items.length;
    cursor = page.next_cursor;
  } while (cursor);
  return count;
};

/** Returns the figures. Both ends of the burst report it. */
export const accountForAll = async (fleet: Fleet, client: Workload, server: Workload): Promise<string> => {
  const request = { protocol: 'udp', host: server.ip4, timeoutMs: 50 } as const;
  const burst = Array.from({ length: CONNECTIONS }, (_, i) => ({ ...request, port: 20_000 + i }));
  for (let at = 0; at < burst.length; at += 250) await client.probes(burst.slice(at, at + 250));
  const { analytics } = fleet.control.urls;
  let accounts: readonly HostAccount[] = [];
  let said = new Map<string, AgentCounts>();
  let counted: readonly number[] = [];
  const isSettled = (one: HostAccount): boolean => {
    const own = said.get(one.host);
    const isSame = one.produced === own?.produced && one.lost.ring === own.ring && one.lost.throttle === own.throttle;
    return one.on_its_way === 0 && one.produced >= CONNECTIONS && isSame;
  };
  await until(
    'every flow to be accounted for',
    SETTLE_MS,
    async () => {
      said = new Map([...fleet.agents].map(([host, { socket }]) => [host, agentCounts(socket)]));
      accounts = await hostAccounts(analytics);
      if (accounts.length !== fleet.agents.size || !accounts.every(isSettled)) return false;
      counted = await Promise.all(accounts.map(({ host }) => storedFlows(analytics, host)));
      // An earlier connection may have ended while they were counted.
      const later = await hostAccounts(analytics);
      return accounts.every(({ host, stored }) => later.find((one) => one.host === host)?.stored === stored);
    },
    () => JSON.stringify({ accounts, said: [...said] }),
  );
  for (const [at, { host, produced, stored, lost, watermark, gaps }] of accounts.entries()) {
    assert.equal(produced, stored + lost.throttle + lost.ring, `${host}: nothing was lost anywhere else`);
    assert.deepEqual([lost.spool, lost.dead_letter, gaps, watermark.age_s], [0, 0, [], 0]);
    assert.equal(counted[at], stored);
  }
  return accounts
    .map(
      ({ host, produced, stored, lost }) =>
        `${host}: ${produced} produced = ${stored} stored + ${lost.throttle + lost.ring} lost`,
    )
    .join('; ');
};
