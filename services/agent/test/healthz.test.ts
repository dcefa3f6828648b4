// SPDX-License-Identifier: Apache-2.0
/** What a host tells a load balancer in front of the fleet, at real ports. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { BackendState, TrafficPolicy } from '@weir/proto/weir/bus/v1/config_pb.js';
import { Healthz } from '../src/checks/healthz.ts';
import { until } from './support/control-plane.ts';
import { labelledHostEntry, removal, serviceEntry } from './support/entries.ts';

const troubles: string[] = [];
const healthz = new Healthz({ host: 'h1', onTrouble: (what) => void troubles.push(what) });
after(() => healthz.stop());

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};
const ask = async (port: number, path = '/healthz'): Promise<{ status: number; body: unknown } | undefined> => {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? '' : JSON.parse(text) };
  } catch {
    return undefined;
  }
};
const answered = async (port: number, status: number): Promise<unknown> => {
  for (const end = Date.now() + 8_000; Date.now() < end; ) {
    const answer = await ask(port);
    if (answer?.status === status) return answer.body;
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.fail(`no ${status} at ${port}`);
};

const backend = (number: number, hostId: string, state = BackendState.ACTIVE) => ({
  ...{ number, address: `10.1.0.${number}`, port: 80, protocol: 6, hostId, state },
});

test('200 with the number of active backends on this host, 503 without one, nothing when nobody asks for it', async () => {
  const port = await freePort();
  const service = (backends: ReturnType<typeof backend>[], more: object = {}) =>
    serviceEntry({
      ...{ id: 'shop.web', namespace: 'shop', name: 'web', number: 7, backends },
      ...{ healthCheckNodePort: port, externalTrafficPolicy: TrafficPolicy.LOCAL, ...more },
    });
  const said = (localEndpoints: number) => ({ service: { namespace: 'shop', name: 'web' }, localEndpoints });
  healthz.reset([
    labelledHostEntry('h1', { edge: 'yes' }),
    service([backend(1, 'h1'), backend(2, 'h1'), backend(3, 'h2')]),
  ]);
  assert.deepEqual(await answered(port, 200), said(2));
  assert.equal((await ask(port, '/other'))?.status, 404);
  healthz.change(service([backend(1, 'h1', BackendState.QUARANTINED), backend(2, 'h1', BackendState.TERMINATING)]));
  assert.deepEqual(await answered(port, 503), said(0));
  healthz.change(service([backend(1, 'h1')]));
  assert.deepEqual(await answered(port, 200), said(1));
  healthz.change(service([backend(1, 'h1')], { hosts: { matchLabels: { edge: 'no' } } }));
  assert.deepEqual(await answered(port, 503), said(0));
  healthz.change(service([backend(1, 'h1')], { externalTrafficPolicy: TrafficPolicy.CLUSTER }));
  for (const end = Date.now() + 8_000; (await ask(port)) && Date.now() < end; );
  assert.equal(await ask(port), undefined, 'only where the policy is local');
  healthz.change(service([backend(1, 'h1')]));
  await answered(port, 200);
  healthz.change(removal('service', 'shop.web'));
  for (const end = Date.now() + 8_000; (await ask(port)) && Date.now() < end; );
  assert.equal(await ask(port), undefined);
});

test('a port that somebody else has is told once, and had as soon as it is free', async () => {
  const taken = createServer().listen({ port: 0, host: '::' });
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const service = serviceEntry({
    ...{ id: 'shop.late', namespace: 'shop', name: 'late', number: 8, backends: [backend(1, 'h1')] },
    ...{ healthCheckNodePort: port, externalTrafficPolicy: TrafficPolicy.LOCAL },
  });
  healthz.change(service);
  healthz.change(service);
  await until(() => troubles.length > 0, 'it is told');
  taken.close();
  await once(taken, 'close');
  healthz.change(service);
  await answered(port, 200);
  assert.deepEqual(troubles, [`no health is told at port ${port}`]);
});
