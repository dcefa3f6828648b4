// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ConfigWatcher, readLease, subjects, writeLease } from '@weir/bus';
import {
  BgpService,
  EgressGatewayService,
  L2AnnouncementService,
  PrefilterService,
} from '@weir/proto/weir/inventory/v1/inventory_pb.js';
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

test('an announcement of addresses is set with its defaults, told to the hosts, and refused with field and fix', async () => {
  const made = await weir.call('PUT', '/v1/l2-announcements/edge', {
    services: { match_labels: { tier: 'edge' } },
    interfaces: ['^eth[0-9]+$'],
    load_balancer_ips: true,
  });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const { lease_duration_ms, renew_deadline_ms, retry_period_ms, external_ips } = made.body;
  assert.deepEqual(
    [lease_duration_ms, renew_deadline_ms, retry_period_ms, external_ips],
    [15_000, 5_000, 2_000, false],
  );
  const subject = subjects.cfgL2Announcement.build({ key: 'edge' });
  const { body } = await eventually('the document', () => documentOf(subject));
  assert.deepEqual(
    [body.value.name, body.value.interfaces, body.value.loadBalancerIps, body.value.leaseDurationMs],
    ['edge', ['^eth[0-9]+$'], true, 15_000],
  );
  assert.deepEqual(body.value.services.matchLabels, { tier: 'edge' });

  const client = createRpcClient(L2AnnouncementService, weir.app.grpc ?? '');
  const { l2Announcement } = await client.getL2Announcement({ name: 'edge' });
  assert.equal(l2Announcement?.l2Announcement?.retryPeriodMs, 2_000);
  const put = await client.putL2Announcement({ l2Announcement: { name: 'other', externalIps: true } });
  assert.equal(put.l2Announcement?.l2Announcement?.leaseDurationMs, 15_000);
  assert.deepEqual((await client.listL2Leases({})).l2Leases, []);
  client.close();

  const good = { load_balancer_ips: true };
  for (const [given, field, fix] of [
    [{}, 'load_balancer_ips', /external_ips/],
    [{ ...good, interfaces: ['eth0', '('] }, 'interfaces[1]', /\^eth/],
    [{ ...good, lease_duration_ms: 5_000 }, 'lease_duration_ms', /5000/],
    [{ ...good, retry_period_ms: 5_000 }, 'renew_deadline_ms', /5000/],
    [{ ...good, retry_period_ms: 10 }, 'retry_period_ms', /2000/],
    [{ ...good, services: { match_labels: { 'a b': 'x' } } }, 'services.match_labels.a b', /app/],
  ] as const) {
    const refused = await weir.call('PUT', '/v1/l2-announcements/edge', given);
    assert.deepEqual([refused.status, refused.body.field], [422, field], JSON.stringify(refused.body));
    assert.match(refused.body.fix, fix);
  }
});

test('who answers for a service is read from its lease', async () => {
  const pool = { blocks: [{ cidr: '203.0.113.64/28' }] };
  assert.equal((await weir.call('PUT', '/v1/lb-pools/edge', pool)).status, 200);
  const service = { frontends: [{ type: 'load-balancer', port: 80 }] };
  for (const name of ['web', 'quiet']) {
    const put = await weir.call('PUT', `/v1/services/shop.${name}`, service);
    assert.equal(put.status, 200, JSON.stringify(put.body));
  }
  const lease = {
    ...{ holder: 'alpha', acquiredMs: 1_700_000_000_000n, durationMs: 15_000, transitions: 2n },
    ...{ addresses: ['203.0.113.65'], interfaces: ['eth0'], announcement: 'edge' },
  };
  // Hosts write leases.
  const bus = await weir.agent('alpha');
  assert.ok(await writeLease(bus, 'shop.web', lease, 0));
  const { body } = await weir.call('GET', '/v1/l2-leases');
  const [item] = body.items;
  assert.deepEqual(
    [body.items.length, item.service, item.host, item.state, item.since, item.transitions, item.addresses],
    [1, 'shop.web', 'alpha', 'held', '2023-11-14T22:13:20.000Z', 2, ['203.0.113.65']],
  );
  assert.deepEqual((await weir.call('GET', '/v1/l2-leases/shop.web')).body, item);
  assert.equal((await weir.call('GET', '/v1/l2-leases/shop.quiet')).body.state, 'none');
  assert.equal((await weir.call('GET', '/v1/l2-leases/shop.nobody')).status, 404);
  const seq = (await readLease(bus, 'shop.web'))?.seq ?? 0;
  assert.ok(await writeLease(bus, 'shop.web', { ...lease, durationMs: 1 }, seq));
  await eventually('the end of the lease', async () => {
    const { state } = (await weir.call('GET', '/v1/l2-leases/shop.web')).body;
    return state === 'expired' ? true : undefined;
  });
});

