// SPDX-License-Identifier: Apache-2.0
/**
 * Services set through the API, asked for by workloads of all hosts: TCP and UDP in both families, policy by the backend, what
 * leaves is left alone, nobody left is a refusal, and an agent that is killed takes nothing with it.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { callApi } from '@weir/infra/api';
import { until, type Workload } from '@weir/infra/fleet';
import { type Flow, flowsSince } from '../matrix/flows.ts';
import { FAMILIES, type Family, PATIENT_MS, REFUSED_MS, type Scene, TCP, UDP } from './scene.ts';

const VIP = { ip4: '203.0.113.80', ip6: '2001:db8:80::80' } as const;
const ASKED = { tcp: 8080, udp: 5353 } as const;
const SERVED = { tcp: TCP, udp: UDP } as const;
const PROTOCOLS = ['tcp', 'udp'] as const;
type Protocol = (typeof PROTOCOLS)[number];

const EVERY_WAY = PROTOCOLS.flatMap((protocol) => FAMILIES.map((family) => ({ protocol, family })));

/** So many connections by chance miss one of two backends once in a million times. */
const MANY = 20;

const frontends = FAMILIES.flatMap((family) =>
  PROTOCOLS.map((protocol) => ({
    ...{ type: 'external-ip', address: VIP[family], port: ASKED[protocol] },
    ...{ protocol: protocol.toUpperCase(), port_name: protocol },
  })),
);
const targets = PROTOCOLS.map((name) => ({ port_name: name, port: SERVED[name], protocol: name.toUpperCase() }));

/** Services that lead to the workloads of an app. */
const serviceOf = (...apps: readonly string[]) => ({
  ...{ frontends, targets },
  selector: { match_expressions: [{ key: 'app', operator: 'In', values: apps }] },
});

/** Flows of db, both ways, say what it asked for: by its name, its address and its backend. The backend's host can not know. */
const named = async ({ fleet, db }: Scene, sinceMs: number): Promise<void> => {
  for (const { protocol, family } of EVERY_WAY) {
    const asked = { type: 'EXTERNAL_IP', address: VIP[family], port: ASKED[protocol] };
    const tells = (flow: Flow): boolean => {
      const { source, destination, source_service: ofSource, destination_service: ofDestination } = flow;
      const { ip, port } = flow.is_reply ? source : destination;
      const services = flow.is_reply ? [ofSource, ofDestination] : [ofDestination, ofSource];
      return (
        isDeepStrictEqual(services, [{ namespace: 'default', name: 'front' }, null]) &&
        isDeepStrictEqual({ ...flow.frontend, number: 0 }, { ...asked, number: 0, backend: { ip, port } }) &&
        flow.sock_xlate_point === (flow.is_reply ? 'PRE_DIRECTION_REV' : 'POST_DIRECTION_FWD')
      );
    };
    await until(`flows of ${db.id} by ${protocol} over ${family} to name the service`, 30_000, async () => {
      const flows = (await flowsSince(fleet.control.urls.analytics, sinceMs)).filter(
        (flow) =>
          flow.host === db.spec.host &&
          flow.protocol === protocol.toUpperCase() &&
          (flow.is_reply ? flow.destination : flow.source).ip === db[family],
      );
      return [true, false].every((reply) => flows.some((flow) => flow.is_reply === reply)) && flows.every(tells);
    });
  }
};

