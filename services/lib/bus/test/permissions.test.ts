// SPDX-License-Identifier: Apache-2.0
/** What a host's credential can do on a real broker with our configuration, and that everything it needs works. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PermissionViolationError } from '@nats-io/nats-core';
import {
  agentInbox,
  agentPermissions,
  type Bus,
  callAgent,
  configSubject,
  configWatcher,
  connectBus,
  createKeys,
  createSigner,
  ensureStreams,
  hostSnapshotConsumer,
  natsServerConfig,
  publishAck,
  publishEvents,
  publishTo,
  readLease,
  rpcSubject,
  type Service,
  STREAM,
  serveAgent,
  serviceInbox,
  servicePermissions,
  serviceSnapshotConsumer,
  signDocument,
  streamConfigs,
  subjects,
  writeLease,
} from '../src/index.ts';
import { startTestNats, type TestNats } from '../src/testing.ts';

const SERVICES: readonly Service[] = ['inventory', 'policy', 'analytics'];
const HOSTS = ['a', 'b', 'policy'] as const;
const userKeys = Object.fromEntries(
  [...SERVICES.map((name) => `svc-${name}`), ...HOSTS].map((name) => [name, createKeys('user')]),
);
const signing = createKeys('account');
const signer = createSigner(signing.seed);
let nats: TestNats;
const open: Bus[] = [];
const violations: string[] = [];

const keysFor = (name: string) => {
  const keys = userKeys[name];
  assert.ok(keys);
  return keys;
};
const asService = async (name: Service): Promise<Bus> => {
  const bus = await connectBus({
    servers: nats.url,
    name,
    nkeySeed: keysFor(`svc-${name}`).seed,
    inboxPrefix: serviceInbox(name),
    onStatus: (status) => {
      if (status.type === 'error') violations.push(`${name}: ${status.error.message}`);
    },
  });
  open.push(bus);
  return bus;
};
const asHost = async (host: string): Promise<Bus & { denied: Error[] }> => {
  const denied: Error[] = [];
  const bus = await connectBus({
    servers: nats.url,
    name: host,
    nkeySeed: keysFor(host).seed,
    inboxPrefix: agentInbox(host),
    onStatus: (status) => {
      if (status.type === 'error') denied.push(status.error);
    },
  });
  open.push(bus);
  return { ...bus, denied };
};

before(async () => {
  const users = [
    ...SERVICES.map((name) => ({
      name,
      publicKey: keysFor(`svc-${name}`).publicKey,
      permissions: servicePermissions(name),
    })),
    ...HOSTS.map((name) => ({ name, publicKey: keysFor(name).publicKey, permissions: agentPermissions(name) })),
  ];
  nats = await startTestNats({ config: natsServerConfig({ users }) });
});
after(async () => {
  await Promise.all(open.map((bus) => bus.close()));
  await nats.stop();
});

test('nobody comes in without a credential', async () => {
  await assert.rejects(connectBus({ servers: nats.url, name: 'x' }), { code: 'UNAUTHENTICATED' });
  await assert.rejects(connectBus({ servers: nats.url, name: 'x', nkeySeed: createKeys('user').seed }), {
    code: 'UNAUTHENTICATED',
  });
});

test('a host does all it must: snapshot, following, events, acks, heartbeats, watermarks, calls', async () => {
  const policy = await asService('policy');
  const inventory = await asService('inventory');
  const analytics = await asService('analytics');
  await ensureStreams(policy.jsm);
  const document = (key: string, revision: bigint) => {
    const subject = configSubject('policy', key);
    return signDocument(signer, {
      subject,
      epoch: 1n,
      revision,
      publisher: 'policy',
      body: { case: 'policy', value: { key } },
    });
  };
  await publishTo(policy.js, STREAM.CONFIG, configSubject('policy', 'x/y/z'), document('x/y/z', 1n), '1');
  const host = await asHost('a');
  const heard: string[] = [];
  const watch = (bus: Bus, inboxPrefix: string, consumer: string) =>
    configWatcher({
      ...bus,
      trustedKeys: [signing.publicKey],
      inboxPrefix,
      consumer,
      onReset: (entries) => void heard.push(...entries.map(({ key }) => key)),
      onChange: ({ key }) => void heard.push(key),
      onError: (error) => assert.fail(String(error)),
    });
  const watcher = watch(host, agentInbox('a'), hostSnapshotConsumer('a'));
  const own = watch(inventory, serviceInbox('inventory'), serviceSnapshotConsumer('inventory'));
  await Promise.all([watcher.ready, own.ready]);
  assert.deepEqual(heard, ['x/y/z', 'x/y/z']);
  await publishTo(policy.js, STREAM.CONFIG, configSubject('policy', 'k'), document('k', 2n), '2');

  const beats: string[] = [];
  inventory.nc.subscribe(subjects.hb.wildcard, { callback: (_, msg) => void beats.push(msg.subject) });
  await inventory.nc.flush();
  host.nc.publish(subjects.hb.build({ host: 'a' }), subjects.hb.encode({ boot: 1n }));
  await publishEvents(host.js, subjects.evtFlow.build({ host: 'a' }), subjects.evtFlow.encode({ boot: 1n }), 'a:1:0');
  const again = await publishEvents(
    host.js,
    subjects.evtFlow.build({ host: 'a' }),
    subjects.evtFlow.encode({ boot: 1n }),
    'a:1:0',
  );
  assert.equal(again.duplicate, true);
  await publishAck(host.js, subjects.ack.build({ host: 'a' }), subjects.ack.encode({ boot: 1n }), 'a:1:ack');

  const marks: bigint[] = [];
  host.nc.subscribe(subjects.wm.build({ host: 'a' }), {
    callback: (_, msg) => void marks.push(subjects.wm.decode(msg.data).seq),
  });
  await host.nc.flush();
  analytics.nc.publish(subjects.wm.build({ host: 'a' }), subjects.wm.encode({ seq: 7n }));
  const served = serveAgent(host.nc, 'a', { echo: async (body) => body });
  await host.nc.flush();
  assert.deepEqual([...(await callAgent(inventory.nc, 'a', 'echo', new Uint8Array([1, 2])))], [1, 2]);
  await assert.rejects(callAgent(inventory.nc, 'a', 'nothing'), { code: 'NOT_FOUND' });
  await assert.rejects(callAgent(inventory.nc, 'b', 'echo', undefined, 500), { code: 'UNAVAILABLE' });
  await sleep(50);
  assert.deepEqual([heard.slice(2), beats, marks], [['k', 'k'], ['weir.v1.hb.a'], [7n]]);
  assert.deepEqual(host.denied, []);
  assert.deepEqual(violations, []);
  served.stop();
  await Promise.all([watcher.stop(), own.stop()]);
});

test('of hosts that want a lease one gets it, and it is renewed only over what was read', async () => {
  const [a, b] = [await asHost('a'), await asHost('b')];
  const inventory = await asService('inventory');
  await ensureStreams(inventory.jsm);
  assert.equal(await readLease(a, 'shop.web'), undefined);
  const lease = (holder: string, renewals: bigint) => ({ holder, renewals, durationMs: 15_000 });
  const [first, second] = await Promise.all([
    writeLease(a, 'shop.web', lease('a', 1n), 0),
    writeLease(b, 'shop.web', lease('b', 1n), 0),
  ]);
  assert.equal([first, second].filter((seq) => seq !== undefined).length, 1);
  const winner = first === undefined ? 'b' : 'a';
  const held = await readLease(inventory, 'shop.web');
  assert.deepEqual([held?.lease.holder, held?.lease.durationMs, held?.seq], [winner, 15_000, first ?? second]);
  assert.ok(Math.abs((held?.timeMs ?? 0) - Date.now()) < 60_000);
  assert.equal(await writeLease(a, 'shop.web', lease('a', 2n), 0), undefined);
  assert.ok(await writeLease(a, 'shop.web', lease('a', 2n), held?.seq ?? 0));
  assert.equal((await readLease(b, 'shop.web'))?.lease.renewals, 2n);
  assert.equal(await readLease(b, 'shop.db'), undefined);
  assert.deepEqual([a.denied, b.denied], [[], []]);
});

/** What the credential of host a must not do. */
const OTHERS_PUBLISH = [
  'weir.v1.evt.b.flow',
  'weir.v1.evt.flow',
  'weir.v1.evt',
  'weir.v1.ack.b',
  'weir.v1.ack.a.b',
  'weir.v1.hb.b',
  'weir.v1.wm.a',
  'weir.v1.wm.b',
  'weir.v1.cfg.policy.x',
  'weir.v1.cfg.host.a',
  'weir.v1.cfg.identity.1',
  'weir.v1.cfg.workload.a',
  'weir.v1.cfghb.policy',
  'weir.v1.cfghb.a',
  'weir.v1.rpc.a.echo',
  'weir.v1.rpc.b.echo',
  'weir.v1.reply.b.x',
  'weir.v1.probe',
  'weir',
  'anything',
  '_INBOX.x',
  '_INBOX_a',
  '_INBOX_b.x',
  '_INBOX_SVC_policy.x',
  '_INBOX_policy.x',
  '$SYS.REQ.ACCOUNT.PING',
  '$SYS.REQ.SERVER.PING',
  '$JS.API.INFO',
  '$JS.API.STREAM.NAMES',
  '$JS.API.STREAM.LIST',
  '$JS.ACK.WEIR_ACK.policy.1.1.1.1.1',
  '$JS.FC.WEIR_CFG.x.y',
  ...['WEIR_EVT', 'WEIR_CFG', 'WEIR_ACK', 'WEIR_LEASE', 'OTHER'].flatMap((stream) => [
    ...[
      'CREATE',
      'UPDATE',
      'DELETE',
      'PURGE',
      'INFO',
      'SNAPSHOT',
      'RESTORE',
      'MSG.GET',
      'MSG.DELETE',
      'PEER.REMOVE',
      'LEADER.STEPDOWN',
    ].map((call) => `$JS.API.STREAM.${call}.${stream}`),
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.CONSUMER.NAMES.${stream}`,
    `$JS.API.CONSUMER.LIST.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.x`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.snap-a`,
    `$JS.API.CONSUMER.CREATE.${stream}.snap-b.weir.v1.cfg.>`,
    `$JS.API.CONSUMER.CREATE.${stream}.x.weir.v1.cfg.>`,
    `$JS.API.CONSUMER.INFO.${stream}.snap-b`,
    `$JS.API.CONSUMER.DELETE.${stream}.policy`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.policy`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.snap-b`,
  ]),
];
const OTHERS_SUBSCRIBE = [
  '>',
  '*',
  '*.>',
  'weir.>',
  'weir.v1.>',
  'weir.v1.*.>',
  'weir.v1.evt.>',
  'weir.v1.evt.a.>',
  'weir.v1.evt.b.flow',
  'weir.v1.ack.*',
  'weir.v1.ack.a',
  'weir.v1.hb.*',
  'weir.v1.wm.*',
  'weir.v1.wm.b',
  'weir.v1.wm.>',
  'weir.v1.rpc.>',
  'weir.v1.rpc.b.>',
  'weir.v1.rpc.*.echo',
  'weir.v1.reply.>',
  'weir.v1.reply.a.>',
  'weir.v1.reply.b.x',
  '_INBOX.>',
  '_INBOX.*',
  '_INBOX_b.>',
  '_INBOX_policy.>',
  '_INBOX_SVC_policy.>',
  '_INBOX_SVC_inventory.*',
  '$SYS.>',
  '$JS.>',
  '$JS.API.>',
  '$JS.ACK.>',
  '$JS.EVENT.ADVISORY.>',
  '$SRV.>',
];

