// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeOf, splitBalancer } from '../src/index.ts';

const SERVICE = `apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  labels: { team: blue }
  annotations:
    lbipam.cilium.io/ips: "192.0.2.7,2001:db8::7"
    lbipam.cilium.io/sharing-key: k
    service.cilium.io/lb-algorithm: maglev
    service.cilium.io/forwarding-mode: dsr
    other.example/note: x
spec:
  type: LoadBalancer
  selector: { app: web }
  clusterIP: 10.96.0.7
  externalIPs: [198.51.100.7]
  loadBalancerSourceRanges: [203.0.113.0/24]
  externalTrafficPolicy: Local
  healthCheckNodePort: 30100
  sessionAffinity: ClientIP
  sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } }
  trafficDistribution: PreferClose
  ports:
    - { name: http, port: 80, targetPort: web, nodePort: 30080 }
`;
const SLICE = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [ { name: http, port: 8080 } ]
endpoints:
  - { addresses: [10.1.0.1], zone: a }
  - { addresses: [10.1.0.2], conditions: { ready: false, serving: true, terminating: true } }
  - { addresses: [10.1.0.3], conditions: { ready: false } }
`;
const OWN = `apiVersion: weir.io/v1
kind: Service
metadata: { name: dns }
spec:
  frontends:
    - { type: none, address: 192.0.2.53, port: 53, protocol: UDP }
  backends: [ { address: 198.51.100.1, port: 53, protocol: UDP } ]
`;
const POOL = `apiVersion: cilium.io/v2
kind: CiliumLoadBalancerIPPool
metadata: { name: edge }
spec:
  blocks: [ { cidr: 192.0.2.0/24 }, { start: 203.0.113.1, stop: 203.0.113.9 } ]
  serviceSelector: { matchExpressions: [ { key: team, operator: In, values: [a, b] } ] }
  allowFirstLastIPs: "No"
`;
const POLICY = 'kind: NetworkPolicy\nspec: {}\n';

const ofType = (body: Record<string, unknown>, type: string) =>
  (body.frontends as { type: string; address: string; port: number }[])
    .filter((one) => one.type === type)
    .map(({ address, port }) => `${address} ${port}`);

test('a Service of Kubernetes is one of Weir, annotations included', () => {
  const { rest, found, issues } = splitBalancer(`# first\n---\n${SERVICE}---\n${POLICY}`);
  assert.deepEqual(issues, []);
  assert.equal(rest.split('\n').indexOf('kind: NetworkPolicy'), SERVICE.split('\n').length + 2, 'lines stay');
  const [service] = found;
  assert.deepEqual([service?.namespace, service?.name, service?.position?.line], ['shop', 'web', 3]);
  const body = service?.body ?? {};
  assert.deepEqual(ofType(body, 'load-balancer'), ['192.0.2.7 80', '2001:db8::7 80']);
  assert.deepEqual(ofType(body, 'cluster-ip'), ['10.96.0.7 80']);
  assert.deepEqual(ofType(body, 'external-ip'), ['198.51.100.7 80']);
  assert.deepEqual(ofType(body, 'node-port'), [' 30080']);
  assert.deepEqual(body.targets, [{ port_name: 'http', port: 'web', protocol: 'TCP' }]);
  assert.deepEqual(
    [body.selector, body.algorithm, body.forwarding, body.affinity_timeout_s, body.distribution, body.sharing_key],
    [{ match_labels: { app: 'web' } }, 'maglev', 'dsr', 60, 'prefer-same-zone', 'k'],
  );
  assert.deepEqual([body.external_traffic_policy, body.health_check_node_port], ['local', 30_100]);
  assert.equal(placeOf(service?.places, 'frontends[0].port')?.line, 18);
  assert.equal(placeOf(service?.places, 'source_ranges[0]')?.line, 20);
});

test('backends of a Service without a selector are those of its EndpointSlices', () => {
  const bare = SERVICE.replace('  selector: { app: web }\n', '');
  const { found, issues } = splitBalancer(`${bare}---\n${SLICE}`);
  assert.deepEqual(issues, []);
  const backends = found[0]?.body.backends as { address: string; port: number; state: string; zone: string }[];
  assert.deepEqual(
    backends.map(({ address, port, state, zone }) => [address, port, state, zone]),
    [
      ['10.1.0.1', 8080, 'active', 'a'],
      ['10.1.0.2', 8080, 'terminating', ''],
      ['10.1.0.3', 8080, 'quarantined', ''],
    ],
  );
  const alone = splitBalancer(SLICE);
  assert.match(alone.issues[0]?.message ?? '', /shop\/web of this EndpointSlice is not among/);
});