const BGP = {
  hosts: { match_labels: { rack: 'r1' } },
  local_asn: 65_001,
  peers: [
    { name: 'tor', address: '198.51.100.2', asn: 65_000, password_file: '/etc/weir/tor', families: ['ipv4', 'ipv6'] },
    { name: 'tor6', address: '2001:DB8:51::2', asn: 65_000, ebgp_multihop: 2, hold_time_s: 9, keepalive_time_s: 3 },
  ],
  advertisements: [
    { type: 'pod-cidr', communities: ['65001:1', 'no-export', '65001:1:2'], peers: ['tor6'] },
    {
      type: 'service',
      addresses: ['load-balancer'],
      services: { match_labels: { tier: 'edge' } },
      local_preference: 200,
    },
  ],
  overrides: [{ host: 'alpha', router_id: '10.0.0.1', local_asn: 65_010, local_address4: '198.51.100.9' }],
};

test('a BGP instance is set, told to the hosts, and the same by gRPC', async () => {
  const made = await weir.call('PUT', '/v1/bgp-instances/rack', BGP);
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.equal(made.body.peers[1].address, '2001:db8:51::2');
  const { body } = await eventually('the document', () => documentOf(subjects.cfgBgpInstance.build({ key: 'rack' })));
  const [tor, tor6] = body.value.peers;
  assert.deepEqual(
    [body.value.localAsn, tor.asn, tor.passwordFile, tor.families, tor6.ebgpMultihop, tor6.holdTimeS],
    [65_001, 65_000, '/etc/weir/tor', ['ipv4', 'ipv6'], 2, 9],
  );
  const [pods, services] = body.value.advertisements;
  assert.deepEqual([pods.type, pods.communities.length, pods.localPreference], ['pod-cidr', 3, undefined]);
  assert.deepEqual([pods.peers, services.peers], [['tor6'], []]);
  assert.deepEqual([services.addresses, services.localPreference], [['load-balancer'], 200]);
  assert.deepEqual([body.value.overrides[0].host, body.value.overrides[0].localAsn], ['alpha', 65_010]);

  const client = createRpcClient(BgpService, weir.app.grpc ?? '');
  const { bgpInstance } = await client.getBgpInstance({ name: 'rack' });
  const again = await client.putBgpInstance({ bgpInstance: bgpInstance?.bgpInstance });
  assert.deepEqual(again.bgpInstance?.bgpInstance, bgpInstance?.bgpInstance);
  client.close();
});

