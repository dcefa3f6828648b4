// SPDX-License-Identifier: Apache-2.0
/**
 * Under compose, once the services answer: registers the hosts with the addresses that Docker gave them, and the shop's
 * workloads, waits until each is connected, and applies the demo's policy with the `weir` command. Runs again at each
 * `up` and then brings up to date what changed.
 */
import { execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { HOSTS, WORKLOADS } from '../demo/scenario.ts';
import { ApiError, callApi } from '../src/api.ts';
import { until } from '../src/fleet.ts';

const inventory = process.env.WEIR_INVENTORY_URL ?? 'http://inventory:7101';
const CLI = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;
const POLICY = new URL('../demo/policy.yaml', import.meta.url).pathname;
const NETNS_DIR = '/run/weir-netns';
const READY_MS = 60_000;

const say = (text: string): void => {
  process.stdout.write(`setup: ${text}\n`);
};

/** Adds it, or brings what is there up to date. */
const put = async (path: string, name: string, id: string, facts: Record<string, unknown>, fixed = {}) => {
  try {
    await callApi(`${inventory}${path}`, { body: { name, ...facts, ...fixed } });
    say(`${id} added`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    await callApi(`${inventory}${path}/${id}`, { method: 'PATCH', body: facts });
    say(`${id} is there`);
  }
};

const address = async (host: string, family: 4 | 6): Promise<string | null> =>
  (await lookup(host, { family }).catch(() => undefined))?.address ?? null;

for (const host of HOSTS) {
  await put('/v1/hosts', host, host, {
    underlay_ip4: await address(host, 4),
    underlay_ip6: await address(host, 6),
  });
}
for (const { name, namespace = 'default', host, labels } of WORKLOADS) {
  const id = `${namespace}.${name}`;
  await put('/v1/workloads', name, id, { labels }, { namespace, host, netns: `${NETNS_DIR}/${id}` });
}
for (const { name, namespace } of WORKLOADS) {
  const id = `${namespace}.${name}`;
  let last = '';
  await until(
    `${id} to be ready`,
    READY_MS,
    async () => {
      const workload = await callApi<{ state: string; state_message?: string }>(`${inventory}/v1/workloads/${id}`);
      last = `${workload.state} ${workload.state_message ?? ''}`;
      return workload.state === 'ready';
    },
    () => last,
  );
}
say('every workload is connected');
execFileSync(process.execPath, [CLI, 'apply', '-f', POLICY, '--wait'], { stdio: 'inherit' });
