// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type ConfigEntry,
  type ConfigWatcher,
  configWatcher,
  publishAck,
  serviceInbox,
  serviceSnapshotConsumer,
  subjects,
} from '@weir/bus';
import { createPool } from '@weir/db';
import { eventually, type Harness, startHarness } from './harness.ts';

let weir: Harness;
let watcher: ConfigWatcher;
/** As they came, without what snapshots repeat. */
const changes: ConfigEntry[] = [];

before(async () => {
  weir = await startHarness();
  const bus = await weir.reader();
  watcher = configWatcher({
    ...bus,
    trustedKeys: [weir.signer],
    inboxPrefix: serviceInbox('policy'),
    consumer: serviceSnapshotConsumer('policy'),
    onReset: () => {},
    onChange: (entry) => {
      changes.push(entry);
    },
  });
  await watcher.ready;
});
after(async () => {
  await watcher.stop();
  await weir.stop();
});

// biome-ignore lint/suspicious/noExplicitAny: bodies of several kinds are looked at
const bodyOf = (subject: string): any => watcher.get(subject)?.document.body.value;
const published = (what: string, subject: string, fits: (entry: ConfigEntry) => boolean = () => true) =>
  eventually(what, () => {
    const entry = watcher.get(subject);
    return entry !== undefined && fits(entry) ? entry : undefined;
  });

test('a host, a workload and its identity are published, signed, the identity first', async () => {
  const { body: host } = await weir.call('POST', '/v1/hosts', {
    name: 'alpha',
    labels: { rack: 'r1' },
    underlay_ip4: '192.0.2.1',
  });
  const entry = await published('the host', 'weir.v1.cfg.host.alpha');
  assert.equal(Number(entry.document.revision), host.revision);
  assert.deepEqual(
    [
      bodyOf(entry.subject).id,
      bodyOf(entry.subject).underlayIp4,
      bodyOf(entry.subject).underlayIp6,
      bodyOf(entry.subject).pools,
    ],
    ['alpha', '192.0.2.1', '', host.pools],
  );
  const { body: workload } = await weir.call('POST', '/v1/workloads', {
    name: 'web',
    namespace: 'prod',
    host: 'alpha',
    labels: { app: 'web' },
    netns: '/run/netns/web',
    ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
  });
  const subject = subjects.cfgWorkload.build({ key: 'prod.web' });
  assert.equal(Number((await published('the workload', subject)).document.revision), workload.revision);
  const { id, hostId, namespace, identity, ip4, ip6, netns, namedPorts } = bodyOf(subject);
  assert.deepEqual(
    [id, hostId, namespace, identity, ip4, ip6, netns],
    ['prod.web', 'alpha', 'prod', workload.identity, workload.ip4, workload.ip6, '/run/netns/web'],
  );
  assert.deepEqual([namedPorts[0].name, namedPorts[0].port, namedPorts[0].protocol], ['dns', 53, 17]);
  const identityEntry = watcher.get(`weir.v1.cfg.identity.${workload.identity}`);
  assert.ok(identityEntry && identityEntry.document.revision < BigInt(workload.revision), 'the identity came first');
  assert.ok(bodyOf(identityEntry.subject).labels.includes('k8s:app=web'));
});

test('changes of a namespace reach all of its workloads; removal is an empty document', async () => {
  await weir.call('POST', '/v1/workloads', { name: 'db', namespace: 'prod', host: 'alpha', labels: { app: 'db' } });
  await weir.call('PUT', '/v1/namespaces/prod', { labels: { team: 'blue' } });
  for (const name of ['web', 'db']) {
    const subject = subjects.cfgWorkload.build({ key: `prod.${name}` });
    const { body } = await weir.call('GET', `/v1/workloads/prod.${name}`);
    await published(name, subject, () => bodyOf(subject)?.identity === body.identity);
    const identity = subjects.cfgIdentity.build({ key: String(body.identity) });
    assert.ok(bodyOf(identity).labels.includes('k8s:io.cilium.k8s.namespace.labels.team=blue'));
  }
  await weir.call('DELETE', '/v1/workloads/prod.db');
  const gone = subjects.cfgWorkload.build({ key: 'prod.db' });
  await eventually('the removal', () => watcher.get(gone) === undefined || watcher.get(gone)?.removed || undefined);
  const revisions = changes.map(({ document }) => document.revision);
  assert.deepEqual(
    revisions,
    [...revisions].sort((a, b) => (a < b ? -1 : 1)),
    'in the order of their revisions',
  );
  assert.equal(new Set(revisions).size, revisions.length);
});