test('a BGP instance of which no session could come is refused with field, value and fix', async () => {
  const [peer] = BGP.peers;
  const withPeer = (more: object) => ({ ...BGP, peers: [{ ...peer, ...more }] });
  const { asn: _asn, ...withoutAsn } = peer as { asn: number };
  const withAdvertisement = (one: object) => ({ ...BGP, advertisements: [one] });
  const cases: [object, string, RegExp][] = [
    [{ ...BGP, peers: [withoutAsn] }, 'peers[0].asn', /./],
    [withPeer({ asn: 0 }), 'peers[0].asn', /65001/],
    [withPeer({ asn: 4_294_967_296 }), 'peers[0].asn', /4294967295/],
    [{ ...BGP, local_asn: 0 }, 'local_asn', /65001/],
    [{ ...BGP, peers: [] }, 'peers', /./],
    [{ ...BGP, peers: [peer, { ...peer, address: '198.51.100.3' }] }, 'peers[1].name', /leave/],
    [{ ...BGP, peers: [peer, { ...peer, name: 'x' }] }, 'peers[1].address', /leave/],
    [withPeer({ address: 'tor.example' }), 'peers[0].address', /192\.0\.2\.1/],
    [withPeer({ address: '224.0.0.5' }), 'peers[0].address', /unicast/],
    [withPeer({ hold_time_s: 2 }), 'peers[0].hold_time_s', /90/],
    [withPeer({ hold_time_s: 9 }), 'peers[0].keepalive_time_s', /third/],
    [withPeer({ keepalive_time_s: 90 }), 'peers[0].keepalive_time_s', /third/],
    [withPeer({ graceful_restart_s: 5_000 }), 'peers[0].graceful_restart_s', /4095/],
    [withPeer({ ebgp_multihop: 300 }), 'peers[0].ebgp_multihop', /255/],
    [withPeer({ asn: 65_001, ebgp_multihop: 2 }), 'peers[0].ebgp_multihop', /leave/],
    [withPeer({ password_file: 'secret' }), 'peers[0].password_file', /\/etc/],
    [withPeer({ families: ['ipv5'] }), 'peers[0].families[0]', /./],
    [withAdvertisement({ type: 'pod-cidr', peers: ['tor', 'spine'] }), 'advertisements[0].peers[1]', /tor, tor6/],
    [withAdvertisement({ type: 'service' }), 'advertisements[0].addresses', /load-balancer/],
    [withAdvertisement({ type: 'pod-cidr', addresses: ['cluster-ip'] }), 'advertisements[0].addresses', /leave/],
    [withAdvertisement({ type: 'pod-cidr', interface: 'lo' }), 'advertisements[0].interface', /leave/],
    [withAdvertisement({ type: 'interface' }), 'advertisements[0].interface', /such as lo/],
    [withAdvertisement({ type: 'interface', interface: 'a/b' }), 'advertisements[0].interface', /such as lo/],
    [
      withAdvertisement({ type: 'pod-cidr', communities: ['70000:1'] }),
      'advertisements[0].communities[0]',
      /65000:100/,
    ],
    [{ ...BGP, overrides: [{ host: 'alpha', local_address4: '2001:db8::1' }] }, 'overrides[0].local_address4', /IPv4/],
  ];
  for (const [given, field, fix] of cases) {
    const { status, body } = await weir.call('PUT', '/v1/bgp-instances/wrong', given);
    assert.deepEqual([status, body.field], [422, field], JSON.stringify(body));
    assert.match(body.fix ?? '', fix, field);
  }
});

test('sessions and what is told in them come with heartbeats, and go when there are none', async () => {
  const bus = await weir.agent('alpha');
  const session = (peer: string, prefixes: readonly string[]) => ({
    ...{ instance: 'rack', peer, address: '198.51.100.2', asn: 65_000, localAsn: 65_001 },
    ...{ state: 'established', sinceMs: 1_700_000_000_000n },
    families: [{ family: 'ipv4', received: 3, advertised: prefixes.length, prefixes: [...prefixes] }],
  });
  const say = (...bgpPeers: ReturnType<typeof session>[]): void =>
    bus.nc.publish(subjects.hb.build({ host: 'alpha' }), subjects.hb.encode({ boot: 1n, bgpPeers }));
  say(session('a', ['10.77.0.0/24', '203.0.113.1/32']), session('b', ['10.77.0.0/24']));
  const { items } = await eventually('the sessions', async () => {
    const { body } = await weir.call('GET', '/v1/bgp-peers?host=alpha');
    return body.items.length === 2 ? body : undefined;
  });
  const { host, peer, state, since, local_asn, families, error } = items[0];
  assert.deepEqual(
    [host, peer, state, since, local_asn, families, error],
    [
      ...['alpha', 'a', 'established', '2023-11-14T22:13:20.000Z', 65_001],
      [{ family: 'ipv4', received: 3, advertised: 2 }],
      null,
    ],
  );
  assert.deepEqual((await weir.call('GET', '/v1/bgp-peers?peer=b')).body.items.length, 1);
  assert.deepEqual((await weir.call('GET', '/v1/bgp-peers?instance=none')).body.items, []);
  const first = (await weir.call('GET', '/v1/bgp-routes?limit=2')).body;
  const rest = (await weir.call('GET', `/v1/bgp-routes?limit=2&cursor=${encodeURIComponent(first.next_cursor)}`)).body;
  assert.deepEqual(
    [...first.items, ...rest.items].map((route) => [route.peer, route.prefix]),
    [
      ['a', '10.77.0.0/24'],
      ['a', '203.0.113.1/32'],
      ['b', '10.77.0.0/24'],
    ],
  );
  say();
  await eventually('their end', async () =>
    (await weir.call('GET', '/v1/bgp-peers')).body.items.length === 0 ? true : undefined,
  );
});
