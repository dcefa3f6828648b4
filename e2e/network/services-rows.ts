// SPDX-License-Identifier: Apache-2.0
/**
 * Who serves whom, as documents of Kubernetes say it and `weir apply` sets it: traffic policies, zones, source ranges and
 * exposure limits, and redirects to backends of the own host. Judged by real connections, TCP and UDP in both families, of
 * workloads of all hosts and of clients outside, and by which workload they came to.
 */
import { callAll, callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { FAMILIES, type Scene } from './scene.ts';
import {
  type Addresses,
  askingIn,
  DEADLINE_MS,
  NOTHING,
  PROTOCOLS,
  REFUSED,
  SECOND,
  SERVED,
  SILENCE,
  VIP,
} from './services-asking.ts';

const STRANGER = { ip4: '198.51.100.95', ip6: '2001:db8:51::95' } as const;
const ZONE = 'topology.kubernetes.io/zone';

interface Stat {
  readonly frontend: { readonly address: string | null };
  readonly denied: number;
}

export const servicesRows = async (scene: Scene): Promise<void> => {
  const { fleet, outside, web, evil, db, shop, thief } = scene;
  const { inventory } = fleet.control.urls;
  const { apply, remove, enterBy, expect, end } = askingIn(scene);
  const label = (host: string, zone?: string): Promise<unknown> =>
    callApi(`${inventory}/v1/hosts/${host}`, {
      ...{ method: 'PATCH', body: { labels: zone === undefined ? {} : { [ZONE]: zone } } },
    });

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
    await remove();

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
    end();
  }
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'DELETE' });
  await Promise.all(['h1', 'h2', 'h3'].map((host) => label(host)));
};