test(`a host's credential opens nothing else: ${OTHERS_PUBLISH.length} publishes, ${OTHERS_SUBSCRIBE.length} subscriptions`, async () => {
  const policy = await asService('policy');
  const before = await Promise.all(Object.values(STREAM).map((stream) => policy.jsm.streams.info(stream)));
  const host = await asHost('a');
  for (const subject of OTHERS_PUBLISH) host.nc.publish(subject, '{}', { reply: `${agentInbox('a')}.x` });
  await host.nc.flush();
  await sleep(100);
  const published = host.denied.splice(0).map((error) => (error as PermissionViolationError).subject);
  assert.deepEqual(
    OTHERS_PUBLISH.filter((subject) => !published.includes(subject)),
    [],
  );
  for (const subject of OTHERS_SUBSCRIBE) {
    let refused: Error | null = null;
    host.nc.subscribe(subject, {
      callback: (error) => {
        refused = error;
      },
    });
    await host.nc.flush();
    await sleep(1);
    assert.ok((refused as Error | null) instanceof PermissionViolationError, subject);
  }
  const after = await Promise.all(Object.values(STREAM).map((stream) => policy.jsm.streams.info(stream)));
  assert.deepEqual(
    after.map(({ state }) => state.messages),
    before.map(({ state }) => state.messages),
  );
  assert.deepEqual(
    after.map(({ config }) => config),
    before.map(({ config }) => config),
  );
  // And its own still works.
  await publishEvents(host.js, subjects.evtFlow.build({ host: 'a' }), subjects.evtFlow.encode({}), 'a:2:0');
});