test('a change that is refused publishes nothing', async () => {
  const { body: last } = await weir.call('PATCH', '/v1/hosts/alpha', { labels: {} });
  await weir.call('POST', '/v1/workloads', {
    name: 'web',
    namespace: 'prod',
    host: 'alpha',
    labels: { never: 'seen' },
  });
  await weir.call('POST', '/v1/workloads', { name: 'x', namespace: 'prod', host: 'nowhere' });
  await weir.call('PATCH', '/v1/hosts/alpha', { labels: {} }, { 'if-match': '"1"' });
  const { body: marker } = await weir.call('POST', '/v1/hosts', { name: 'marker' });
  await published('the marker', 'weir.v1.cfg.host.marker');
  assert.equal(marker.revision, last.revision + 1);
});

test('heartbeats make a host alive and show what it says; counters of 64 bits survive', async () => {
  const agent = await weir.agent('alpha');
  const big = 2n ** 52n;
  agent.nc.publish(
    subjects.hb.build({ host: 'alpha' }),
    subjects.hb.encode({
      boot: 1_700_000_000_000n,
      version: '0.1.0',
      kernel: '6.12.1',
      realised: { inventory: 7n },
      workloadsReady: 2,
      workloadsTotal: 3,
      flows: { produced: big, lostThrottle: 5n, lostRing: 1n, lostSpool: 2n, published: 3n, committedSeq: 4n },
      counters: { repairs: 3n },
      features: ['tcx'],
      egressLimiter: { kind: 'token-bucket', reason: 'the qdisc tbf of eth0 was configured by somebody' },
    }),
  );
  const host = await eventually('the heartbeat', async () => {
    const { body } = await weir.call('GET', '/v1/hosts/alpha');
    return body.state === 'alive' ? body : undefined;
  });
  assert.deepEqual(
    [host.boot, host.version, host.kernel, host.workloads_ready, host.workloads_total],
    [1_700_000_000_000, '0.1.0', '6.12.1', 2, 3],
  );
  assert.deepEqual(host.counters, { repairs: 3 });
  assert.deepEqual(host.flows, {
    produced: Number(big),
    lost_throttle: 5,
    lost_ring: 1,
    lost_spool: 2,
    published: 3,
    committed_seq: 4,
  });
  assert.deepEqual([host.realised, host.features], [{ inventory: 7 }, ['tcx']]);
  assert.deepEqual(host.egress_limiter, {
    ...{ kind: 'token-bucket', reason: 'the qdisc tbf of eth0 was configured by somebody' },
  });
  assert.ok(Date.now() - Date.parse(host.last_seen_at) < 10_000);
});

test('one host cannot hold up the heartbeats of others (S06)', async () => {
  await weir.call('POST', '/v1/hosts', { name: 'beta' });
  const [alpha, beta] = [await weir.agent('alpha'), await weir.agent('beta')];
  alpha.nc.publish(subjects.hb.build({ host: 'alpha' }), Buffer.from('not a heartbeat'));
  alpha.nc.publish(
    subjects.hb.build({ host: 'alpha' }),
    subjects.hb.encode({
      boot: 2n ** 64n - 1n,
      version: 'a\0b',
      workloadsReady: 2 ** 32 - 1,
      features: ['x\0', 'y'.repeat(100_000)],
    }),
  );
  alpha.nc.publish(subjects.hb.build({ host: 'beta' }), subjects.hb.encode({ boot: 666n, version: 'forged' }));
  beta.nc.publish(subjects.hb.build({ host: 'beta' }), subjects.hb.encode({ boot: 5n, version: 'true' }));
  const body = await eventually('the heartbeat of beta', async () => {
    const answer = await weir.call('GET', '/v1/hosts/beta');
    return answer.body.state === 'alive' ? answer.body : undefined;
  });
  assert.deepEqual([body.version, body.boot, body.egress_limiter], ['true', 5, null]);
  assert.equal((await weir.call('GET', '/v1/hosts/alpha')).body.version, 'ab');
});

