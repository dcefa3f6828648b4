// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LoadBalancerService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { type Answer, type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness();
  await weir.call('POST', '/v1/hosts', { name: 'alpha', underlay_ip4: '192.0.2.1' });
});
after(() => weir.stop());

const put = (path: string, body: object) => weir.call('PUT', `/v1/${path}`, body);
const good = (answer: Answer): Answer['body'] => {
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};
const lb = (more: object = {}, port = 80) => ({ frontends: [{ type: 'load-balancer', port }], ...more });
const addresses = (body: Answer['body']): string[] =>
  body.frontends.map(({ address }: { address: string | null }) => address);
const condition = (body: Answer['body'], type: string) =>
  body.conditions.find((one: { type: string }) => one.type === type);
const remove = async (...ids: string[]) => {
  for (const id of ids) good(await weir.call('DELETE', `/v1/services/${id}`));
};

test('a service waits for a pool, gets an address of it, keeps it and gives it back', async () => {
  const waiting = good(await put('services/default.a', lb()));
  assert.deepEqual([addresses(waiting), condition(waiting, 'AddressesAssigned').reason], [[null], 'NoFreeAddress']);
  const pool = good(await put('lb-pools/small', { blocks: [{ cidr: '203.0.113.0/30' }], allow_first_last_ips: false }));
  assert.deepEqual([pool.addresses_total, condition(pool, 'Available').status], [2, true]);
  const a = good(await weir.call('GET', '/v1/services/default.a'));
  assert.deepEqual([addresses(a), a.frontends[0].pool], [['203.0.113.1'], 'small']);
  assert.equal(condition(a, 'AddressesAssigned').status, true);
  assert.ok(a.revision > waiting.revision);
  const b = good(
    await put('services/default.b', {
      frontends: [
        { type: 'load-balancer', port: 80 },
        { type: 'load-balancer', port: 443 },
      ],
    }),
  );
  assert.deepEqual(addresses(b), ['203.0.113.2', '203.0.113.2']);
  const c = good(await put('services/default.c', lb()));
  assert.deepEqual(addresses(c), [null]);
  const full = good(await weir.call('GET', '/v1/lb-pools/small'));
  assert.deepEqual([full.addresses_used, condition(full, 'Available').reason], [2, 'Full']);
  await remove('default.a');
  assert.deepEqual(addresses(good(await weir.call('GET', '/v1/services/default.c'))), ['203.0.113.1']);
  assert.deepEqual(addresses(good(await put('services/default.b', lb({}, 8443)))), ['203.0.113.2']);
  const used = await put('lb-pools/small', { blocks: [{ start: '203.0.113.1' }] });
  assert.deepEqual([used.status, used.body.field, used.body.value], [409, 'blocks', '203.0.113.2']);
  assert.equal((await weir.call('DELETE', '/v1/lb-pools/small')).status, 409);
  await remove('default.b', 'default.c');
  assert.equal((await weir.call('DELETE', '/v1/lb-pools/small')).status, 204);
});

test('an address that was asked for must be of a pool that serves, and free', async () => {
  good(
    await put('lb-pools/blue', {
      blocks: [{ cidr: '203.0.113.0/28' }],
      service_selector: { match_labels: { team: 'blue' } },
    }),
  );
  const wanted = (address: string, more: object = {}) => ({
    frontends: [{ type: 'load-balancer', address, port: 80 }],
    ...more,
  });
  const refused = async (id: string, body: object, status: number, detail: RegExp) => {
    const answer = await put(`services/${id}`, body);
    assert.deepEqual([answer.status, answer.body.field], [status, 'frontends[0].address'], JSON.stringify(answer.body));
    assert.match(answer.body.detail, detail);
    assert.ok(answer.body.fix && answer.body.value);
  };
  const blue = { labels: { team: 'blue' } };
  await refused('default.a', wanted('198.51.100.1', blue), 422, /no pool/);
  await refused('default.a', wanted('203.0.113.5'), 409, /not for this service/);
  await refused('default.a', wanted('10.77.0.9'), 409, /belongs to workloads/);
  good(await put('services/default.a', wanted('203.0.113.5', blue)));
  await refused(
    'default.b',
    { ...wanted('203.0.113.5', blue), frontends: [{ type: 'load-balancer', address: '203.0.113.5', port: 81 }] },
    409,
    /default\.a: they have no sharing_key/,
  );
  good(await put('lb-pools/blue', { blocks: [{ cidr: '203.0.113.0/28' }], disabled: true }));
  await refused('default.b', wanted('203.0.113.6'), 409, /disabled/);
  good(await put('services/default.a', wanted('203.0.113.5', { labels: {} })));
  assert.deepEqual(addresses(good(await put('services/default.b', lb()))), [null]);
  await remove('default.a', 'default.b');
  good(await weir.call('DELETE', '/v1/lb-pools/blue'));
});