export const services = async (scene: Scene): Promise<void> => {
  const { fleet, web, evil, db, shop, thief } = scene;
  const { inventory, analytics } = fleet.control.urls;
  const url = `${inventory}/v1/services/default.front`;
  const set = async (body: object): Promise<void> => {
    const { revision } = await callApi<{ revision: number }>(url, { method: 'PUT', body });
    await fleet.waitReported('inventory', revision, 60_000);
  };
  const ask = (from: Workload, protocol: Protocol, family: Family, timeoutMs = PATIENT_MS) =>
    from.probe({ protocol, host: VIP[family], port: ASKED[protocol], timeoutMs });
  const outcomes = async (from: Workload, timeoutMs?: number): Promise<string[]> =>
    Promise.all(EVERY_WAY.map(async ({ protocol, family }) => (await ask(from, protocol, family, timeoutMs)).outcome));
  const all = (outcome: string): string[] => EVERY_WAY.map(() => outcome);
  /** Backends that flows of these clients name, which is where the packets went. */
  const reached = async (since: number, from: Workload, family: Family): Promise<Set<string>> => {
    const flows = await flowsSince(analytics, since);
    const own = flows.filter(
      (flow) => !flow.is_reply && flow.direction === 'EGRESS' && flow.source.ip === from[family],
    );
    return new Set(own.filter(({ host }) => host === from.spec.host).map(({ destination }) => destination.ip));
  };

  await set(serviceOf('web'));
  const since = Date.now();
  for (const { protocol, family } of EVERY_WAY)
    for (let i = 0; i < MANY; i++) assert.equal((await ask(db, protocol, family)).outcome, 'answered');
  for (const from of [web, evil, shop, thief]) assert.deepEqual(await outcomes(from), all('answered'), from.id);
  assert.equal((await ask(db, 'tcp', 'ip4')).ok, true);
  const mapped = await db.probe({ protocol: 'tcp', host: `::ffff:${VIP.ip4}`, port: ASKED.tcp, timeoutMs: PATIENT_MS });
  assert.equal(mapped.outcome, 'answered', 'IPv4 by a socket of IPv6');
  for (const family of FAMILIES) {
    const wanted = [web[family], shop[family]].sort().join();
    await until(
      `flows of ${db.id} to both backends by ${family}`,
      30_000,
      async () => [...(await reached(since, db, family))].sort().join() === wanted,
      () => wanted,
    );
  }

  await named(scene, since);

  // Policy is that of the backend: db lets in the app web only.
  await set(serviceOf('db'));
  const later = Date.now();
  for (const from of [web, shop]) assert.deepEqual(await outcomes(from), all('answered'), from.id);
  for (const from of [evil, thief]) assert.deepEqual(await outcomes(from, REFUSED_MS), all('timeout'), from.id);
  await until('the refusal of evil to be recorded at db', 30_000, async () =>
    (await flowsSince(analytics, later)).some(
      (flow) =>
        flow.source.ip === evil.ip4 &&
        flow.destination.ip === db.ip4 &&
        flow.drop_reason?.code === 133 &&
        flow.host === 'h2',
    ),
  );

  // An agent that is killed takes nothing with it.
  const agent = fleet.agents.get(web.spec.host);
  await agent?.kill();
  assert.deepEqual(await outcomes(web), all('answered'), 'without its agent');
  await agent?.start();
  assert.deepEqual(await outcomes(web), all('answered'), 'with a new one');

  // Nobody serves: refused at once. Nothing is asked for any more: as if there had never been a service.
  await set(serviceOf('nobody'));
  const last = Date.now();
  for (const from of [web, db, thief]) assert.deepEqual(await outcomes(from), all('ECONNREFUSED'), from.id);
  await until('the refusals to be recorded', 30_000, async () => {
    const refused = (await flowsSince(analytics, last)).filter(
      ({ drop_reason: reason, frontend, sock_xlate_point: point }) =>
        reason?.code === 158 && frontend?.backend === null && point === 'PRE_DIRECTION_FWD',
    );
    return FAMILIES.every((family) =>
      [web, db, thief].every((from) =>
        refused.some(
          ({ source, destination, destination_service: service }) =>
            source.ip === from[family] && destination.ip === VIP[family] && service?.name === 'front',
        ),
      ),
    );
  });
  await callApi(url, { method: 'DELETE' });
  await until('the service to be gone', 60_000, async () => {
    const left = await outcomes(web, REFUSED_MS);
    return left.every((outcome) => outcome !== 'ECONNREFUSED' && outcome !== 'answered');
  });
};
