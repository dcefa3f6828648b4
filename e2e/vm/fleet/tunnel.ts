// SPDX-License-Identifier: Apache-2.0
/** Both ways between hosts and to the world that go beyond plain routing: VXLAN with policy by identity, masquerading. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6 } from 'node:net';
import { type Fleet, until, type Workload } from '@weir/infra/fleet';
import { ip } from '@weir/infra/resources';
import { tcxSupported } from '@weir/loader';
import { setNetwork } from '../../lib/routing.ts';
import { filtersOf, linkNames, receivedBy, routesBy } from './filters.ts';
import { applyPolicy, PATIENT_MS, REFUSED_MS, type Scene } from './scene.ts';

const TUNNEL = 'weir_vxlan';

interface Attempt {
  readonly from: Workload;
  readonly allowed: boolean;
}

/** The client may, the stranger may not; what was not so. */
export const judged = async ({ web, client, stranger }: Scene): Promise<string[]> => {
  const attempts: Attempt[] = [
    { from: client, allowed: true },
    { from: stranger, allowed: false },
  ];
  const outcomes = await Promise.all(
    attempts.flatMap(({ from, allowed }) =>
      [web.ip4, web.ip6].map(async (host) => {
        const timeoutMs = allowed ? PATIENT_MS : REFUSED_MS;
        const { outcome } = await from.probe({ protocol: 'tcp', host, port: 80, timeoutMs });
        const wanted = allowed ? 'answered' : 'timeout';
        return outcome === wanted ? [] : [`${from.id} -> ${host}: wanted ${wanted}, got ${outcome}`];
      }),
    ),
  );
  return outcomes.flat();
};

/** Leaves the fleet as it was. */
export const tunnelled = async (scene: Scene): Promise<void> => {
  const { fleet, web, client } = scene;
  const hosts = [web.spec.host, client.spec.host].map((name) => fleet.host(name).netns) as [string, string];
  const everyHost = (what: string, holds: (netns: string) => boolean): Promise<void> =>
    until(what, PATIENT_MS, async () => hosts.every(holds));
  await applyPolicy(scene);
  assert.deepEqual(await judged(scene), [], 'natively');

  await setNetwork(fleet, { routing: 'tunnel' });
  await everyHost('every route to lead through the tunnel', (netns) => routesBy(netns, TUNNEL) === 2);
  const before = hosts.map((netns) => receivedBy(netns, TUNNEL));
  assert.deepEqual(await judged(scene), [], 'by tunnel');
  const came = hosts.map((netns, i) => receivedBy(netns, TUNNEL) - (before[i] ?? 0));
  // two connections, each way: a handshake, the words, the end; to web also what the stranger tried
  assert.ok(came.every((packets) => packets >= 2 * 4) && (came[0] ?? 0) > (came[1] ?? 0), `packets: ${came}`);
  for (const netns of hosts) {
    const guarded = filtersOf(netns).filter((line) => line.startsWith(TUNNEL));
    assert.equal(guarded.length, 2, `${netns}: ${guarded}`);
  }

  await setNetwork(fleet, { routing: 'native' });
  await everyHost('the tunnel to be gone', (netns) => !linkNames(netns).includes(TUNNEL));
  assert.deepEqual(await judged(scene), [], 'natively again');
};

/** A server on the machine that says nothing of itself but remembers who came: TCP and UDP, both families. */
const startWitness = async (): Promise<{ readonly port: number; readonly seen: Set<string>; stop(): void }> => {
  const seen = new Set<string>();
  const note = (protocol: string, address = ''): void => {
    seen.add(`${protocol} ${address.replace(/^::ffff:/, '')}`);
  };
  const server = createServer((socket) => {
    note('tcp', socket.remoteAddress);
    socket.on('error', () => {}).pipe(socket);
  });
  server.listen(0, '::');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const datagrams = createSocket({ type: 'udp6', ipv6Only: false });
  datagrams.on('message', (message, { address, port }) => {
    note('udp', address);
    datagrams.send(message, port, address);
  });
  datagrams.bind(port, '::');
  await once(datagrams, 'listening');
  const stop = (): void => {
    server.close();
    datagrams.close();
  };
  return { port, seen, stop };
};

/** The machine knows no way to a workload: it answers what comes with its host's address. Leaves the fleet as it was. */
export const masqueraded = async ({ fleet, client }: Scene): Promise<void> => {
  const { machineIp4, worldIp6 } = fleet.underlay;
  const host = fleet.host(client.spec.host);
  // its link is named after the third byte of its address
  ip('addr', 'replace', `${worldIp6}/64`, 'dev', `weir${machineIp4.split('.')[2]}`, 'nodad');
  const witness = await startWitness();
  const ask = (address: string, protocol: 'tcp' | 'udp', timeoutMs: number) =>
    client.probe({ protocol, host: address, port: witness.port, timeoutMs });
  const attempts = [machineIp4, worldIp6].flatMap((address) =>
    (['tcp', 'udp'] as const).map((protocol) => ({ address, protocol })),
  );
  const all = async (timeoutMs: number): Promise<string[]> => {
    const results = await Promise.all(attempts.map(({ address, protocol }) => ask(address, protocol, timeoutMs)));
    return results.map(({ outcome }) => outcome);
  };
  try {
    assert.deepEqual(new Set(await all(REFUSED_MS)).has('answered'), false, 'without masquerading');
    witness.seen.clear();
    await setNetwork(fleet, { masquerade: { ipv4: true, ipv6: true } });
    await until('the machine to answer', PATIENT_MS, async () => (await ask(worldIp6, 'tcp', REFUSED_MS)).ok);
    assert.deepEqual(
      await all(PATIENT_MS),
      attempts.map(() => 'answered'),
    );
    const wanted = attempts.map(({ address, protocol }) => `${protocol} ${isIPv6(address) ? host.ip6 : host.ip4}`);
    assert.deepEqual([...witness.seen].sort(), wanted.sort(), 'as whom the machine saw the workload');
    // beside links there are none on an interface that is not ours
    assert.equal(uplinkFilters(fleet, client), (await tcxSupported()) ? 0 : 2);
    await setNetwork(fleet, {});
    await until('the machine to be silent', PATIENT_MS, async () => !(await ask(worldIp6, 'tcp', REFUSED_MS)).ok);
    assert.equal(uplinkFilters(fleet, client), 0);
    assert.deepEqual(new Set(await all(REFUSED_MS)).has('answered'), false, 'without masquerading again');
  } finally {
    witness.stop();
  }
};

const uplinkFilters = (fleet: Fleet, { spec }: Workload): number => {
  const { netns, uplink } = fleet.host(spec.host);
  return filtersOf(netns).filter((line) => line.startsWith(`${uplink} `)).length;
};
