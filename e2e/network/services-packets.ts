// SPDX-License-Identifier: Apache-2.0
/**
 * Services asked for from outside: at a NodePort of a host, at an external address and at a load balancer's address that
 * is routed to that host, TCP and UDP in both families. Their backends are on the host itself, on another that is
 * reached natively, and on one that is reached by tunnel; policy and flows are those of the backends.
 */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { flowsSince } from '../matrix/flows.ts';
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
  const outcomes = async (timeoutMs = PATIENT_MS): Promise<string[]> => {
    const results = await Promise.all(everyWay.map((way) => outside.probe({ ...way, timeoutMs })));
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
  for (const family of FAMILIES) {
    const long = { protocol: 'udp', host: VIP[family], port: PORT.udp, payloadBytes: LONG_BYTES } as const;
    for (let i = 0; i < 4; i++) await outside.probe({ ...long, timeoutMs: REFUSED_MS });
    assert.equal((await outside.probe({ ...long, timeoutMs: PATIENT_MS })).outcome, 'answered', `fragments ${family}`);
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