test('services with a key share an address while their ports differ', async () => {
  good(
    await put('lb-pools/shared', {
      blocks: [{ start: '203.0.113.10', stop: '203.0.113.20' }, { cidr: '2001:db8:1::/120' }],
    }),
  );
  const key = { sharing_key: 'k', families: ['ipv4', 'ipv6'] };
  const first = good(await put('services/one.a', lb(key)));
  assert.deepEqual(addresses(first), ['203.0.113.10', '2001:db8:1::']);
  assert.deepEqual(addresses(good(await put('services/one.b', lb(key, 81)))), addresses(first));
  const same = good(await put('services/one.c', lb(key, 80)));
  assert.deepEqual(addresses(same), ['203.0.113.11', '2001:db8:1::1'], 'the same port is another address');
  const other = good(await put('services/two.a', lb(key, 82)));
  assert.deepEqual(addresses(other)[0], '203.0.113.12', 'of another namespace that is not allowed');
  const open = { ...key, sharing_namespaces: ['*'] };
  good(await put('services/one.a', lb(open)));
  good(await put('services/one.b', lb({ ...open, sharing_namespaces: ['two'] }, 81)));
  assert.deepEqual(
    addresses(good(await put('services/two.b', lb({ ...open, sharing_namespaces: ['one'] }, 83)))),
    addresses(first),
  );
  const local = good(await put('services/one.d', lb({ ...key, external_traffic_policy: 'local' }, 84)));
  assert.ok(!addresses(local).includes('203.0.113.10'), 'policies must be compatible');
  await remove('one.a', 'one.b', 'one.c', 'one.d', 'two.a', 'two.b');
  good(await weir.call('DELETE', '/v1/lb-pools/shared'));
});

test('of forty who ask at once none gets an address that another has', async () => {
  good(await put('lb-pools/race', { blocks: [{ cidr: '203.0.113.64/27' }] }));
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => {
      const body =
        i % 4 === 0 ? { frontends: [{ type: 'load-balancer', address: `203.0.113.${64 + i / 4}`, port: 80 }] } : lb();
      return put(`services/${i % 2 === 0 ? 'even' : 'odd'}.s${i}`, body);
    }),
  );
  const given = answers.flatMap(({ status, body }) => (status === 200 ? addresses(body) : []));
  const got = given.filter((address) => address !== null);
  assert.equal(new Set(got).size, got.length, 'no address is given twice');
  assert.ok(
    answers.every(({ status }) => status === 200 || status === 409),
    JSON.stringify(answers.map((a) => a.body.code)),
  );
  const pool = good(await weir.call('GET', '/v1/lb-pools/race'));
  assert.deepEqual([pool.addresses_used, pool.addresses_total], [got.length, 32]);
  assert.ok(got.length >= 30, 'nobody waits while there are addresses');
});

test('pools are apart from each other, from workloads and from hosts', async () => {
  const refused = async (blocks: object[], field: string, detail: RegExp, status = 409) => {
    const { body, ...answer } = await put('lb-pools/wrong', { blocks });
    assert.deepEqual([answer.status, body.field], [status, field], JSON.stringify(body));
    assert.match(body.detail, detail);
    assert.ok(body.fix);
  };
  await refused([{ cidr: '203.0.113.0/24' }], 'blocks[0]', /of pool race/);
  await refused(
    [{ start: '198.51.100.1' }, { cidr: '10.77.3.0/24' }],
    'blocks[1]',
    /of pool default, which belongs to workloads/,
  );
  await refused([{ cidr: '192.0.2.0/28' }], 'blocks[0]', /192\.0\.2\.1, the address of host alpha/);
  await refused([{ start: '198.51.100.9', stop: '198.51.100.1' }], 'blocks[0].stop', /before start/, 422);
  await refused([{ start: '198.51.100.9', cidr: '198.51.100.0/24' }], 'blocks[0]', /neither/, 422);
  await refused([{ cidr: '198.51.100.1/24' }], 'blocks[0].cidr', /behind the prefix/, 422);
  await refused([{ cidr: '198.51.100.0/24' }, { start: '198.51.100.7' }], 'blocks[1]', /overlaps blocks\[0\]/, 422);
  await refused([{ start: '198.51.100.9', stop: '2001:db8::1' }], 'blocks[0].stop', /family/, 422);
  assert.equal((await put('pools/other', { cidrs: ['203.0.113.0/24'] })).body.field, 'cidrs[0]');
  const host = await weir.call('POST', '/v1/hosts', { name: 'beta', underlay_ip4: '203.0.113.70' });
  assert.match(host.body.detail, /pool race, which belongs to services/);
  const client = createRpcClient(LoadBalancerService, weir.app.grpc ?? '');
  try {
    const { pool } = await client.putLoadBalancerPool({
      pool: {
        name: 'grpc',
        blocks: [{ cidr: '198.51.100.0/30' }],
        allowFirstLastIps: false,
        frontendType: 'cluster-ip',
      },
    });
    assert.deepEqual([pool?.addressesTotal, pool?.frontendType], [2n, 'cluster-ip']);
    assert.deepEqual(
      (await client.listLoadBalancerPools({})).pools.map(({ name }) => name),
      ['grpc', 'race'],
    );
    const cluster = good(await put('services/default.cluster', { frontends: [{ type: 'cluster-ip', port: 80 }] }));
    assert.deepEqual(addresses(cluster), ['198.51.100.1']);
    await remove('default.cluster');
    await client.deleteLoadBalancerPool({ name: 'grpc' });
    await assert.rejects(client.getLoadBalancerPool({ name: 'grpc' }), /there is no lb-pool/);
  } finally {
    client.close();
  }
});