test('a host named like a service reads nothing of it', async () => {
  const policy = await asService('policy');
  const impostor = await asHost('policy');
  let heard = 0;
  impostor.nc.subscribe(`${agentInbox('policy')}.>`, {
    callback: (error) => {
      if (!error) heard += 1;
    },
  });
  await impostor.nc.flush();
  await policy.jsm.streams.info(STREAM.CONFIG);
  await sleep(50);
  assert.equal(heard, 0);
  assert.throws(() => agentPermissions('SVC_policy'), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => agentPermissions('a.>'), { code: 'INVALID_ARGUMENT' });
});

test('an acknowledgement that another stream gave is none', async () => {
  // A host may have the broker acknowledge its event to any inbox that it guessed; the publisher looks at the stream.
  const policy = await asService('policy');
  const fake = { publish: async () => ({ stream: STREAM.EVENTS, seq: 1, duplicate: false }) } as unknown as Bus['js'];
  await assert.rejects(publishTo(fake, STREAM.CONFIG, configSubject('policy', 'k'), new Uint8Array(), '1'), {
    code: 'UNAVAILABLE',
  });
  assert.ok(policy);
});

test('subjects, streams and permissions name the same things', () => {
  const covers = (pattern: string, subject: string): boolean => {
    const [left, right] = [pattern.split('.'), subject.split('.')];
    for (const [index, token] of left.entries()) {
      if (token === '>') return right.length > index;
      if (right[index] === undefined || (token !== '*' && token !== right[index])) return false;
    }
    return left.length === right.length;
  };
  const params = { host: 'h', key: 'k', kind: 'policy', publisher: 'policy', service: 's' };
  const agent = agentPermissions('h');
  for (const [name, subject] of Object.entries(subjects)) {
    const text = (subject.build as (all: typeof params) => string)(params);
    const publishers = SERVICES.filter((service) =>
      servicePermissions(service).publish.some((pattern) => covers(pattern, text)),
    );
    const byAgent = agent.publish.some((pattern) => covers(pattern, text));
    assert.ok(byAgent || publishers.length > 0, `${name}: somebody may publish it`);
    assert.ok(!(byAgent && publishers.length > 0), `${name}: not both host and service`);
    const readers = [agent, ...SERVICES.map(servicePermissions)].filter(({ subscribe }) =>
      subscribe.some((pattern) => covers(pattern, text)),
    );
    assert.ok(readers.length > 0, `${name}: somebody may read it`);
    const streams = streamConfigs().filter((config) => config.subjects?.some((pattern) => covers(pattern, text)));
    assert.equal(
      streams.length,
      /^(evt|cfg|ack|lease)/.test(name) && name !== 'cfgHeartbeat' ? 1 : 0,
      `${name}: in one stream`,
    );
  }
  assert.ok(agent.publish.every((pattern) => !covers(pattern, rpcSubject.reply('other', 'x'))));
});
