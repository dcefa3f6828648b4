// SPDX-License-Identifier: Apache-2.0
/**
 * Who serves whom, as documents of Kubernetes say it and `weir apply` sets it: traffic policies, zones, source ranges and
 * exposure limits, and redirects to backends of the own host. Judged by real connections, TCP and UDP in both families, of
 * workloads of all hosts and of clients outside, and by which workload they came to.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { callAll, callApi } from '@weir/infra/api';
import { type External, until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { FAMILIES, type Family, PATIENT_MS, REFUSED_MS, type Scene, TCP, UDP } from './scene.ts';

const CLI = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;
const VIP = { ip4: '203.0.113.95', ip6: '2001:db8:95::95' } as const;
const SECOND = { ip4: '203.0.113.96', ip6: '2001:db8:96::96' } as const;
const STRANGER = { ip4: '198.51.100.95', ip6: '2001:db8:51::95' } as const;
const PORT = { tcp: 8080, udp: 5353 } as const;
const SERVED = { tcp: TCP, udp: UDP } as const;
const PROTOCOLS = ['tcp', 'udp'] as const;
const ZONE = 'topology.kubernetes.io/zone';
/** Of each protocol: by chance both miss one of two backends once in a million times. */
const TIMES = 10;
const DEADLINE_MS = 60_000;

/** `spec` and `annotations` as lines of YAML. The backends are web on h1 and shop on h3. */
const documentOf = (spec: readonly string[], annotations: readonly string[] = []): string => `
apiVersion: v1
kind: Service
metadata:
  name: rows
  namespace: default
  annotations:
    lbipam.cilium.io/ips: "${VIP.ip4},${VIP.ip6}"
${annotations.map((line) => `    ${line}\n`).join('')}spec:
  type: LoadBalancer
  ipFamilies: [IPv4, IPv6]
  externalIPs: ["${SECOND.ip4}", "${SECOND.ip6}"]
  selector: { app: web }
  ports:
    - { name: tcp, protocol: TCP, port: ${PORT.tcp}, targetPort: ${SERVED.tcp} }
    - { name: udp, protocol: UDP, port: ${PORT.udp}, targetPort: ${SERVED.udp} }
${spec.map((line) => `  ${line}\n`).join('')}`;

interface Stat {
  readonly frontend: { readonly address: string | null };
  readonly denied: number;
}
type Addresses = Readonly<Record<Family, string>>;
type Ports = Readonly<Record<'tcp' | 'udp', number>>;

/** What a client gets: an outcome of its sockets, or workloads that all of its connections came to, each at least one. */
type Wanted = RegExp | readonly (Workload | External)[];
interface Asked {
  readonly from: Workload | External;
  readonly wanted: Wanted;
  readonly at?: Addresses;
  readonly ports?: Ports;
}