test('an ack tells the state of workloads, but only of its own host', async () => {
  const { body: web } = await weir.call('GET', '/v1/workloads/prod.web');
  const { body: other } = await weir.call('POST', '/v1/workloads', { name: 'other', host: 'beta' });
  const agent = await weir.agent('alpha');
  const states = (state: string, identity: number) =>
    [web.id, other.id, 'prod.gone'].map((id) => ({
      id,
      state,
      identity,
      localId: 9,
      policyEnabled: 'ingress',
      policyEntries: 4,
      message: 'm\0',
    }));
  const ack = async (number: number, state: string, identity: number): Promise<void> => {
    const bytes = subjects.ack.encode({
      boot: 2n ** 63n - 1n,
      realised: { inventory: 9n },
      timeMs: 1n,
      workloads: states(state, identity),
    });
    await publishAck(agent.js, subjects.ack.build({ host: 'alpha' }), bytes, `alpha:1:${number}`);
  };
  const shown = (what: string, fits: (body: { state: string; state_message: string | null }) => boolean) =>
    eventually(what, async () => {
      const { body } = await weir.call('GET', `/v1/workloads/${web.id}`);
      return fits(body) ? body : undefined;
    });
  await ack(1, 'ready', web.identity);
  const ready = await shown('ready', ({ state }) => state === 'ready');
  assert.deepEqual(
    [ready.local_id, ready.policy_enabled, ready.policy_entries, ready.state_message],
    [9, 'ingress', 4, 'm'],
  );
  assert.equal((await weir.call('GET', `/v1/workloads/${other.id}`)).body.state, 'waiting-to-regenerate');
  assert.deepEqual((await weir.call('GET', '/v1/hosts/alpha')).body.realised, { inventory: 9 });

  const { body: relabelled } = await weir.call('PATCH', `/v1/workloads/${web.id}`, { labels: { app: 'new' } });
  assert.equal(relabelled.state, 'waiting-to-regenerate', 'ready as something else');
  assert.match(relabelled.state_message, new RegExp(String(web.identity)));
  await ack(2, 'ready', relabelled.identity);
  await shown('ready again', ({ state }) => state === 'ready');
});

test('after a restart the service goes on where it was', async () => {
  const before = (await weir.call('GET', '/v1/workloads')).body;
  await weir.restart();
  assert.deepEqual((await weir.call('GET', '/v1/workloads')).body, before);
  const { body } = await weir.call('PATCH', '/v1/hosts/beta', { labels: { after: 'restart' } });
  await published('the change', 'weir.v1.cfg.host.beta', ({ document }) => Number(document.revision) === body.revision);
});

test('with the bus away changes are accepted and published when it is back', async () => {
  await weir.nats.kill();
  const { status, body } = await weir.call('PATCH', '/v1/hosts/beta', { labels: { while: 'away' } });
  assert.equal(status, 200);
  const ready = await weir.call('GET', '/readyz');
  assert.deepEqual([ready.status, ready.headers.get('retry-after')], [503, '1']);
  await weir.nats.start();
  await published('the change', 'weir.v1.cfg.host.beta', ({ document }) => Number(document.revision) === body.revision);
});

test('a database restored from a backup publishes only in a new epoch, when told to (F28)', async () => {
  const pool = createPool({ url: weir.database.url, schema: 'inventory' });
  await weir.app.close();
  await pool.query(
    "update bus_publisher set revision = revision - 3; delete from bus_document where subject = 'weir.v1.cfg.host.beta'",
  );
  await pool.end();
  await weir.restart({ WEIR_INVENTORY_NEW_EPOCH: 'true' });
  await published('all again', 'weir.v1.cfg.host.alpha', ({ document }) => document.epoch === 2n);
  await published('what was forgotten', 'weir.v1.cfg.host.marker', ({ document }) => document.epoch === 2n);
  const { body } = await weir.call('PATCH', '/v1/hosts/alpha', { labels: { epoch: 'two' } });
  const entry = await published(
    'the change',
    'weir.v1.cfg.host.alpha',
    ({ document }) => Number(document.revision) === body.revision,
  );
  assert.equal(entry.document.epoch, 2n);
  assert.equal(bodyOf(entry.subject).labels.epoch, 'two');
});
