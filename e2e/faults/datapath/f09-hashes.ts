// SPDX-License-Identifier: Apache-2.0
/**
 * F09, where packets are balanced by Maglev: a client outside connects from the same ports again and again. A killed and
 * restarted agent must send each of them where it went before; when one of ten backends leaves, hardly any of those that
 * were not its own may go elsewhere. A connection that was reset is nobody's any more, so each one is chosen anew.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { report } from '../../lib/figures.ts';
import { clientsOf, serviceMaps } from '../../lib/pinned.ts';
import { size } from '../../lib/size.ts';
import type { Scene } from './scene.ts';

const VIP = { ip4: '203.0.113.92', ip6: '2001:db8:92::92' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
const PORT = 80;
const SERVED = 8001;
/** Of each family. */
const CLIENTS = size({ short: 200, long: 2_500 });
const FIRST_PORT = 20_000;
const MOST_REMAPPED = 0.12;

/** Connects from each port in turn and resets the connection; says how many came about. */
const CONNECT = `
const net = require('node:net');
const [host, port, first, count] = process.argv.slice(1);
let next = Number(first), done = 0, open = 0;
const end = Number(first) + Number(count);
const one = (localPort) => {
  open++;
  const socket = net.connect({ host, port: Number(port), localPort, timeout: 10_000 }, () => { done++; socket.resetAndDestroy(); });
  socket.on('error', () => {}).on('timeout', () => socket.destroy()).on('close', () => { open--; more(); });
};
const more = () => {
  while (open < 50 && next < end) one(next++);
  if (open === 0 && next >= end) console.log(done);
};
more();
`;

/** Client's address and port -> the backend that it was sent to. */
type Chosen = ReadonlyMap<string, string>;

export const hashed = async (t: TestContext, scene: Scene): Promise<void> => {
  const { fleet, agent, bystanders } = scene;
  assert.equal(bystanders.length, 10);
  const url = `${fleet.control.urls.inventory}/v1/services/default.hashed`;
  const [own, client] = [fleet.host('h1'), fleet.host('h2')];
  const put = async (backends: readonly (typeof bystanders)[number][], kills = 0): Promise<void> => {
    const { revision } = await callApi<{ revision: number }>(url, {
      method: 'PUT',
      body: {
        ...{ algorithm: 'maglev', labels: { kills: String(kills) } },
        frontends: FAMILIES.map((family) => ({ type: 'external-ip', address: VIP[family], port: PORT })),
        backends: backends.flatMap((one) => FAMILIES.map((family) => ({ address: one[family], port: SERVED }))),
      },
    });
    await fleet.waitReported('inventory', revision, 60_000);
  };
  const connect = async (): Promise<Chosen> => {
    for (const family of FAMILIES) {
      const args = [VIP[family], PORT, FIRST_PORT, CLIENTS].map(String);
      const done = Number(inNetns(client.netns, process.execPath, '-e', CONNECT, '--', ...args));
      assert.equal(done, CLIENTS, `connections to ${VIP[family]} that came about`);
    }
    const chosen = new Map<string, string>();
    for (const family of FAMILIES)
      for (const [who, backend] of await clientsOf(agent.bpffs, VIP[family]))
        if (Number(who.split(' ')[1]) >= FIRST_PORT) chosen.set(who, backend);
    assert.equal(chosen.size, FAMILIES.length * CLIENTS);
    return chosen;
  };
  const moved = (before: Chosen, after: Chosen): string[] =>
    [...before].filter(([who, backend]) => after.get(who) !== backend).map(([who]) => who);

  for (const one of bystanders) await one.listen({ tcp: [SERVED] });
  await put(bystanders);
  for (const family of FAMILIES) inNetns(client.netns, 'ip', 'route', 'replace', VIP[family], 'via', own[family]);
  await until('the first client to be served', 30_000, async () => {
    const args = [VIP.ip4, PORT, FIRST_PORT - 1, 1].map(String);
    return Number(inNetns(client.netns, process.execPath, '-e', CONNECT, '--', ...args)) === 1;
  });
  const first = await connect();
  assert.equal(new Set(first.values()).size, 20, 'every backend has clients');
  const again = moved(first, await connect()).length;

  const maps = await serviceMaps(agent.bpffs);
  await agent.kill();
  const away = moved(first, await connect()).length;
  await agent.start();
  await put(bystanders, 1);
  const restarted = moved(first, await connect()).length;
  assert.deepEqual(await serviceMaps(agent.bpffs), maps);

  const [gone, ...rest] = bystanders;
  await put(rest);
  const after = await connect();
  const wasGone = (who: string): boolean => FAMILIES.some((family) => first.get(who) === gone?.[family]);
  const others = [...first.keys()].filter((who) => !wasGone(who));
  const remapped = moved(first, after).filter((who) => !wasGone(who)).length;
  const left = [...after.values()].filter((backend) => FAMILIES.some((family) => backend === gone?.[family])).length;
  for (const family of FAMILIES) inNetns(client.netns, 'ip', 'route', 'del', VIP[family]);
  await callApi(url, { method: 'DELETE' });

  const share = remapped / others.length;
  report(
    t,
    'F09',
    {
      ...{
        hashes: first.size,
        remapped_same_table: again,
        remapped_agent_away: away,
        remapped_agent_restart: restarted,
      },
      ...{ others: others.length, remapped, remapped_percent: (100 * share).toFixed(2), sent_to_gone: left },
    },
    [
      ['the same hash goes to the same backend', again === 0],
      ['0 remaps caused by the agent restart', away === 0 && restarted === 0],
      ['at most 12 % of the others remapped when 1 of 10 leaves', share <= MOST_REMAPPED],
      ['nobody is sent to the backend that left', left === 0],
    ],
  );
};
