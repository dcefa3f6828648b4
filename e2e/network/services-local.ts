// SPDX-License-Identifier: Apache-2.0
/**
 * What is served at a host by the host's own: redirects over a service by its name, an external traffic policy that is local
 * with what balancers ask about it, processes of a host to which services are delegated, and addresses of the inside that
 * clients outside may use. By documents, judged as in services-rows.ts.
 */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { FAMILIES, type Scene, setNetwork } from './scene.ts';
import { askingIn, DEADLINE_MS, NOTHING, PORT, PROTOCOLS, REFUSED, SECOND, SERVED, VIP } from './services-asking.ts';

const HEALTH = 32_100;
const KINDS = { ip4: '-4', ip6: '-6' } as const;

const ports = PROTOCOLS.map((name) => `{ name: ${name}, protocol: ${name.toUpperCase()}, port: ${PORT[name]} }`).join();
const slicePorts = (port: (name: 'tcp' | 'udp') => number): string =>
  PROTOCOLS.map((name) => `{ name: ${name}, protocol: ${name.toUpperCase()}, port: ${port(name)} }`).join();
/** A service whose backend has these addresses, at the given lines of its spec. */
const served = (addresses: readonly string[], spec: readonly string[], annotations: readonly string[] = []): string => `
apiVersion: v1
kind: Service
metadata:
  name: rows
  namespace: default
  annotations:
    lbipam.cilium.io/ips: "${VIP.ip4},${VIP.ip6}"
${annotations.map((line) => `    ${line}\n`).join('')}spec:
  ipFamilies: [IPv4, IPv6]
  ports: [${ports}]
${spec.map((line) => `  ${line}\n`).join('')}---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: rows, namespace: default, labels: { kubernetes.io/service-name: rows } }
ports: [${slicePorts((name) => SERVED[name])}]
endpoints: [{ addresses: [${addresses.map((one) => `"${one}"`).join()}] }]
`;
/** To workloads of the app web. */
const redirect = (skip: boolean): string => `
apiVersion: cilium.io/v2
kind: CiliumLocalRedirectPolicy
metadata: { name: rows, namespace: default }
spec:
  redirectFrontend: { serviceMatcher: { serviceName: rows, namespace: default } }
  redirectBackend:
    localEndpointSelector: { matchLabels: { app: web } }
    toPorts: [${slicePorts((name) => SERVED[name])}]
  skipRedirectFromBackend: ${skip}
`;

export const servicesLocal = async (scene: Scene, network: object): Promise<void> => {
  const { fleet, outside, web, evil, db, shop, thief } = scene;
  const { inventory } = fleet.control.urls;
  const host = await fleet.hostStation('h1');
  const { apply, applyText, remove, enterBy, expect, end } = askingIn(scene, [host]);
  const { ip4 = '', ip6 = '' } = outside;
  /** As a balancer before the hosts asks. */
  const health = (name: 'h1' | 'h2', family: 'ip4' | 'ip6'): string => {
    const address = fleet.host(name)[family];
    const url = `http://${family === 'ip6' ? `[${address}]` : address}:${HEALTH}/healthz`;
    const script = `fetch(${JSON.stringify(url)}).then(async (r) => console.log(r.status, await r.text()), (e) => console.log(e.cause?.code))`;
    return inNetns(fleet.worldNetns as string, process.execPath, '-e', script).trim();
  };
  const blocks = [{ cidr: `${VIP.ip4}/32` }, { cidr: `${VIP.ip6}/128` }];
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'PUT', body: { blocks } });
  enterBy('h1');
  try {
    const balanced = served([ip4, ip6], ['type: LoadBalancer']);
    await applyText(`${balanced}---${redirect(false)}`);
    await expect('a redirect over a service: backends of the own host, if there are any', [
      { from: evil, wanted: [web] },
      { from: thief, wanted: [shop] },
      { from: db, wanted: [outside] },
      { from: web, wanted: [web] },
      { from: outside, wanted: [outside] },
    ]);
    await applyText(`${balanced}---${redirect(true)}`);
    await expect('a redirect that leaves out who serves it', [
      { from: web, wanted: [outside] },
      { from: evil, wanted: [web] },
      { from: shop, wanted: [outside] },
    ]);
    await remove();

    await apply(['externalTrafficPolicy: Local', `healthCheckNodePort: ${HEALTH}`]);
    await expect('Local for the outside alone', [
      { from: evil, wanted: [web, shop] },
      { from: db, wanted: [web, shop] },
      { from: outside, wanted: [web] },
    ]);
    for (const family of FAMILIES) {
      await until('hosts to tell what they have', DEADLINE_MS, async () => health('h1', family).startsWith('200'));
      assert.match(health('h1', family), /"localEndpoints": ?1\b/);
      assert.match(health('h2', family), /^503 /);
    }
    enterBy('h2');
    await expect('Local for the outside, nobody here', [
      { from: outside, wanted: REFUSED },
      { from: db, wanted: [web, shop] },
    ]);
    await remove();

    // A proxy of h1 has the addresses itself, and its port is not the backend's: elsewhere nobody is found there.
    const { netns } = fleet.host('h1');
    for (const family of FAMILIES) inNetns(netns, 'ip', KINDS[family], 'addr', 'add', VIP[family], 'dev', 'lo');
    await host.listen({ tcp: [PORT.tcp], udp: [PORT.udp] });
    enterBy('h1');
    await applyText(
      served(
        FAMILIES.map((family) => fleet.host('h1')[family]),
        ['type: LoadBalancer'],
        ['service.cilium.io/proxy-delegation: delegate-if-local'],
      ),
    );
    await expect('a process of the host gets what was asked of the service', [{ from: outside, wanted: [host] }]);
    enterBy('h2');
    await expect('another host sends it to the backend', [{ from: outside, wanted: REFUSED }]);
    await remove();
    for (const family of FAMILIES) inNetns(netns, 'ip', KINDS[family], 'addr', 'del', VIP[family], 'dev', 'lo');

    const inside = served([web.ip4, web.ip6], [`clusterIPs: ["${SECOND.ip4}", "${SECOND.ip6}"]`]);
    await applyText(inside);
    await expect('addresses of the inside', [
      { from: db, at: SECOND, wanted: [web] },
      { from: outside, at: SECOND, wanted: NOTHING },
    ]);
    await setNetwork(scene, { ...network, services: { external_cluster_ips: true } });
    await expect('addresses of the inside for everybody', [
      { from: outside, at: SECOND, wanted: [web] },
      { from: db, at: SECOND, wanted: [web] },
    ]);
    await setNetwork(scene, network);
    await expect('for the inside again', [{ from: outside, at: SECOND, wanted: NOTHING }]);
    await remove();
  } finally {
    end();
  }
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'DELETE' });
};
