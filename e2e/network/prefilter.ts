// SPDX-License-Identifier: Apache-2.0
/** A prefilter set through the API drops its sources at the uplinks, and lets them in again when it is gone. */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { agentMetric } from '../lib/agent-api.ts';
import { type Family, PATIENT_MS, REFUSED_MS, type Scene, UDP } from './scene.ts';

export const prefilter = async ({ fleet, outside, web }: Scene): Promise<void> => {
  const url = `${fleet.control.urls.inventory}/v1/prefilters/outside`;
  const answers = async (family: Family, timeoutMs = REFUSED_MS): Promise<boolean> =>
    (await web.probe({ protocol: 'udp', host: outside[family] as string, port: UDP, timeoutMs })).ok;
  const settles = (family: Family, wanted: boolean) =>
    until(`${family} to be ${wanted ? 'answered' : 'dropped'}`, 30_000, async () => (await answers(family)) === wanted);
  const agent = fleet.agents.get('h1');
  assert.ok(agent);
  const dropped = () => agentMetric(agent, 'weir_datapath_dropped_packets_total', { reason: 'prefilter' });
  assert.ok(await answers('ip4', PATIENT_MS));
  const before = await dropped();
  await callApi(url, { method: 'PUT', body: { cidrs: [`${outside.ip4}/32`] } });
  await settles('ip4', false);
  assert.ok(await answers('ip6', PATIENT_MS), 'the other family is not meant');
  await until('the drop to be counted', 60_000, async () => (await dropped()) > before);
  await callApi(url, { method: 'PUT', body: { cidrs: [`${outside.ip6}/128`] } });
  await settles('ip4', true);
  await settles('ip6', false);
  await callApi(url, { method: 'DELETE' });
  await settles('ip6', true);
};
