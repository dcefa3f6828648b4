// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ConfigWatcher, subjects } from '@weir/bus';
import { EgressGatewayService, PrefilterService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { eventually, type Harness, startHarness } from './harness.ts';

let weir: Harness;
let watcher: ConfigWatcher;
before(async () => {
  weir = await startHarness({ WEIR_INVENTORY_CONTROL_ADDRESSES: '198.51.100.7, 2001:db8:ffff::7' });
  watcher = await weir.follow();
  await weir.call('POST', '/v1/hosts', { name: 'alpha', underlay_ip4: '192.0.2.1', underlay_ip6: '2001:db8::1' });
});
after(async () => {
  await watcher.stop();
  await weir.stop();
});

const GATEWAY = {
  workloads: [{ match_labels: { 'k8s:app': 'web' } }],
  destination_cidrs: ['0.0.0.0/0', '::/0'],
  excluded_cidrs: ['10.0.0.0/8'],
  gateways: [
    { hosts: { match_labels: { zone: 'a' } }, egress_ip: '203.0.113.7' },
    { hosts: { match_expressions: [{ key: 'zone', operator: 'In', values: ['b', 'c'] }] }, interface: 'eth1' },
  ],
};
const hop = (more: object) => ({ ...GATEWAY, gateways: [{ hosts: {}, ...more }] });

// biome-ignore lint/suspicious/noExplicitAny: documents of two kinds
const documentOf = (subject: string): any => watcher.get(subject)?.document;

test('an egress gateway is set, told to the hosts, listed and removed', async () => {
  const made = await weir.call('PUT', '/v1/egress-gateways/web', GATEWAY, { 'if-none-match': '*' });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.equal(made.headers.get('etag'), `"${made.body.revision}"`);
  const subject = subjects.cfgEgressGateway.build({ key: 'web' });
  const { body } = await eventually('the document', () => documentOf(subject));
  assert.deepEqual(
    [body.value.name, body.value.destinationCidrs, body.value.excludedCidrs],
    ['web', ['0.0.0.0/0', '::/0'], ['10.0.0.0/8']],
  );
  assert.deepEqual(body.value.workloads[0].matchLabels, { 'k8s:app': 'web' });
  const [first, second] = body.value.gateways;
  assert.deepEqual([first.egressIp, first.interface, first.hosts.matchLabels], ['203.0.113.7', '', { zone: 'a' }]);
  assert.deepEqual([second.interface, second.hosts.matchExpressions[0].values], ['eth1', ['b', 'c']]);

  assert.deepEqual((await weir.call('GET', '/v1/egress-gateways/web')).body, made.body);
  const { body: list } = await weir.call('GET', '/v1/egress-gateways');
  assert.deepEqual(list, { items: [made.body], next_cursor: null });
  const again = await weir.call('PUT', '/v1/egress-gateways/web', GATEWAY, { 'if-none-match': '*' });
  assert.deepEqual([again.status, again.body.field], [412, 'If-None-Match']);
  assert.equal((await weir.call('DELETE', '/v1/egress-gateways/web', undefined, { 'if-match': '"0"' })).status, 412);
  assert.equal((await weir.call('DELETE', '/v1/egress-gateways/web')).status, 204);
  await eventually(
    'the removal',
    () => watcher.get(subject) === undefined || watcher.get(subject)?.removed || undefined,
  );
  assert.equal((await weir.call('GET', '/v1/egress-gateways/web')).body.code, 'NOT_FOUND');
});

test('an egress gateway that could carry nothing is refused with field, value and fix', async () => {
  const cases: [object, string, RegExp][] = [
    [hop({}), 'gateways[0].egress_ip', /egress_ip.*interface/],
    [
      { ...GATEWAY, workloads: [{ match_labels: {}, hosts: { match_labels: { 'a b': 'x' } } }] },
      'workloads[0].hosts.match_labels.a b',
      /k8s:app/,
    ],
    [hop({ interface: 'eth0', egress_ip: '203.0.113.7' }), 'gateways[0].interface', /one of both/],
    [hop({ interface: 'a/b' }), 'gateways[0].interface', /eth1/],
    [hop({ egress_ip: '203.0.113.0/24' }), 'gateways[0].egress_ip', /192\.0\.2\.7/],
    [hop({ egress_ip: '127.0.0.1' }), 'gateways[0].egress_ip', /unicast/],
    [
      { ...hop({ egress_ip: '203.0.113.7' }), destination_cidrs: ['::/0'] },
      'gateways[0].egress_ip',
      /IPv4 destination/,
    ],
    [{ ...GATEWAY, gateways: Array.from({ length: 65 }, () => GATEWAY.gateways[0]) }, 'gateways', /./],
    [{ ...GATEWAY, gateways: [] }, 'gateways', /64/],
    [{ ...GATEWAY, destination_cidrs: ['api.example.com'] }, 'destination_cidrs[0]', /toFQDNs/],
    [{ ...GATEWAY, destination_cidrs: ['*.example.com'] }, 'destination_cidrs[0]', /toFQDNs/],
    [{ ...GATEWAY, destination_cidrs: ['10.0.0.1/8'] }, 'destination_cidrs[0]', /10\.0\.0\.0\/8/],
    [{ ...GATEWAY, destination_cidrs: [] }, 'destination_cidrs', /one CIDR/],
    [{ ...GATEWAY, excluded_cidrs: ['10.0.0.0'] }, 'excluded_cidrs[0]', /10\.0\.0\.0\/32/],
    [{ ...GATEWAY, workloads: [] }, 'workloads', /one selector/],
    [{ ...GATEWAY, workloads: [{ match_labels: { 'a b': 'x' } }] }, 'workloads[0].match_labels.a b', /k8s:app/],
    [
      { ...GATEWAY, workloads: [{ match_expressions: [{ key: 'a', operator: 'In' }] }] },
      'workloads[0].match_expressions[0].values',
      /name one/,
    ],
    [
      { ...GATEWAY, workloads: [{ match_expressions: [{ key: 'a', operator: 'in', values: ['b'] }] }] },
      'workloads[0].match_expressions[0].operator',
      /In/,
    ],
  ];
  for (const [input, field, fix] of cases) {
    const { status, body } = await weir.call('PUT', '/v1/egress-gateways/wrong', input);
    assert.deepEqual([status, body.field], [422, field], JSON.stringify(body));
    assert.match(body.fix ?? '', fix, JSON.stringify(body));
  }
  const { body } = await weir.call('PUT', '/v1/egress-gateways/wrong', hop({}));
  assert.match(body.detail, /an egress gateway without an address/);
  assert.equal((await weir.call('PUT', '/v1/egress-gateways/Wrong', GATEWAY)).body.field, 'name');
  assert.deepEqual((await weir.call('GET', '/v1/egress-gateways')).body.items, []);
});

test('a prefilter is set, changed live and removed', async () => {
  const subject = subjects.cfgPrefilter.build({ key: 'blocked' });
  const first = await weir.call('PUT', '/v1/prefilters/blocked', { cidrs: ['203.0.113.0/24'] });
  const second = await weir.call(
    'PUT',
    '/v1/prefilters/blocked',
    { cidrs: ['203.0.113.0/24', '2001:DB8:bad::/48'], hosts: { match_labels: { edge: 'yes' } } },
    { 'if-match': first.headers.get('etag') ?? '' },
  );
  assert.equal(second.status, 200, JSON.stringify(second.body));
  const { body } = await eventually('the document', () =>
    Number(documentOf(subject)?.revision) === second.body.revision ? documentOf(subject) : undefined,
  );
  assert.deepEqual(
    [body.value.cidrs, body.value.hosts.matchLabels],
    [['203.0.113.0/24', '2001:db8:bad::/48'], { edge: 'yes' }],
  );
  assert.equal((await weir.call('DELETE', '/v1/prefilters/blocked')).status, 204);
});

test('no prefilter locks hosts or the control plane out, and no host joins behind one', async () => {
  const cases: [string, number, RegExp][] = [
    ['192.0.2.0/24', 409, /192\.0\.2\.1, the address of host alpha/],
    ['2001:db8::/64', 409, /2001:db8::1, the address of host alpha/],
    ['198.51.100.0/24', 409, /198\.51\.100\.7, the address of the control plane/],
    ['2001:db8:ffff::/48', 409, /the control plane/],
    ['0.0.0.0/0', 422, /everybody/],
    ['203.0.113.9', 422, /prefix length/],
  ];
  for (const [cidr, wanted, detail] of cases) {
    const { status, body } = await weir.call('PUT', '/v1/prefilters/x', { cidrs: ['203.0.113.0/28', cidr] });
    assert.deepEqual([status, body.field, body.value], [wanted, 'cidrs[1]', cidr], JSON.stringify(body));
    assert.match(body.detail, detail);
    assert.ok(body.fix);
  }
  await weir.call('PUT', '/v1/prefilters/x', { cidrs: ['203.0.113.0/28'] });
  const host = await weir.call('POST', '/v1/hosts', { name: 'beta', underlay_ip4: '203.0.113.3' });
  assert.deepEqual([host.status, host.body.field, host.body.value], [409, 'underlay_ip4', '203.0.113.3']);
  assert.match(host.body.detail, /prefilter x/);
  const moved = await weir.call('PATCH', '/v1/hosts/alpha', { underlay_ip4: '203.0.113.3' });
  assert.deepEqual([moved.status, moved.body.field], [409, 'underlay_ip4']);
  const both = await Promise.all([
    weir.call('PUT', '/v1/prefilters/race', { cidrs: ['203.0.113.128/28'] }),
    weir.call('POST', '/v1/hosts', { name: 'gamma', underlay_ip4: '203.0.113.130' }),
  ]);
  assert.equal(both.filter(({ status }) => status === 409).length, 1, 'one of both is refused');
});

test('gRPC sets and shows the same', async () => {
  const address = weir.app.grpc ?? '';
  const gateways = createRpcClient(EgressGatewayService, address);
  const prefilters = createRpcClient(PrefilterService, address);
  try {
    const { egressGateway } = await gateways.putEgressGateway({
      egressGateway: {
        name: 'grpc',
        workloads: [{ matchLabels: { app: 'web' }, hosts: { matchLabels: { zone: 'a' } } }],
        destinationCidrs: ['0.0.0.0/0'],
        gateways: [{ hosts: {}, egressIp: '203.0.113.8' }],
      },
    });
    const { body } = await weir.call('GET', '/v1/egress-gateways/grpc');
    assert.deepEqual([Number(egressGateway?.revision), body.gateways[0].egress_ip], [body.revision, '203.0.113.8']);
    assert.deepEqual(body.workloads[0].hosts.match_labels, { zone: 'a' });
    assert.equal((await gateways.listEgressGateways({})).egressGateways.length, 1);
    await assert.rejects(
      gateways.putEgressGateway({
        egressGateway: { name: 'none', workloads: [{}], destinationCidrs: ['::/0'], gateways: [{}] },
      }),
      /an egress gateway without an address/,
    );
    await prefilters.putPrefilter({ prefilter: { name: 'grpc', cidrs: ['203.0.113.64/28'] } });
    assert.deepEqual((await prefilters.getPrefilter({ name: 'grpc' })).prefilter?.prefilter?.cidrs, [
      '203.0.113.64/28',
    ]);
    await prefilters.deletePrefilter({ name: 'grpc' });
    await assert.rejects(prefilters.getPrefilter({ name: 'grpc' }), /there is no prefilter/);
  } finally {
    gateways.close();
    prefilters.close();
  }
});
