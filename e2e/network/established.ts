// SPDX-License-Identifier: Apache-2.0
/**
 * Connections that a change refuses: cut, or drained, as whoever applies it says; what drains outlives the agents, and a later change that
 * cuts ends it.
 */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { FAMILIES, REFUSED_MS, type Scene, TCP } from './scene.ts';

const CLOSED = (version: number) => `
apiVersion: weir.io/v1
kind: FirewallPolicy
metadata: { name: db-closed, namespace: default }
spec:
  description: version ${version}
  endpointSelector: { matchLabels: { app: db } }
  ingress: [ { action: Deny } ]
`;
const KEY = 'FirewallPolicy/default/db-closed';
const HELD = 3;
/** What a connection says between two looks. */
const SPOKEN = 5;

export const established = async ({ fleet, web, shop, db }: Scene): Promise<void> => {
  const url = `${fleet.control.urls.policy}/v1/policies`;
  const change = async (path: string, request: object): Promise<void> => {
    const { revision } = await callApi<{ revision: number }>(`${url}${path}`, request);
    await fleet.waitRealised(revision, 60_000);
  };
  const apply = (version: number, how: 'cut' | 'drain') =>
    change(`?established=${how}`, { raw: { type: 'application/yaml', text: CLOSED(version) } });
  // one natively, one by tunnel
  const drives = await Promise.all(
    [web, shop].flatMap((from) =>
      FAMILIES.map((family) =>
        from.hold({ host: db[family], port: TCP, connections: HELD, tickMs: 50, stallMs: 60_000 }),
      ),
    ),
  );
  const answered = () => Promise.all(drives.map(async (drive) => (await drive.report()).answered));
  const speak = async (why: string): Promise<void> => {
    const before = await answered();
    const goal = before.map((count) => count + HELD * SPOKEN);
    let now = before;
    await until(
      why,
      60_000,
      async () => {
        now = await answered();
        return now.every((count, at) => count >= (goal[at] as number));
      },
      () => `answered ${now}, wanted ${goal}`,
    );
  };
  const isRefused = async (): Promise<void> => {
    for (const from of [web, shop]) {
      const { outcome } = await from.probe({ protocol: 'tcp', host: db.ip4, port: TCP, timeoutMs: REFUSED_MS });
      assert.equal(outcome, 'timeout', `a new connection of ${from.id}`);
    }
  };
  await speak('connections to speak');
  await apply(1, 'drain');
  await isRefused();
  await speak('connections to go on after a change that drains');
  const agent = fleet.agents.get('h2');
  assert.ok(agent);
  await agent.kill();
  await agent.start();
  await speak('connections to go on after the agent began again');
  await isRefused();
  await apply(2, 'cut');
  const silent = await answered();
  // What was on its way when the change came may still arrive; then nothing does.
  let last = silent;
  let quiet = 0;
  await until('connections to be cut', 60_000, async () => {
    const now = await answered();
    quiet = now.join() === last.join() ? quiet + 1 : 0;
    last = now;
    return quiet >= 5;
  });
  await change(`/${KEY}`, { method: 'DELETE' });
  await Promise.all(drives.map((drive) => drive.stop()));
};