export const servicesRows = async (scene: Scene): Promise<void> => {
  const { fleet, outside, web, evil, db, shop, thief } = scene;
  const { inventory } = fleet.control.urls;
  const dir = mkdtempSync(join(tmpdir(), 'weir-rows-'));
  const file = join(dir, 'service.yaml');
  const weir = (...words: string[]) =>
    promisify(execFile)(process.execPath, [CLI, ...words], { env: { ...process.env, ...fleet.control.cliEnv } });
  const apply = async (spec: readonly string[], annotations?: readonly string[]): Promise<void> => {
    writeFileSync(file, documentOf(spec, annotations));
    await weir('apply', '-f', file, '--wait', '--timeout', '60');
  };
  const label = (host: string, zone?: string): Promise<unknown> =>
    callApi(`${inventory}/v1/hosts/${host}`, {
      ...{ method: 'PATCH', body: { labels: zone === undefined ? {} : { [ZONE]: zone } } },
    });
  /** The world's way to the addresses is by this host. */
  const enterBy = (name: 'h1' | 'h2'): void => {
    const host = fleet.host(name);
    for (const vip of [VIP, SECOND])
      for (const [family, kind] of [
        ['ip4', '-4'],
        ['ip6', '-6'],
      ] as const)
        inNetns(fleet.worldNetns as string, 'ip', kind, 'route', 'replace', vip[family], 'via', host[family]);
  };
  const leave = (): void => {
    for (const vip of [VIP, SECOND])
      for (const [family, kind] of [
        ['ip4', '-4'],
        ['ip6', '-6'],
      ] as const)
        inNetns(fleet.worldNetns as string, 'ip', kind, 'route', 'del', vip[family]);
  };

  const stations = [web, shop, outside];
  const counts = (): Promise<number[]> =>
    Promise.all(stations.map(async (one) => one.served().then((served) => served.connections + served.datagrams)));
  /** What is wrong; empty: nothing. */
  const wrong = async ({ from, wanted, at = VIP, ports = PORT }: Asked): Promise<string> => {
    const isServed = !(wanted instanceof RegExp);
    for (const family of FAMILIES) {
      const earlier = await counts();
      const results = await from.probes(
        PROTOCOLS.flatMap((protocol) =>
          Array.from({ length: isServed ? TIMES : 1 }, () => ({
            ...{ protocol, host: at[family], port: ports[protocol] },
            timeoutMs: isServed || wanted.test('ECONNREFUSED') ? PATIENT_MS : REFUSED_MS,
          })),
        ),
      );
      const outcomes = [...new Set(results.map(({ outcome }) => outcome))].join();
      const later = await counts();
      const reached = stations.filter((_, i) => (later[i] as number) > (earlier[i] as number));
      const fits = isServed
        ? outcomes === 'answered' && stations.every((one) => reached.includes(one) === wanted.includes(one))
        : results.every(({ outcome }) => wanted.test(outcome));
      const names = reached.map((one) => ('spec' in one ? one.id : one.name)).join();
      if (!fits)
        return `${'spec' in from ? from.id : from.name} by ${family}: ${outcomes}, served by ${names || 'nobody'}`;
    }
    return '';
  };
  /** One after the other: they are told apart by who has served. */
  const expect = async (what: string, asked: readonly Asked[]): Promise<void> => {
    let seen = '';
    for (const one of asked)
      await until(
        what,
        DEADLINE_MS,
        async () => {
          seen = await wrong(one);
          return seen === '';
        },
        () => seen,
      );
  };
  const REFUSED = /^ECONNREFUSED$/;
  const SILENCE = /^timeout$/;
  /** No service is there: whatever the way to the address says. */
  const NOTHING = /^(?!answered$|ECONNREFUSED$)/;

  const stranger = await fleet.addExternal({ name: 'stranger', ...STRANGER });
  const blocks = [{ cidr: `${VIP.ip4}/32` }, { cidr: `${VIP.ip6}/128` }];
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'PUT', body: { blocks } });
  enterBy('h1');
  try {
    await apply(['internalTrafficPolicy: Local', 'externalTrafficPolicy: Local']);
    await expect('Local: backends of the own host', [
      { from: evil, wanted: [web] },
      { from: thief, wanted: [shop] },
      { from: db, wanted: REFUSED },
      { from: outside, wanted: [web] },
      { from: evil, at: SECOND, wanted: [web] },
      { from: outside, at: SECOND, wanted: [web] },
    ]);
    enterBy('h2');
    await expect('Local: nobody at the host that was come to', [{ from: outside, wanted: REFUSED }]);
    await apply(['internalTrafficPolicy: Local']);
    await expect('Local for the inside alone', [
      { from: outside, wanted: [web, shop] },
      { from: db, wanted: REFUSED },
    ]);
    enterBy('h1');

    await Promise.all([label('h1', 'a'), label('h2', 'a'), label('h3', 'b')]);
    await apply(['trafficDistribution: PreferSameZone']);
    await expect('backends of the own zone', [
      { from: db, wanted: [web] },
      { from: thief, wanted: [shop] },
      { from: outside, wanted: [web] },
    ]);
    await label('h2', 'c');
    await expect('all backends, in a zone that has none', [{ from: db, wanted: [web, shop] }]);
    await apply(['trafficDistribution: PreferSameNode']);
    await expect('backends of the own host, if there are any', [
      { from: evil, wanted: [web] },
      { from: thief, wanted: [shop] },
      { from: db, wanted: [web, shop] },
    ]);

    const ranges = [`loadBalancerSourceRanges: ["${outside.ip4}/32", "${outside.ip6}/128"]`];
    await apply(ranges);
    await expect('clients within the ranges', [
      { from: stranger, wanted: SILENCE },
      { from: outside, wanted: [web, shop] },
      { from: db, wanted: [web, shop] },
    ]);
    await apply(ranges, ['service.cilium.io/src-ranges-policy: deny']);
    await expect('clients outside the ranges', [
      { from: outside, wanted: SILENCE },
      { from: stranger, wanted: [web, shop] },
      { from: db, wanted: [web, shop] },
    ]);

    await apply([], ['service.cilium.io/type: LoadBalancer', `service.cilium.io/node-selector: "${ZONE} in (a)"`]);
    await expect('addresses of one type, at the hosts that are selected', [
      { from: evil, wanted: [web, shop] },
      { from: outside, wanted: [web, shop] },
      { from: evil, at: SECOND, wanted: NOTHING },
      { from: outside, at: SECOND, wanted: NOTHING },
    ]);
    enterBy('h2');
    await expect('a host that is not selected', [
      { from: outside, wanted: NOTHING },
      { from: db, wanted: NOTHING },
    ]);
    await until('clients that were refused to be counted', DEADLINE_MS, async () => {
      const stats = await callAll<Stat>(`${inventory}/v1/service-stats?service=default.rows&host=h1`);
      const refused = stats.filter(({ denied }) => denied > 0).map(({ frontend }) => frontend.address);
      return FAMILIES.every((family) => refused.includes(VIP[family]));
    });
    await weir('delete', '-f', file);

    // What is asked of somebody outside stays on the host, where it has a backend.
    const { revision } = await callApi<{ revision: number }>(`${inventory}/v1/services/default.rows-redirect`, {
      method: 'PUT',
      body: {
        frontends: FAMILIES.flatMap((family) =>
          PROTOCOLS.map((protocol) => ({
            ...{ type: 'local-redirect', address: outside[family], port: SERVED[protocol] },
            ...{ protocol: protocol.toUpperCase(), port_name: protocol },
          })),
        ),
        targets: PROTOCOLS.map((name) => ({ port_name: name, port: SERVED[name], protocol: name.toUpperCase() })),
        selector: { match_labels: { app: 'web' } },
      },
    });
    await fleet.waitReported('inventory', revision, DEADLINE_MS);
    const redirected = { at: outside as Addresses, ports: SERVED };
    await expect('a redirect to backends of the own host, if there are any', [
      { from: evil, wanted: [web], ...redirected },
      { from: thief, wanted: [shop], ...redirected },
      { from: db, wanted: [outside], ...redirected },
    ]);
    await callApi(`${inventory}/v1/services/default.rows-redirect`, { method: 'DELETE' });
    await expect('the address itself again', [{ from: web, wanted: [outside], ...redirected }]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'DELETE' });
  await Promise.all(['h1', 'h2', 'h3'].map((host) => label(host)));
  leave();
};
