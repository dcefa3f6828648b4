// SPDX-License-Identifier: Apache-2.0
/** set and delete of inventory's objects, gateways among applied documents, and the matrix of health as it changes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FLEET_ROUTES } from './fleet-routes.ts';
import { type Answer, against, createPlayer, listing, type Routes, weir } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-objects-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const tagged =
  (tag: string, json: object): Answer =>
  (_asked, response) =>
    void response.writeHead(200, { 'content-type': 'application/json', etag: tag }).end(JSON.stringify(json));

test('network set puts back the whole object under the tag of what it read', async () => {
  const before = { routing: 'native', mtu: 0, masquerade: { ipv4: false, interfaces: ['eth0'] }, vlan_bypass: [] };
  const routes: Routes = {
    'GET /v1/network': tagged('"12"', { ...before, revision: 12 }),
    'PUT /v1/network': { json: { revision: 13 } },
    'GET /v1/hosts': listing([
      { id: 'h1', state: 'alive', realised: { inventory: 13 } },
      { id: 'h2', state: 'stale', realised: { inventory: 3 } },
    ]),
  };
  const words =
    'network set routing=tunnel masquerade.ipv4=true vlan_bypass=10,20 masquerade.interfaces=eth1,bond+ --wait';
  const { code, out, asked } = await against(routes, words);
  assert.equal(code, 0);
  assert.equal(out, 'network configured\nrevision 13 of inventory is in the kernel of 1 hosts: h1');
  const put = asked.find(({ method }) => method === 'PUT');
  assert.equal(put?.headers['if-match'], '"12"');
  assert.deepEqual(JSON.parse(put?.body ?? ''), {
    ...{ routing: 'tunnel', mtu: 0, vlan_bypass: [10, 20] },
    masquerade: { ipv4: true, interfaces: ['eth1', 'bond+'] },
  });
});

test('what is new is created only; a refusal is told in the words of the service', async () => {
  const made = await against(FLEET_ROUTES, 'pools set new cidrs=10.9.0.0/16,fd09::/48 block-bits4=26');
  const put = made.asked.find(({ method }) => method === 'PUT');
  assert.equal(put?.headers['if-none-match'], '*');
  assert.deepEqual(JSON.parse(put?.body ?? ''), { cidrs: ['10.9.0.0/16', 'fd09::/48'], block_bits4: 26 });
  const problem = { status: 422, code: 'INVALID_ARGUMENT', title: 'x', detail: 'mtu: is less than 1280', field: 'mtu' };
  const routes: Routes = {
    'GET /v1/network': { json: { mtu: 0, revision: 0 } },
    'PUT /v1/network': { status: 422, json: { ...problem, value: 1279, fix: 'give 1280 or more' } },
  };
  const refused = await against(routes, 'network set mtu=1279');
  assert.equal(refused.code, 1);
  assert.equal(refused.err, 'error: mtu: mtu: is less than 1280 (value 1279)\n  fix: give 1280 or more');
});

test('bandwidth of a workload: none removes it, and nothing else is sent', async () => {
  const { code, out, asked } = await against(FLEET_ROUTES, 'workloads set shop/web ingress_bandwidth=none');
  assert.deepEqual([code, out], [0, 'workload shop/web configured']);
  assert.deepEqual(
    asked.map(({ method, url, body }) => [method, url.pathname, body]),
    [['PATCH', '/v1/workloads/shop.web', '{"ingress_bandwidth":null}']],
  );
});

test('the source check of a workload is a switch', async () => {
  const { code, asked } = await against(FLEET_ROUTES, 'workloads set shop/web source_check=false');
  assert.deepEqual([code, asked.map(({ body }) => body)], [0, ['{"source_check":false}']]);
  const odd = await against(FLEET_ROUTES, 'workloads set shop/web source_check=off');
  assert.equal(odd.code, 2);
  assert.match(odd.err, /source_check: "off" is neither true nor false/);
});

test('network set takes a prefix for NAT64', async () => {
  const { code, asked } = await against(FLEET_ROUTES, 'network set nat64.prefix=64:ff9b::/96');
  const put = asked.find(({ method }) => method === 'PUT');
  assert.deepEqual([code, JSON.parse(put?.body ?? '{}').nat64], [0, { prefix: '64:ff9b::/96' }]);
});

test('egress set reads selectors and gateways as the listing shows them, and leaves the rest', async () => {
  const words =
    '"workloads=app=web,tier in (a,b),!old on zone=edge | all" "gateways=2001:db8::7 of zone=edge | eth1 of all"';
  const made = await against(FLEET_ROUTES, `egress set new ${words} destination_cidrs=::/0`);
  assert.deepEqual([made.code, made.out], [0, 'egress-gateway new created']);
  const workloads = [
    {
      match_labels: { app: 'web' },
      match_expressions: [
        { key: 'tier', operator: 'In', values: ['a', 'b'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
      hosts: { match_labels: { zone: 'edge' } },
    },
    {},
  ];
  const gateways = [
    { hosts: { match_labels: { zone: 'edge' } }, egress_ip: '2001:db8::7' },
    { hosts: {}, interface: 'eth1' },
  ];
  const sent = JSON.parse(made.asked.find(({ method }) => method === 'PUT')?.body ?? '');
  assert.deepEqual(sent, { workloads, gateways, destination_cidrs: ['::/0'] });
  const before = { name: 'out', workloads, gateways, destination_cidrs: ['::/0'], excluded_cidrs: [], revision: 9 };
  const routes: Routes = {
    'GET /v1/egress-gateways/out': tagged('"9"', before),
    'PUT /v1/egress-gateways/out': { json: { ...before, revision: 10 } },
  };
  const changed = await against(routes, 'egress set out excluded-cidrs=2001:db8::/32');
  const put = changed.asked.find(({ method }) => method === 'PUT');
  assert.equal(put?.headers['if-match'], '"9"');
  assert.deepEqual(JSON.parse(put?.body ?? ''), { ...sent, excluded_cidrs: ['2001:db8::/32'] });
});

const GATEWAY = `apiVersion: cilium.io/v2
kind: CiliumEgressGatewayPolicy
metadata: { name: new }
spec:
  selectors: [ { podSelector: {} } ]
  destinationCIDRs: [ 0.0.0.0/0 ]
  egressGateway: { nodeSelector: {}, egressIP: 224.0.0.1 }
`;
const POLICY =
  'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec: {podSelector: {}}\n';

test('apply: policies are checked before a gateway is written, and a refused gateway ends it at its file and line', async () => {
  const path = join(dir, 'both.yaml');
  writeFileSync(path, `${POLICY}---\n${GATEWAY}`);
  const good = await against(FLEET_ROUTES, `apply -f ${path}`);
  assert.equal(good.code, 0, good.err);
  assert.match(good.out, /^CiliumEgressGatewayPolicy\/new created\nNetworkPolicy/);
  assert.deepEqual(
    good.asked.map(({ method, url }) => `${method} ${url.pathname}${url.search}`),
    [
      'POST /v1/policies?dry_run=true',
      'GET /v1/egress-gateways/new',
      'PUT /v1/egress-gateways/new',
      'POST /v1/policies',
    ],
  );
  const problem = { status: 422, code: 'INVALID_ARGUMENT', title: 'x', detail: 'lies where nobody answers', fix: 'y' };
  const routes = { ...FLEET_ROUTES, 'PUT /v1/egress-gateways/new': { status: 422, json: problem } };
  const refused = await against(routes, `apply -f ${path}`);
  assert.equal(refused.code, 1);
  assert.ok(refused.err.startsWith(`${path}:6: CiliumEgressGatewayPolicy/new\nerror: lies where`), refused.err);
  assert.ok(!refused.asked.some(({ method, url }) => method === 'POST' && url.search === ''));
  const removed = await against(FLEET_ROUTES, `delete -f ${path} --ignore-not-found`);
  assert.deepEqual(
    removed.asked.map(({ method, url }) => `${method} ${url.pathname}`),
    ['DELETE /v1/policies/NetworkPolicy/default/web', 'DELETE /v1/egress-gateways/new'],
  );
});

test('health -w prints the matrix again when a status changes, not when a latency does', async () => {
  const at = (status: string, us: number) => ({
    ...{ from: 'h1', to: 'h2', address: '192.0.2.2', kind: 'icmp', target: 'host', status, latency_us: us },
    ...{ error: null, failures: 0, probed_at: '2026-11-22T20:00:00Z' },
  });
  const answers = [at('reachable', 100), at('reachable', 200), at('unreachable', 0)];
  const stop = new AbortController();
  let reads = 0;
  const player = await createPlayer({
    'GET /v1/health': (_asked, response) => {
      const item = answers[Math.min(reads, answers.length - 1)];
      reads += 1;
      response.end(JSON.stringify({ items: [item], next_cursor: null }));
    },
  });
  const lines: string[] = [];
  const { code } = await weir('health --watch --every 1', {
    env: player.env,
    signal: stop.signal,
    onLine: (line) => {
      lines.push(line.replace(/at .*/, 'at TIME'));
      if (line.includes('unreachable')) stop.abort();
    },
  });
  await player.close();
  assert.equal(code, 1);
  assert.deepEqual(lines, ['FROM   h2\nh1     0.10 ms', '\nchanged at TIME', 'FROM   h2\nh1     unreachable']);
});

for (const [words, message] of [
  ['network set mtu', /mtu has no value[\s\S]*write mtu=VALUE/],
  ['network set masquerade.ipv4=yes', /neither true nor false/],
  ['network set masquerade.ip=true', /"masquerade.ip" is no field[\s\S]*did you mean masquerade.ipv4/],
  ['pools set new colour=red', /use one of cidrs, block_bits4, block_bits6/],
  ['pools set new block_bits4=a', /block_bits4: "a" is not a whole number/],
  ['pools set new', /missing required argument 'field=value'/],
  ['egress set new gateways=eth1', /does not say which hosts[\s\S]*eth1 of/],
  ['egress set new "workloads=app=web on"', /workloads "app=web on" is not a label selector/],
  ['health -w -o json', /--watch is for tables/],
] as const) {
  test(`wrong usage is status 2: weir ${words}`, async () => {
    const { code, out, err } = await against(FLEET_ROUTES, words);
    assert.deepEqual([code, out], [2, ''], err);
    assert.match(err, message);
  });
}
