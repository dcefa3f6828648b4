// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ConfigWatcher, subjects } from '@weir/bus';
import { Families, type Network, Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { NetworkService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { eventually, type Harness, startHarness } from './harness.ts';

let weir: Harness;
let watcher: ConfigWatcher;
before(async () => {
  weir = await startHarness();
  watcher = await weir.follow();
});
after(async () => {
  await watcher.stop();
  await weir.stop();
});

const DOCUMENT = subjects.cfgNetwork.build({ key: 'fleet' });
const published = (revision: number): Promise<Network> =>
  eventually(`network document ${revision}`, () => {
    const entry = watcher.get(DOCUMENT);
    return Number(entry?.document.revision) === revision ? (entry?.document.body.value as Network) : undefined;
  });

test('a fleet whose network was never set shows the defaults, and publishes nothing', async () => {
  const { status, body, headers } = await weir.call('GET', '/v1/network');
  assert.deepEqual([status, headers.get('etag')], [200, '"0"']);
  assert.deepEqual(
    [body.routing, body.underlay, body.families, body.tunnel_port, body.mtu, body.masquerade.ipv4],
    ['native', 'ipv4', 'dual', 8472, 0, false],
  );
  assert.deepEqual(body.health, { enabled: true, base_interval_s: 60, port: 4240, endpoints: true });
  assert.equal(watcher.get(DOCUMENT), undefined);
});

test('what is set reaches the hosts, as a whole; ETags guard it', async () => {
  const set = await weir.call(
    'PUT',
    '/v1/network',
    {
      routing: 'hybrid',
      tunnel_port: 8473,
      mtu: 1400,
      masquerade: { ipv4: true, non_masquerade_cidrs: ['10.0.0.0/8', 'FD00::/8'] },
      vlan_bypass: [10, 4094],
      nat64: { prefix: '0064:FF9B::/96' },
      wireguard: {
        enabled: true,
        strict_cidrs: ['10.77.0.0/16'],
        strict_ingress: true,
        strict_except_hosts: true,
        opt_out_labels: ['rack=r1'],
      },
    },
    { 'if-match': '"0"' },
  );
  assert.equal(set.status, 200, JSON.stringify(set.body));
  const document = await published(set.body.revision);
  assert.deepEqual(
    [document.routing, document.underlay, document.families, document.tunnelPort, document.mtu, document.vlanBypass],
    [Routing.HYBRID, Underlay.IPV4, Families.DUAL, 8473, 1400, [10, 4094]],
  );
  assert.deepEqual(
    [document.masquerade?.ipv4, document.masquerade?.ipv6, document.masquerade?.nonMasqueradeCidrs],
    [true, false, ['10.0.0.0/8', 'fd00::/8']],
  );
  assert.deepEqual(
    [document.wireguard?.enabled, document.wireguard?.port, document.health?.enabled, document.health?.baseIntervalS],
    [true, 51871, true, 60],
  );
  assert.deepEqual([document.nat64?.prefix, set.body.nat64], ['64:ff9b::/96', { prefix: '64:ff9b::/96' }]);
  assert.equal(document.health?.endpoints, true);
  const { strictCidrs, strictIngress, strictExceptHosts, optOutLabels } = document.wireguard ?? {};
  assert.deepEqual(
    [strictCidrs, strictIngress, strictExceptHosts, optOutLabels],
    [['10.77.0.0/16'], true, true, ['rack=r1']],
  );
  assert.deepEqual((await weir.call('GET', '/v1/network')).body, set.body);
  const late = await weir.call('PUT', '/v1/network', {}, { 'if-match': '"0"' });
  assert.deepEqual([late.status, late.body.field, late.body.current], [412, 'If-Match', `"${set.body.revision}"`]);
  const cleared = await weir.call('PUT', '/v1/network', {});
  assert.deepEqual(
    [cleared.body.routing, cleared.body.vlan_bypass, cleared.body.nat64],
    ['native', [], { prefix: '' }],
  );
});

test('what is wrong is told with field, value and fix', async () => {
  const cases: [object, string, unknown, RegExp][] = [
    [{ mtu: 1279 }, 'mtu', 1279, /1280 or more.*families/],
    [{ mtu: 500, families: 'ipv4' }, 'mtu', 500, /576/],
    [{ tunnel_port: 65_536 }, 'tunnel_port', 65_536, /65535/],
    [{ tunnel_port: -1 }, 'tunnel_port', -1, /0/],
    [{ routing: 'vxlan' }, 'routing', 'vxlan', /native, tunnel, hybrid/],
    [{ tunnel_source_port_low: 5 }, 'tunnel_source_port_high', 0, /both ends/],
    [{ tunnel_source_port_low: 9, tunnel_source_port_high: 5 }, 'tunnel_source_port_low', 9, /lower end/],
    [
      { masquerade: { non_masquerade_cidrs: ['10.0.0.0/8', '10.1.0.0'] } },
      'masquerade.non_masquerade_cidrs[1]',
      '10.1.0.0',
      /10\.1\.0\.0\/32/,
    ],
    [
      { masquerade: { non_masquerade_cidrs: ['10.1.0.0/8'] } },
      'masquerade.non_masquerade_cidrs[0]',
      '10.1.0.0/8',
      /10\.0\.0\.0\/8/,
    ],
    [{ masquerade: { interfaces: ['a b'] } }, 'masquerade.interfaces[0]', 'a b', /eth0/],
    [{ families: 'ipv6', masquerade: { ipv4: true } }, 'masquerade.ipv4', true, /leave it out/],
    [{ vlan_bypass: [4095] }, 'vlan_bypass[0]', 4095, /4094/],
    [{ vlan_bypass: [7, 7] }, 'vlan_bypass[1]', 7, /leave it out/],
    [{ wireguard: { strict_cidrs: ['10.0.0.0/8'] } }, 'wireguard.strict_cidrs', '10.0.0.0/8', /wireguard\.enabled/],
    [{ wireguard: { strict_ingress: true } }, 'wireguard.strict_ingress', true, /wireguard\.enabled/],
    [
      { wireguard: { enabled: true, strict_except_hosts: true } },
      'wireguard.strict_except_hosts',
      true,
      /strict_cidrs/,
    ],
    [{ wireguard: { enabled: true, port: 65_536 } }, 'wireguard.port', 65_536, /65535/],
    [{ wireguard: { enabled: true, strict_cidrs: ['x'] } }, 'wireguard.strict_cidrs[0]', 'x', /10\.0\.0\.0\/8/],
    [{ wireguard: { opt_out_labels: ['rack'] } }, 'wireguard.opt_out_labels[0]', 'rack', /rack=r1/],
    [{ routing: 'tunnel', wireguard: { enabled: true, port: 8472 } }, 'wireguard.port', 8472, /another/],
    [{ nat64: { prefix: '64:ff9b::' } }, 'nat64.prefix', '64:ff9b::', /\/128/],
    [{ nat64: { prefix: '64:ff9b::/64' } }, 'nat64.prefix', '64:ff9b::/64', /64:ff9b::\/96/],
    [{ nat64: { prefix: '64:ff9b::1/96' } }, 'nat64.prefix', '64:ff9b::1/96', /64:ff9b::\/96/],
    [{ nat64: { prefix: '10.0.0.0/8' } }, 'nat64.prefix', '10.0.0.0/8', /96 bits/],
    [{ nat64: { prefix: '2001:db8::100:0:0:0/96' } }, 'nat64.prefix', '2001:db8::100:0:0:0/96', /96 bits/],
    [{ nat64: { prefix: 'fe80::/96' } }, 'nat64.prefix', 'fe80::/96', /96 bits/],
    [{ families: 'ipv4', nat64: { prefix: '64:ff9b::/96' } }, 'nat64.prefix', '64:ff9b::/96', /leave it out/],
    [{ rooting: 'native' }, 'rooting', 'native', /routing/],
  ];
  const { body: before } = await weir.call('GET', '/v1/network');
  for (const [input, field, value, fix] of cases) {
    const { status, body } = await weir.call('PUT', '/v1/network', input);
    assert.deepEqual([status, body.field, body.value], [422, field, value], JSON.stringify(body));
    assert.match(body.fix, fix, JSON.stringify(body));
  }
  assert.deepEqual((await weir.call('GET', '/v1/network')).body, before, 'nothing was changed');
});

test('a network under which what exists could not go on is refused', async () => {
  await weir.call('POST', '/v1/hosts', { name: 'alpha', underlay_ip4: '192.0.2.1' });
  const tunnel = await weir.call('PUT', '/v1/network', { routing: 'tunnel', underlay: 'ipv6' });
  assert.deepEqual([tunnel.status, tunnel.body.field, tunnel.body.value], [409, 'underlay', 'ipv6']);
  assert.match(tunnel.body.detail, /alpha has no underlay_ip6/);
  await weir.call('POST', '/v1/workloads', { name: 'web', host: 'alpha' });
  const families = await weir.call('PUT', '/v1/network', { families: 'ipv4' });
  assert.deepEqual([families.status, families.body.field, families.body.value], [409, 'families', 'ipv4']);
  assert.match(families.body.detail, /fd77::2 of workload default\.web/);
  assert.equal((await weir.call('PUT', '/v1/network', { routing: 'tunnel' })).status, 200);
});

test('gRPC reads and sets the same; a zero stands for the default', async () => {
  const client = createRpcClient(NetworkService, weir.app.grpc ?? '');
  try {
    const { network, revision } = await client.getNetwork({});
    assert.deepEqual([network?.routing, network?.tunnelPort, network?.health?.port], [Routing.TUNNEL, 8472, 4240]);
    const set = await client.putNetwork({
      network: { vlanBypass: [3], health: { enabled: false } },
      ifRevision: revision,
    });
    const { body } = await weir.call('GET', '/v1/network');
    assert.deepEqual(
      [body.routing, body.tunnel_port, body.vlan_bypass, body.health],
      ['native', 8472, [3], { enabled: false, base_interval_s: 60, port: 4240, endpoints: true }],
    );
    assert.equal(Number(set.revision), body.revision);
    await assert.rejects(
      client.putNetwork({ network: { mtu: 100 } }),
      (error: { facts?: { field?: string } }) => error.facts?.field === 'mtu',
    );
    await assert.rejects(client.putNetwork({ ifRevision: revision }), /changed/);
  } finally {
    client.close();
  }
});

test('a WireGuard key is taken from the heartbeat of its own host only, and told to the others', async () => {
  await weir.call('POST', '/v1/hosts', { name: 'beta' });
  const [alpha, beta] = [await weir.agent('alpha'), await weir.agent('beta')];
  const key = Buffer.alloc(32, 7).toString('base64');
  const say = (bus: typeof alpha, host: string, wireguardKey: string, boot = 1n) =>
    bus.nc.publish(subjects.hb.build({ host }), subjects.hb.encode({ boot, wireguardKey }));
  const keyOf = async (host: string) => (await weir.call('GET', `/v1/hosts/${host}`)).body.wireguard_key;
  const told = (host: string, wanted: string | null) =>
    eventually(`key of ${host}`, async () => ((await keyOf(host)) === wanted ? true : undefined));
  assert.equal(await keyOf('alpha'), null);
  say(alpha, 'beta', key);
  say(alpha, 'alpha', key);
  await told('alpha', key);
  const subject = subjects.cfgHost.build({ key: 'alpha' });
  await eventually('the document', () => {
    const value = watcher.get(subject)?.document.body.value as { wireguardKey: string } | undefined;
    return value?.wireguardKey === key ? value : undefined;
  });
  // Neither that of another host, nor what is no key.
  for (const [boot, wrong] of [
    [2, key],
    [3, 'no key'],
  ] as const) {
    say(beta, 'beta', wrong, BigInt(boot));
    await eventually('the heartbeat', async () =>
      (await weir.call('GET', '/v1/hosts/beta')).body.boot === boot ? true : undefined,
    );
  }
  say(beta, 'beta', Buffer.alloc(32, 8).toString('base64'), 4n);
  await told('beta', Buffer.alloc(32, 8).toString('base64'));
  const { body: still } = await weir.call('GET', '/v1/hosts/alpha');
  assert.equal(still.wireguard_key, key);
  say(alpha, 'alpha', '', 5n);
  await told('alpha', null);
});
