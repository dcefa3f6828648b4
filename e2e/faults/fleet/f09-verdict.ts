// SPDX-License-Identifier: Apache-2.0
/**
 * F09, what the control plane has of it: backends on two hosts die one after the other under new connections all the time. Each
 * is found out by its host's health check, leaves the kernel's tables of every host, and nobody is sent to it any more.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { type Fleet, until, type Workload } from '@weir/infra/fleet';
import { type AgentCheck, agentChecks, agentServices } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';

const VIP = '203.0.113.109';
const PORT = 8080;
const VICTIMS = size({ short: 1, long: 8 });
/** New connections, one every so often. */
const TICK_MS = 20;
const LOOK_MS = 10;
const PATIENT_MS = 10_000;
/** A connection that began so long before a death may end by it. */
const UNDER_WAY_MS = 1_000;
/** Connections that begin so long after the verdict avoid the dead one. */
const AVOIDED_MS = 2_000;
const LEFT_MS = 1_000;
const CHECK = { kind: 'tcp', period_ms: 200, timeout_ms: 150, unhealthy_after: 2, healthy_after: 2 };

interface Asked {
  readonly startedMs: number;
  readonly ok: boolean;
}

/** Asks the service again and again until it is stopped. */
const askOften = (client: Workload): { readonly asked: Asked[]; stop(): Promise<void> } => {
  const asked: Asked[] = [];
  const underWay = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const startedMs = Date.now();
    const one = client.probe({ protocol: 'tcp', host: VIP, port: PORT, timeoutMs: PATIENT_MS }).then(({ outcome }) => {
      asked.push({ startedMs, ok: outcome === 'answered' });
      underWay.delete(one);
    });
    underWay.add(one);
  }, TICK_MS);
  return {
    asked,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
};

const agentAt = (fleet: Fleet, host: string) => {
  const agent = fleet.agents.get(host);
  if (!agent) throw new Error(`${host} has no agent`);
  return agent;
};

const servedBy = async (fleet: Fleet, host: string): Promise<readonly string[]> => {
  const { items } = await agentServices(agentAt(fleet, host));
  return items.find(({ address }) => address === VIP)?.active ?? [];
};

/** When each host's tables were first seen without the backend; milliseconds after its verdict. */
const leftAfter = async (fleet: Fleet, backend: string, verdict: () => Promise<AgentCheck>): Promise<number[]> => {
  const seen = await Promise.all(
    fleet.options.hosts.map(async (host) => {
      await until(`${backend} to leave the tables of ${host}`, 30_000, async () => {
        await sleep(LOOK_MS);
        return !(await servedBy(fleet, host)).includes(backend);
      });
      return Date.now();
    }),
  );
  const { decided_ms } = await verdict();
  return seen.map((ms) => ms - (decided_ms ?? 0));
};

export const deadBackends = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const hosts = fleet.options.hosts;
  const { inventory } = fleet.control.urls;
  const url = `${inventory}/v1/services/default.f09`;
  const people = await fleet.addWorkloads([
    { name: 'f09-client', host: 'h1', labels: { app: 'f09-client' } },
    ...Array.from({ length: VICTIMS + 2 }, (_, i) => ({
      ...{ name: `f09-${i}`, host: hosts[i % hosts.length] ?? 'h1', labels: { app: 'f09' }, tcp: [PORT] },
    })),
  ]);
  const [client, ...backends] = people as [Workload, ...Workload[]];
  await callApi(url, {
    method: 'PUT',
    body: {
      ...{ frontends: [{ type: 'external-ip', address: VIP, port: PORT }], health_check: CHECK },
      selector: { match_labels: { app: 'f09' } },
    },
  });
  interface Shown {
    readonly workload: string;
    readonly state: string;
    readonly health: string;
    readonly reason: string;
  }
  const shown = async (): Promise<readonly Shown[]> => (await callApi<{ backends: Shown[] }>(url)).backends;
  await until('all backends to be healthy', 60_000, async () => {
    const all = await shown();
    return (
      all.length === backends.length && all.every(({ health, state }) => health === 'healthy' && state === 'active')
    );
  });
  for (const host of hosts) {
    await until(
      `${host} to know them all`,
      30_000,
      async () => (await servedBy(fleet, host)).length === backends.length,
    );
  }

  const driven = askOften(client);
  const left: number[] = [];
  const victims: { readonly diedMs: number; readonly decidedMs: number }[] = [];
  for (const victim of backends.slice(0, VICTIMS)) {
    await sleep(10 * TICK_MS);
    const diedMs = Date.now();
    await victim.process.stop('SIGKILL');
    const check = async (): Promise<AgentCheck> => {
      const all = await agentChecks(agentAt(fleet, victim.spec.host));
      const found = all.find(({ address }) => address === victim.ip4);
      if (found?.health !== 'unhealthy') throw new Error(`the check of ${victim.id}: ${JSON.stringify(found)}`);
      return found;
    };
    left.push(...(await leftAfter(fleet, `${victim.ip4}:${PORT}`, check)));
    victims.push({ diedMs, decidedMs: (await check()).decided_ms ?? 0 });
  }
  await sleep(AVOIDED_MS + 10 * TICK_MS);
  await driven.stop();

  const { asked } = driven;
  const failures = asked.filter(({ ok }) => !ok);
  /** From the death of one until its verdict connections fail, and those that were under way. */
  const isAllowed = ({ startedMs }: Asked): boolean =>
    victims.some(({ diedMs, decidedMs }) => startedMs > diedMs - UNDER_WAY_MS && startedMs <= decidedMs + AVOIDED_MS);
  const late = failures.filter((one) => !isAllowed(one));
  const behind = failures.flatMap(({ startedMs }) =>
    victims
      .filter(({ diedMs }) => diedMs <= startedMs)
      .map(({ decidedMs }) => startedMs - decidedMs)
      .slice(-1),
  );
  const dead = (await shown()).filter(({ state }) => state === 'quarantined');
  await callApi(url, { method: 'DELETE' });
  for (const { id } of people) await fleet.removeWorkload(id);
  report(
    t,
    'F09',
    {
      victims: VICTIMS,
      connections: asked.length,
      failed: failures.length,
      detected_ms: victims.map(({ diedMs, decidedMs }) => decidedMs - diedMs).join(','),
      last_failed_after_verdict_ms: Math.max(0, ...behind),
      failed_later_than_2s: late.length,
      left_tables_ms: left.map((ms) => Math.round(ms)).join(','),
    },
    [
      [
        'connections were made after the last verdict',
        asked.some(({ startedMs }) => startedMs > (victims.at(-1)?.decidedMs ?? 0) + AVOIDED_MS),
      ],
      [
        'the dead are quarantined, and why is told',
        dead.length === VICTIMS && dead.every(({ reason }) => reason !== ''),
      ],
      ...(isLong
        ? ([
            ['nobody is sent to a dead backend 2 s after its verdict', late.length === 0],
            ['it leaves the tables of all hosts within 1 s', left.every((ms) => ms <= LEFT_MS)],
          ] as const)
        : []),
    ],
  );
};
