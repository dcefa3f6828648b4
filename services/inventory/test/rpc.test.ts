// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isWeirError } from '@weir/errors';
import {
  HostService,
  HostState,
  IdentityService,
  NamespaceService,
  WorkloadService,
} from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { type Harness, startHarness } from './harness.ts';

let weir: Harness;
const connect = () => {
  const address = weir.app.grpc ?? '';
  return {
    hosts: createRpcClient(HostService, address),
    namespaces: createRpcClient(NamespaceService, address),
    workloads: createRpcClient(WorkloadService, address),
    identities: createRpcClient(IdentityService, address),
  };
};
let rpc: ReturnType<typeof connect>;

before(async () => {
  weir = await startHarness();
  rpc = connect();
});
after(async () => {
  for (const client of Object.values(rpc)) client.close();
  await weir.stop();
});

const refused = (code: string, field?: string) => (error: unknown) => {
  assert.ok(isWeirError(error), String(error));
  assert.deepEqual([error.code, error.facts.field], [code, field ?? error.facts.field], error.message);
  return true;
};

test('hosts: created, read, listed, changed, as REST shows them', async () => {
  const { host } = await rpc.hosts.createHost({ name: 'alpha', labels: { rack: 'r1' }, underlayIp4: '192.0.2.1' });
  assert.deepEqual(
    [host?.id, host?.state, host?.status, host?.underlayIp6],
    ['alpha', HostState.NEVER_SEEN, undefined, ''],
  );
  const { body } = await weir.call('GET', '/v1/hosts/alpha');
  assert.deepEqual([host?.pools, host?.labels, Number(host?.revision)], [body.pools, body.labels, body.revision]);
  assert.equal(Number(host?.createdAt?.seconds), Math.floor(Date.parse(body.created_at) / 1000));
  const changed = await rpc.hosts.updateHost({ id: 'alpha', labels: { labels: {} }, underlayIp6: '2001:db8::1' });
  assert.deepEqual(
    [changed.host?.labels, changed.host?.underlayIp4, changed.host?.underlayIp6],
    [{}, '192.0.2.1', '2001:db8::1'],
  );
  assert.equal((await rpc.hosts.updateHost({ id: 'alpha', underlayIp6: '' })).host?.underlayIp6, '');
  await rpc.hosts.createHost({ name: 'beta' });
  const first = await rpc.hosts.listHosts({ limit: 1 });
  const second = await rpc.hosts.listHosts({ limit: 1, cursor: first.nextCursor });
  assert.deepEqual([first.hosts[0]?.id, second.hosts[0]?.id, second.nextCursor], ['alpha', 'beta', '']);
});

test('workloads: created, listed by filter, changed, deleted', async () => {
  const { workload } = await rpc.workloads.createWorkload({
    name: 'web',
    namespace: 'prod',
    host: 'alpha',
    labels: { app: 'web' },
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
  });
  assert.deepEqual(
    [workload?.id, workload?.state, workload?.localId, workload?.netns],
    ['prod.web', 'waiting-to-regenerate', 0, ''],
  );
  await rpc.workloads.createWorkload({ name: 'plain', host: 'beta' });
  const ids = async (filter: object) => (await rpc.workloads.listWorkloads(filter)).workloads.map(({ id }) => id);
  assert.deepEqual(await ids({}), ['default.plain', 'prod.web']);
  assert.deepEqual(await ids({ labels: { app: 'web' } }), ['prod.web']);
  assert.deepEqual(await ids({ host: 'beta', namespace: 'prod' }), []);
  assert.deepEqual(await ids({ identity: workload?.identity }), ['prod.web']);
  const relabelled = await rpc.workloads.updateWorkload({ id: 'prod.web', labels: { labels: { app: 'api' } } });
  assert.notEqual(relabelled.workload?.identity, workload?.identity);
  assert.equal(relabelled.workload?.ports.length, 1);
  assert.equal(
    (await rpc.workloads.updateWorkload({ id: 'prod.web', ports: { ports: [] } })).workload?.ports.length,
    0,
  );
  await rpc.workloads.deleteWorkload({ id: 'default.plain' });
  await assert.rejects(rpc.workloads.getWorkload({ id: 'default.plain' }), refused('NOT_FOUND', 'id'));
});

test('namespaces and identities', async () => {
  const { namespace } = await rpc.namespaces.putNamespace({ name: 'prod', labels: { team: 'blue' } });
  assert.deepEqual(namespace?.labels, { team: 'blue' });
  assert.deepEqual(
    (await rpc.namespaces.listNamespaces({})).namespaces.map(({ name }) => name),
    ['default', 'prod'],
  );
  const { workload } = await rpc.workloads.getWorkload({ id: 'prod.web' });
  const { identity } = await rpc.identities.getIdentity({ identity: workload?.identity });
  assert.ok(identity?.labels.includes('k8s:io.cilium.k8s.namespace.labels.team=blue'));
  const { identities } = await rpc.identities.listIdentities({});
  assert.deepEqual([identities[0]?.identity, identities[0]?.labels], [1, ['reserved:host']]);
  await assert.rejects(rpc.namespaces.deleteNamespace({ name: 'prod' }), refused('CONFLICT', 'name'));
});

test('errors say the same as REST: code, field, value, fix', async () => {
  await assert.rejects(rpc.hosts.createHost({ name: 'Alpha' }), refused('INVALID_ARGUMENT', 'name'));
  await assert.rejects(rpc.hosts.createHost({ name: 'alpha' }), refused('CONFLICT', 'name'));
  await assert.rejects(rpc.hosts.listHosts({ limit: 5_000 }), refused('INVALID_ARGUMENT', 'limit'));
  await assert.rejects(rpc.hosts.listHosts({ cursor: '???' }), refused('MALFORMED', 'cursor'));
  await assert.rejects(rpc.hosts.deleteHost({ id: 'beta', ifRevision: 999n }), refused('PRECONDITION_FAILED'));
  await assert.rejects(
    rpc.workloads.createWorkload({ name: 'x', host: 'alpha', ports: [{ name: 'a', port: 70_000, protocol: 'TCP' }] }),
    refused('INVALID_ARGUMENT', 'ports[0].port'),
  );
  await assert.rejects(rpc.workloads.createWorkload({ name: 'x', host: 'none' }), (error) => {
    assert.ok(isWeirError(error));
    assert.deepEqual([error.code, error.facts.field, error.facts.value], ['INVALID_ARGUMENT', 'host', 'none']);
    assert.match(error.facts.fix ?? '', /POST \/v1\/hosts/);
    return true;
  });
  const rest = await weir.call('POST', '/v1/workloads', { name: 'x', host: 'none' });
  assert.deepEqual([rest.body.field, rest.body.value], ['host', 'none']);
});
