// SPDX-License-Identifier: Apache-2.0
/**
 * Services asked for from outside: at a NodePort of a host, at an external address and at a load balancer's address that
 * is routed to that host, TCP and UDP in both families. Their backends are on the host itself, on another that is
 * reached natively, and on one that is reached by tunnel; policy and flows are those of the backends. Who is reached natively
 * answers clients itself, when the service says so.
 */
import assert from 'node:assert/strict';
import { callAll, callApi } from '@weir/infra/api';
import { type ProbeRequest, type ProbeResult, until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { type Flow, flowsSince } from '../matrix/flows.ts';
import { FAMILIES, type Family, PATIENT_MS, REFUSED_MS, type Scene, setNetwork, TCP, UDP } from './scene.ts';

const VIP = { ip4: '203.0.113.90', ip6: '2001:db8:90::90' } as const;
const BALANCED = { ip4: '203.0.113.91', ip6: '2001:db8:90::91' } as const;
const PORT = { tcp: 8080, udp: 5353 } as const;
const NODE_PORT = { tcp: 30_080, udp: 30_053 } as const;
const SERVED = { tcp: TCP, udp: UDP } as const;
const PROTOCOLS = ['tcp', 'udp'] as const;
/** So many connections by chance miss one of two backends once in a million times. */
const MANY = 20;
const LONG_BYTES = 3_000;
/** Below the kernel's own choice. */
const FIRST_CLIENT_PORT = 10_000;

const at = (type: string, addresses: Readonly<Record<Family, string>>) =>
  FAMILIES.flatMap((family) =>
    PROTOCOLS.map((protocol) => ({
      ...{ type, address: addresses[family], port: PORT[protocol] },
      ...{ protocol: protocol.toUpperCase(), port_name: protocol },
    })),
  );
const frontends = [
  ...PROTOCOLS.map((protocol) => ({
    ...{ type: 'node-port', port: NODE_PORT[protocol] },
    ...{ protocol: protocol.toUpperCase(), port_name: protocol },
  })),
  ...at('external-ip', VIP),
  ...at('load-balancer', BALANCED),
];
const targets = PROTOCOLS.map((name) => ({ port_name: name, port: SERVED[name], protocol: name.toUpperCase() }));
const serviceOf = (app: string, more: object = {}) => ({
  ...{ frontends, targets, ...more },
  selector: { match_labels: { app } },
});

const routeTo = ({ fleet }: Scene, verb: 'replace' | 'del'): void => {
  const { ip4, ip6 } = fleet.host('h1');
  for (const address of [VIP.ip4, BALANCED.ip4])
    inNetns(fleet.worldNetns as string, 'ip', 'route', verb, address, 'via', ip4);
  for (const address of [VIP.ip6, BALANCED.ip6])
    inNetns(fleet.worldNetns as string, 'ip', '-6', 'route', verb, address, 'via', ip6);
};

interface Stat {
  readonly frontend: { readonly type: string; readonly port: number; readonly protocol: string };
  readonly backend: { readonly address: string; readonly port: number } | null;
  readonly connections: number;
  readonly packets: number;
  readonly bytes: number;
}

/**
 * What the flows of a client outside say at the backend's own host, which it came to: service, the address that it asked
 * for, by which kind of frontend, and the backend.
 */
const named = async ({ fleet, web }: Scene, sinceMs: number): Promise<void> => {
  const wanted = FAMILIES.flatMap((family) =>
    PROTOCOLS.flatMap((protocol) => {
      const backend = `[${web[family]}]:${SERVED[protocol]}`;
      return [
        `NODE_PORT null:${NODE_PORT[protocol]} ${backend}`,
        `EXTERNAL_IP ${VIP[family]}:${PORT[protocol]} ${backend}`,
        `LOAD_BALANCER ${BALANCED[family]}:${PORT[protocol]} ${backend}`,
      ];
    }),
  );
  const told = ({ frontend, destination_service: service }: Flow): string[] =>
    frontend && service?.namespace === 'default' && service.name === 'outward'
      ? [`${frontend.type} ${frontend.address}:${frontend.port} [${frontend.backend?.ip}]:${frontend.backend?.port}`]
      : [];
  let seen = new Set<string>();
  await until(
    'flows of clients outside to name service, frontend and backend',
    30_000,
    async () => {
      const flows = (await flowsSince(fleet.control.urls.analytics, sinceMs)).filter(
        (flow) =>
          !flow.is_reply && flow.host === 'h1' && FAMILIES.some((family) => flow.destination.ip === web[family]),
      );
      seen = new Set(flows.flatMap(told));
      return wanted.every((line) => seen.has(line));
    },
    () => `${wanted.filter((line) => !seen.has(line)).join('; ')} among ${[...seen].join('; ')}`,
  );
};

/** What the host that was asked has counted is told by the API: each frontend, and that its backends got something. */
const counted = async ({ fleet, web, shop }: Scene): Promise<void> => {
  const path = `${fleet.control.urls.inventory}/v1/service-stats?service=default.outward&host=h1`;
  const backends = FAMILIES.flatMap((family) => [web[family], shop[family]]);
  let seen: readonly Stat[] = [];
  await until(
    'the counts of the service',
    60_000,
    async () => {
      seen = await callAll<Stat>(path);
      const served = seen.filter(
        ({ backend, connections, packets, bytes }) =>
          backend && backends.includes(backend.address) && connections > 0 && packets >= connections && bytes > packets,
      );
      return (
        new Set(served.map(({ frontend, backend }) => JSON.stringify([frontend, backend]))).size >= frontends.length
      );
    },
    () => JSON.stringify(seen),
  );
};

export const servicesFromOutside = async (scene: Scene, network: object): Promise<void> => {
  const { fleet, outside, web, db, shop } = scene;
  const { inventory, analytics } = fleet.control.urls;
  const url = `${inventory}/v1/services/default.outward`;
  const set = async (body: object): Promise<void> => {
    const { revision } = await callApi<{ revision: number }>(url, { method: 'PUT', body });
    await fleet.waitReported('inventory', revision, 60_000);
  };
  await setNetwork(scene, network);
  const plain = (await fleet.addWorkloads([
    { name: 'plain', host: 'h2', labels: { app: 'plain' }, tcp: [TCP], udp: [UDP] },
  ])) as [Workload];
  routeTo(scene, 'replace');
  const blocks = [{ cidr: `${BALANCED.ip4}/32` }, { cidr: `${BALANCED.ip6}/128` }];
  await callApi(`${inventory}/v1/lb-pools/outward`, { method: 'PUT', body: { blocks } });

  const host = fleet.host('h1');
  const everyWay = FAMILIES.flatMap((family) =>
    PROTOCOLS.flatMap((protocol) => [
      { protocol, host: host[family], port: NODE_PORT[protocol] },
      { protocol, host: VIP[family], port: PORT[protocol] },
      { protocol, host: BALANCED[family], port: PORT[protocol] },
    ]),
  );
  // Not one that comes again within a mapping's time: another frontend of the same backend would get another port there.
  let clientPort = FIRST_CLIENT_PORT;
  const ask = (way: ProbeRequest): Promise<ProbeResult> => outside.probe({ ...way, localPort: clientPort++ });
  const outcomes = async (timeoutMs = PATIENT_MS): Promise<string[]> => {
    const results = await Promise.all(everyWay.map((way) => ask({ ...way, timeoutMs })));
    return results.map(({ outcome }, i) => {
      const { protocol, host: asked, port } = everyWay[i] as (typeof everyWay)[number];
      return `${protocol} ${asked} ${port}: ${outcome}`;
    });
  };
  const allAre = async (outcome: string, timeoutMs?: number): Promise<void> => {
    for (const line of await outcomes(timeoutMs)) assert.match(line, new RegExp(`: ${outcome}$`));
  };
  /** Backends on which flows from outside were seen, with an address of the family. */
  const reached = async (since: number, family: Family): Promise<string[]> => {
    const flows = (await flowsSince(analytics, since)).filter(
      (flow) => !flow.is_reply && flow.direction === 'INGRESS' && flow.verdict === 'FORWARDED',
    );
    const own = [web, shop, plain[0]].map((one) => one[family]);
    return [...new Set(flows.map(({ destination }) => destination.ip))].filter((ip) => own.includes(ip)).sort();
  };
  const waitReached = (since: number, backends: readonly Workload[]): Promise<unknown> =>
    Promise.all(
      FAMILIES.map((family) => {
        const wanted = backends.map((one) => one[family]).sort();
        return until(
          `flows from outside to ${wanted}`,
          30_000,
          async () => (await reached(since, family)).join() === wanted.join(),
          () => wanted.join(),
        );
      }),
    );

  // On this host, and by tunnel on another.
  await set(serviceOf('web'));
  await until('the first to be served', 30_000, async () =>
    (await outcomes(REFUSED_MS)).every((line) => line.endsWith('answered')),
  );
  const since = Date.now();
  for (let i = 0; i < MANY; i++) await allAre('answered');
  await waitReached(since, [web, shop]);
  await named(scene, since);
  await counted(scene);
  for (const family of FAMILIES) {
    const long = { protocol: 'udp', host: VIP[family], port: PORT.udp, payloadBytes: LONG_BYTES } as const;
    for (let i = 0; i < 4; i++) await ask({ ...long, timeoutMs: REFUSED_MS });
    assert.equal((await ask({ ...long, timeoutMs: PATIENT_MS })).outcome, 'answered', `fragments ${family}`);
    const ping = { protocol: 'icmp', host: BALANCED[family], timeoutMs: PATIENT_MS } as const;
    assert.equal((await outside.probe(ping)).outcome, 'answered', `ping of ${BALANCED[family]}`);
    const closed = { protocol: 'tcp', host: BALANCED[family], port: 9, timeoutMs: PATIENT_MS } as const;
    assert.equal((await outside.probe(closed)).outcome, 'ECONNREFUSED', `another port of ${BALANCED[family]}`);
  }

  // Natively on another host.
  await set(serviceOf('plain'));
  const later = Date.now();
  await allAre('answered');
  await waitReached(later, plain);

  // It answers clients itself: an option says what they have asked for, or their packets come inside others.
  for (const dispatch of ['ip-option', 'ipip']) {
    await set(serviceOf('plain', { forwarding: 'dsr', dsr_dispatch: dispatch }));
    const direct = Date.now();
    await allAre('answered');
    for (const family of FAMILIES) {
      const long = { protocol: 'udp', host: VIP[family], port: PORT.udp, payloadBytes: LONG_BYTES } as const;
      // The first one may be too long with what is added to it: its sender is told.
      for (let i = 0; i < 2; i++) await ask({ ...long, timeoutMs: REFUSED_MS });
      assert.equal((await ask({ ...long, timeoutMs: PATIENT_MS })).outcome, 'answered', `${dispatch} ${family}`);
    }
    const wanted = FAMILIES.flatMap((family) =>
      [VIP, BALANCED].flatMap((vip) =>
        PROTOCOLS.map((protocol) => `${outside[family]} ${vip[family]} ${PORT[protocol]}`),
      ),
    );
    const missing = async (): Promise<string[]> => {
      const flows = await flowsSince(analytics, direct);
      const told = new Set(
        flows
          .filter(({ host: seen, is_reply, direction }) => seen === 'h2' && !is_reply && direction === 'INGRESS')
          .map(({ source, frontend }) => `${source.ip} ${frontend?.address} ${frontend?.port}`),
      );
      return wanted.filter((one) => !told.has(one));
    };
    await until(
      `h2 to see the client itself and what it asked for (${dispatch})`,
      30_000,
      async () => (await missing()).length === 0,
      () => wanted.join('; '),
    );
  }

  // Hybrid: TCP is answered directly, datagrams by the host that was asked.
  await set(serviceOf('plain', { forwarding: 'hybrid', dsr_dispatch: 'ipip' }));
  const mixed = Date.now();
  await allAre('answered');
  const clients = (family: Family): string => `TCP ${outside[family]}, UDP ${host[family]}`;
  let seen: string[] = [];
  await until(
    'h2 to see the client of TCP itself, and of datagrams the host that was asked',
    30_000,
    async () => {
      const flows = (await flowsSince(analytics, mixed)).filter(
        (flow) => flow.host === 'h2' && !flow.is_reply && flow.direction === 'INGRESS' && flow.verdict === 'FORWARDED',
      );
      seen = FAMILIES.map((family) =>
        ['TCP', 'UDP']
          .map((protocol) => {
            const mine = flows.filter((one) => one.protocol === protocol && one.destination.ip === plain[0][family]);
            return `${protocol} ${[...new Set(mine.map(({ source }) => source.ip))].join('+')}`;
          })
          .join(', '),
      );
      return FAMILIES.every((family, i) => seen[i] === clients(family));
    },
    () => seen.join('; '),
  );

  // Policy is the backend's: db lets nobody in but the app web.
  await set(serviceOf('db'));
  await allAre('timeout', REFUSED_MS);
  await until('the refusal to be recorded at db', 30_000, async () =>
    (await flowsSince(analytics, later)).some(
      ({ destination, drop_reason: reason, host: seen }) =>
        destination.ip === db.ip4 && reason?.code === 133 && seen === 'h2',
    ),
  );

  // Only backends of the host that is asked, and there are none; nobody at all.
  await set(serviceOf('plain', { external_traffic_policy: 'local' }));
  await allAre('ECONNREFUSED');
  await set(serviceOf('nobody'));
  await allAre('ECONNREFUSED');
  await callApi(url, { method: 'DELETE' });
  await callApi(`${inventory}/v1/lb-pools/outward`, { method: 'DELETE' });
  routeTo(scene, 'del');
  await fleet.removeWorkload(plain[0].id);
};
