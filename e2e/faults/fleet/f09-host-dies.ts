// SPDX-License-Identifier: Apache-2.0
/**
 * F09, a whole host: its agent is killed and its cable pulled. Another host asks for it whether backends serve: the one outside
 * that the dead host had asked goes on serving, the one on the dead host is found out and left alone; when the host is back, so
 * is its backend. New connections are made all the time from a host that lives.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { type Fleet, until, type Workload } from '@weir/infra/fleet';
import { ip } from '@weir/infra/resources';
import { agentChecks, agentServices } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';

const VIP = '203.0.113.110';
const PORT = 8080;
const FAR = { name: 'far', ip4: '198.51.100.110', tcp: [PORT] };
const CHECK = { kind: 'tcp', period_ms: 500, timeout_ms: 400, unhealthy_after: 2, healthy_after: 2 };
const TICK_MS = 50;
const QUIET_MS = 5_000;
/** A host is missed after some heartbeats, and then somebody is found who asks instead. */
const PATIENT_MS = 120_000;
const ANSWER_MS = 1_000;

interface Backend {
  readonly address: string;
  readonly state: string;
  readonly health: string | null;
  readonly prober: string | null;
}

const since = (ms: number): number => Math.round((Date.now() - ms) / 100) / 10;

export const hostDies = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const { hosts } = fleet.options;
  const url = `${fleet.control.urls.inventory}/v1/services/default.f09-host`;
  const far = await fleet.addExternal(FAR);
  const people = await fleet.addWorkloads(
    hosts.map((host) => ({ name: `f09-on-${host}`, host, labels: { app: 'f09-host' }, tcp: [PORT] })),
  );
  const serving = people.slice(0, 2);
  const addresses = [FAR.ip4, ...serving.map(({ ip4 }) => ip4)];
  await callApi(url, {
    method: 'PUT',
    body: {
      ...{ frontends: [{ type: 'external-ip', address: VIP, port: PORT }], health_check: CHECK },
      backends: addresses.map((address) => ({ address, port: PORT })),
    },
  });
  const backend = async (address: string): Promise<Backend> => {
    const { backends } = await callApi<{ backends: Backend[] }>(url);
    const found = backends.find((one) => one.address === address);
    if (!found) throw new Error(`the service has no backend ${address}`);
    return found;
  };
  const tableOf = async (host: string): Promise<readonly string[]> => {
    const agent = fleet.agents.get(host);
    const { items } = agent ? await agentServices(agent) : { items: [] };
    return items.find(({ address }) => address === VIP)?.active ?? [];
  };
  const healthy = (address: string): Promise<void> =>
    until(`${address} to be asked and well`, PATIENT_MS, async () => {
      const { health, state } = await backend(address);
      return health === 'healthy' && state === 'active';
    });
  for (const address of addresses) await healthy(address);

  // The host dies that asks the backend outside; the one on it dies with it, if there is one.
  const dead = (await backend(FAR.ip4)).prober as string;
  const living = hosts.filter((host) => host !== dead);
  const victim = serving.find(({ spec }) => spec.host === dead);
  const client = people.find(({ spec }) => spec.host === living.at(-1)) as Workload;
  const failures: number[] = [];
  let connections = 0;
  let driving = true;
  const driven = (async () => {
    const underWay = new Set<Promise<unknown>>();
    while (driving) {
      const startedMs = Date.now();
      connections++;
      const one = client
        .probe({ protocol: 'tcp', host: VIP, port: PORT, timeoutMs: ANSWER_MS })
        .then(({ ok }) => (ok ? 0 : failures.push(startedMs)))
        .finally(() => underWay.delete(one));
      underWay.add(one);
      await sleep(TICK_MS);
    }
    await Promise.all(underWay);
  })();

  const diedMs = Date.now();
  const cable = (state: string) => ip('-n', fleet.underlay.bridgeNetns, 'link', 'set', dead, state);
  await fleet.agents.get(dead)?.kill();
  cable('down');
  let stoodInS = 0;
  let leftS = 0;
  let leftMs = diedMs;
  let standIn = '';
  try {
    await until('another host to ask instead', PATIENT_MS, async () => {
      const { prober, health } = await backend(FAR.ip4);
      standIn = prober ?? '';
      const agent = fleet.agents.get(standIn);
      if (!living.includes(standIn) || !agent || health !== 'healthy') return false;
      return (await agentChecks(agent)).some(({ address, health: seen }) => address === FAR.ip4 && seen === 'healthy');
    });
    stoodInS = since(diedMs);
    if (victim) {
      await until('the backend of the dead host to be left alone', PATIENT_MS, async () => {
        const tables = await Promise.all(living.map(tableOf));
        return tables.every((active) => !active.includes(`${victim.ip4}:${PORT}`));
      });
      leftMs = Date.now();
      leftS = since(diedMs);
    }
    await sleep(QUIET_MS);
  } finally {
    cable('up');
    driving = false;
  }
  await driven;
  await fleet.agents.get(dead)?.start();
  for (const address of addresses) await healthy(address);
  await callApi(url, { method: 'DELETE' });
  await fleet.removeExternal(far);
  for (const { id } of people) await fleet.removeWorkload(id);

  const late = failures.filter((startedMs) => startedMs > leftMs);
  const figures = { connections, failed: failures.length, failed_late: late.length };
  report(t, 'F09', { dead, stand_in: standIn, stood_in_after_s: stoodInS, left_after_s: leftS, ...figures }, [
    ['another host asks instead', living.includes(standIn)],
    ['0 connections fail once the dead host is left alone', late.length === 0 && connections > 0],
    ['connections to what lives went on meanwhile', failures.length < connections / 2],
  ]);
};