test("Weir's own form and pools; the rest is left alone", () => {
  const { rest, found, issues } = splitBalancer(`${OWN}---\n${POOL}`);
  assert.deepEqual([rest, issues], ['', []]);
  assert.deepEqual(found[0]?.namespace, 'default');
  assert.equal(placeOf(found[0]?.places, 'frontends[0].address')?.line, 6);
  assert.deepEqual(found[1]?.body, {
    blocks: [{ cidr: '192.0.2.0/24' }, { start: '203.0.113.1', stop: '203.0.113.9' }],
    service_selector: { match_expressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }] },
    ...{ allow_first_last_ips: false, disabled: false, frontend_type: 'load-balancer' },
  });
  assert.deepEqual(splitBalancer(POLICY), { rest: POLICY, found: [], issues: [] });
  const mentions = `${POLICY}# Service\n`;
  assert.equal(splitBalancer(mentions).rest, mentions);
});

test('hosts, clusters and health checks by annotations', () => {
  const withLines = (...lines: string[]) =>
    splitBalancer(SERVICE.replace('other.example/note: x', ['other.example/note: x', ...lines].join('\n    ')));
  const { found, issues } = withLines(
    'service.cilium.io/node: edge',
    'service.cilium.io/node-selector: "zone in (a, b),rack!=r1,gpu,!old,tier=front"',
    'service.cilium.io/proxy-delegation: delegate-if-local',
    ...['global: "true"', 'shared: "false"', 'affinity: local'].map((text) => `service.cilium.io/${text}`),
    ...['kind: grpc', 'tls: "true"', 'grpc-service: shop.Cart', 'period-ms: "500"', 'host: cart.shop'].map(
      (text) => `health-check.weir.io/${text}`,
    ),
  );
  assert.deepEqual(issues, []);
  assert.deepEqual(found[0]?.body.hosts, {
    match_labels: { 'service.cilium.io/node': 'edge', tier: 'front' },
    match_expressions: [
      { key: 'zone', operator: 'In', values: ['a', 'b'] },
      { key: 'rack', operator: 'NotIn', values: ['r1'] },
      { key: 'gpu', operator: 'Exists' },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  });
  assert.equal(found[0]?.body.delegate_if_local, true);
  assert.deepEqual(found[0]?.body.health_check, {
    ...{ kind: 'grpc', tls: true, grpc_service: 'shop.Cart', period_ms: 500, host: 'cart.shop' },
  });
  assert.equal(placeOf(found[0]?.places, 'health_check.period_ms')?.line, 22);
});

test('what is wrong is told with line and column', () => {
  const cases: [string, string, string, number, RegExp][] = [
    ['port: 80,', 'prot: 80,', 'spec.ports[0].prot', 25, /port/],
    ['port: 80,', 'port: 70000,', 'spec.ports[0].port', 25, /65535/],
    ['type: LoadBalancer', 'type: LodBalancer', 'spec.type', 14, /LoadBalancer/],
    ['type: LoadBalancer', 'type: ExternalName', 'spec.type', 14, /ClusterIP/],
    ['clusterIP: 10.96.0.7', 'clusterIP: None', 'spec.clusterIP', 16, /leave it out/],
    [
      'lb-algorithm: maglev',
      'lb-algorithm: magle',
      'metadata.annotations["service.cilium.io/lb-algorithm"]',
      10,
      /maglev/,
    ],
    [
      'lb-algorithm: maglev',
      'fib-table-id: "5"',
      'metadata.annotations["service.cilium.io/fib-table-id"]',
      10,
      /use one of/,
    ],
    [
      'lb-algorithm: maglev',
      'affinity: remote',
      'metadata.annotations["service.cilium.io/affinity"]',
      10,
      /local or none/,
    ],
    ['lb-algorithm: maglev', 'global: yes', 'metadata.annotations["service.cilium.io/global"]', 10, /true, false/],
    [
      'lb-algorithm: maglev',
      'node-selector: "zone = = edge"',
      'metadata.annotations["service.cilium.io/node-selector"]',
      10,
      /zone in \(a,b\)/,
    ],
    [
      'service.cilium.io/lb-algorithm: maglev',
      'health-check.weir.io/path: /healthz',
      'metadata.annotations["health-check.weir.io/path"]',
      10,
      /kind: tcp/,
    ],
    [
      'service.cilium.io/lb-algorithm: maglev',
      'health-check.weir.io/period-ms: "2s"',
      'metadata.annotations["health-check.weir.io/period-ms"]',
      10,
      /2000/,
    ],
    [
      'service.cilium.io/lb-algorithm: maglev',
      'health-check.weir.io/every: "2"',
      'metadata.annotations["health-check.weir.io/every"]',
      10,
      /health-check.weir.io\/period-ms/,
    ],
    ['192.0.2.7,', '192.0.2,', 'metadata.annotations["lbipam.cilium.io/ips"]', 8, /192\.0\.2\.7/],
    ['apiVersion: v1', 'apiVersion: v2', 'apiVersion', 1, /v1/],
    ['timeoutSeconds: 60', 'timeoutSeconds: 0', 'spec.sessionAffinityConfig.clientIP.timeoutSeconds', 22, /16777215/],
  ];
  for (const [from, to, path, line, fix] of cases) {
    const { issues, found } = splitBalancer(SERVICE.replace(from, to));
    assert.deepEqual([issues[0]?.path, issues[0]?.line, found.length], [path, line, 0], JSON.stringify(issues));
    assert.match(issues[0]?.fix ?? '', fix);
  }
});

test('LB-15: a redirect policy is a service, its ports by name, and only for services of its namespace', () => {
  const policy = (frontend: string, ports: string, more = '') => `apiVersion: cilium.io/v2
kind: CiliumLocalRedirectPolicy
metadata: { name: dns, namespace: kube-system }
spec:
  redirectFrontend: ${frontend}
  redirectBackend:
    localEndpointSelector: { matchLabels: { app: cache } }
    toPorts: ${ports}
${more}`;
  const byName = splitBalancer(
    policy(
      '{ serviceMatcher: { serviceName: kube-dns, namespace: kube-system } }',
      '[{ port: "53", name: dns, protocol: UDP }, { port: "54", name: dns-tcp }]',
      '  skipRedirectFromBackend: true',
    ),
  );
  assert.deepEqual(byName.issues, []);
  const [found] = byName.found;
  assert.deepEqual([found?.becomes, found?.namespace, found?.name], ['service', 'kube-system', 'dns-local-redirect']);
  const redirect = { type: 'local-redirect', address: '' };
  assert.deepEqual(found?.body, {
    labels: {},
    frontends: [
      { ...redirect, service: 'kube-dns', port: 0, protocol: 'UDP', port_name: 'dns' },
      { ...redirect, service: 'kube-dns', port: 0, protocol: 'TCP', port_name: 'dns-tcp' },
    ],
    selector: { match_labels: { app: 'cache' } },
    targets: [
      { port_name: 'dns', port: 53, protocol: 'UDP' },
      { port_name: 'dns-tcp', port: 54, protocol: 'TCP' },
    ],
    skip_redirect_from_backends: true,
  });
  const byAddress = splitBalancer(
    policy(
      '{ addressMatcher: { ip: 192.0.2.10, toPorts: [{ port: 80, name: a }, { port: 81, name: b }] } }',
      '[{ port: 8080 }]',
    ),
  );
  assert.deepEqual(byAddress.issues, []);
  assert.deepEqual(
    byAddress.found[0]?.body.frontends,
    [80, 81].map((port) => ({ ...redirect, address: '192.0.2.10', port, protocol: 'TCP', port_name: '' })),
  );
  const wrong = (frontend: string, ports = '[{ port: 1 }]') => splitBalancer(policy(frontend, ports)).issues[0]?.path;
  assert.equal(
    wrong('{ serviceMatcher: { serviceName: a, namespace: b } }'),
    'spec.redirectFrontend.serviceMatcher.namespace',
  );
  assert.equal(wrong('{}'), 'spec.redirectFrontend');
  assert.equal(wrong('{ addressMatcher: { ip: 192.0.2.1 } }'), 'spec.redirectFrontend.addressMatcher.toPorts');
  assert.equal(
    wrong('{ serviceMatcher: { serviceName: a } }', '[{ port: "0" }]'),
    'spec.redirectBackend.toPorts[0].port',
  );
});
