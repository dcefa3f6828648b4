// SPDX-License-Identifier: Apache-2.0
/** Loss is counted, gaps are shown, watermarks move past what will never come, and names survive a restart. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { subjects } from '@weir/bus';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { saveDeadLetter } from '../src/store/dead-letters.ts';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchOf, flowInit } from './support/flows.ts';

let service: TestService;

before(async () => {
  service = await startService();
});
after(() => service?.stop());

interface Account {
  readonly host: string;
  readonly runs: number;
  readonly produced: number;
  readonly stored: number;
  readonly lost: {
    readonly throttle: number;
    readonly ring: number;
    readonly spool: number;
    readonly dead_letter: number;
  };
  readonly on_its_way: number;
  readonly watermark: { readonly boot: number; readonly seq: number | null; readonly age_s: number | null };
  readonly gaps: readonly { readonly boot: number; readonly first: number; readonly last: number }[];
}

const account = async (host: string): Promise<Account | undefined> =>
  (await service.get(`/v1/accounting?host=${host}`)).body.items[0];

const placesOf = ({ produced, stored, lost, on_its_way }: Account) => ({ produced, stored, ...lost, on_its_way });

interface Counts {
  readonly boot?: number;
  readonly produced: number;
  readonly lostRing?: number;
  readonly lostSpool?: number;
  readonly lostThrottle?: number;
  readonly committedSeq?: number;
}

const heartbeat = (host: string, { boot = BOOT, ...counts }: Counts, spooledBoots: readonly number[] = []): void => {
  const flows = Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, BigInt(value)]));
  service.bus.nc.publish(
    subjects.hb.build({ host }),
    subjects.hb.encode({ boot: BigInt(boot), flows: flows as never, spooledBoots: spooledBoots.map(BigInt) }),
  );
};

const watermark = async (host: string, query = '') =>
  (await service.get(`/v1/watermarks?host=${host}${query}`)).body.items[0];

test('what an agent produced and lost stands beside what is stored', async () => {
  heartbeat('h1', { produced: 1_000, lostRing: 40, lostSpool: 0 });
  await service.sendFlows('h1', 1, 960);
  await until('both are known', async () => {
    const item = await watermark('h1');
    return item?.stored === 960 && item.produced === 1_000;
  });
  const item = await watermark('h1');
  assert.equal(item.produced, item.stored + item.lost_ring + item.lost_spool);
  assert.deepEqual([item.boot, item.committed_seq, item.gaps], [BOOT, 960, []]);
  assert.ok(Date.parse(item.committed_at) > Date.now() - 60_000);
  // Heartbeats may overtake each other; counters only rise.
  heartbeat('h1', { produced: 500 });
  await sleep(1_500);
  assert.equal((await watermark('h1')).produced, 1_000);
});

test('a gap holds the watermark until the agent says in its place that it is lost', async () => {
  const seen: bigint[] = [];
  const subscription = service.bus.nc.subscribe(subjects.wm.build({ host: 'gap' }), {
    callback: (_error, msg) => {
      seen.push(subjects.wm.decode(msg.data).seq);
    },
  });
  await service.sendFlows('gap', 1, 100);
  await service.sendFlows('gap', 201, 100);
  await until('stored', async () => (await service.stored('gap')) === 200);
  heartbeat('gap', { produced: 300 });
  await until('shown', async () => (await watermark('gap'))?.gaps.length === 1);
  assert.deepEqual((await watermark('gap')).gaps, [{ first: 101, last: 200 }]);
  assert.equal((await watermark('gap')).committed_seq, 100);
  await until('told', () => seen.includes(100n));
  assert.ok(!seen.some((seq) => seq > 100n));
  // That it lost as many somewhere explains no gap here.
  heartbeat('gap', { produced: 300, lostSpool: 100 });
  await sleep(1_500);
  assert.equal((await watermark('gap')).committed_seq, 100);
  const [from, to] = [Date.now() - 5_000, Date.now() - 1_000];
  const ns = (ms: number) => BigInt(ms) * 1_000_000n;
  // Two of the missing hundred were refused and are there after all; three more refused ones are lost.
  const shed = { refused: 3n, fromNs: ns(from), toNs: ns(to) };
  const flows = [
    { ...flowInit(110), skipped: 9n },
    { ...flowInit(120), skipped: 9n },
  ];
  const sparse = toBinary(
    FlowBatchSchema,
    create(FlowBatchSchema, { boot: BigInt(BOOT), firstSeq: 101n, endSeq: 151n, flows, shed }),
  );
  const rest = toBinary(FlowBatchSchema, create(FlowBatchSchema, { boot: BigInt(BOOT), firstSeq: 151n, endSeq: 201n }));
  await service.send('gap', rest, `gap:${BOOT}:151`);
  await service.send('gap', sparse, `gap:${BOOT}:101`);
  await until('passed', () => seen.includes(300n));
  const item = await watermark('gap');
  assert.deepEqual([item.committed_seq, item.stored, item.gaps], [300, 202, []]);
  assert.deepEqual(item.losses, [
    { first: 101, last: 200, lost: 98, refused: 3, from: new Date(from).toISOString(), to: new Date(to).toISOString() },
  ]);
  const { rows } = await service.pool.query(
    "select seq::int4 from flows join hosts h on h.id = host_id where h.name = 'gap' and seq between 101 and 200 order by 1",
  );
  assert.deepEqual(
    rows.map(({ seq }) => seq),
    [110, 120],
  );
  subscription.unsubscribe();
});

test('a gap that is filled late is stored, and closes', async () => {
  await service.sendFlows('late', 1, 100);
  await service.sendFlows('late', 301, 100);
  await service.sendFlows('late', 201, 100);
  await service.sendFlows('late', 101, 100);
  await until('stored', async () => (await service.stored('late')) === 400);
  const item = await watermark('late');
  assert.deepEqual([item.committed_seq, item.gaps], [400, []]);
});

test('a store that lost its memory goes on where the agent let go', async () => {
  await service.sendFlows('forgot', 50_001, 100);
  await until('stored', async () => (await service.stored('forgot')) === 100);
  assert.equal((await watermark('forgot')).committed_seq, null);
  heartbeat('forgot', { produced: 50_100, committedSeq: 50_000 });
  await until('settled', async () => (await watermark('forgot')).committed_seq === 50_100);
});

test('runs of an agent are counted apart; watermarks of older ones are said too', async () => {
  const seen = new Set<string>();
  const subscription = service.bus.nc.subscribe(subjects.wm.build({ host: 'reboot' }), {
    callback: (_error, msg) => {
      const { boot, seq } = subjects.wm.decode(msg.data);
      seen.add(`${boot}:${seq}`);
    },
  });
  await service.sendFlows('reboot', 1, 50);
  await service.sendFlows('reboot', 1, 70, { boot: BOOT + 60_000 });
  await until('stored', async () => (await service.stored('reboot')) === 120);
  seen.clear();
  heartbeat('reboot', { boot: BOOT + 60_000, produced: 70 });
  await until('both', () => seen.has(`${BOOT}:50`) && seen.has(`${BOOT + 60_000}:70`));
  assert.equal((await watermark('reboot')).boot, BOOT + 60_000, 'the newest run');
  const all = (await service.get('/v1/watermarks?host=reboot&boots=all')).body.items;
  assert.deepEqual(
    all.map(({ boot, stored }: { boot: number; stored: number }) => [boot, stored]),
    [
      [BOOT + 60_000, 70],
      [BOOT, 50],
    ],
  );
  subscription.unsubscribe();
});

test('a heartbeat that is no heartbeat changes nothing', async () => {
  service.bus.nc.publish(subjects.hb.build({ host: 'h1' }), Buffer.from('junk'));
  service.bus.nc.publish(
    subjects.hb.build({ host: 'h1' }),
    subjects.hb.encode({ boot: 2n ** 60n, flows: { produced: 1n } as never }),
  );
  await sleep(1_300);
  assert.equal((await watermark('h1', '&boots=all')).boot, BOOT);
});

test('names come from signed configuration only, hold as of the time of a flow, and survive a restart', async () => {
  const workload = (id: string, name: string, ip4: string) =>
    service.publishConfig('workload', id, {
      case: 'workload',
      value: { id, hostId: 'h1', name, namespace: 'prod', identity: 256, ip4, ip6: '' } as never,
    });
  const nameOf = async (host: string): Promise<string | null> =>
    (await service.get(`/v1/flows?host=${host}&is_reply=false&limit=1`)).body.items[0]?.source.workload ?? null;
  await workload('prod.old', 'old', '10.1.0.1');
  // Unsigned, and signed by somebody else: not believed.
  await service.bus.js.publish('weir.v1.cfg.workload.prod%2Eevil', Buffer.from('junk'));
  await service.send('names1', batchOf(50, 1, Date.now() - 10_000), `names1:${BOOT}:50`);
  await until('named', async () => (await nameOf('names1')) === 'old');
  await service.publishConfig('workload', 'prod.old', undefined);
  await sleep(300);
  await workload('prod.new', 'new', '10.1.0.1');
  await sleep(300);
  await service.send('names2', batchOf(50, 1, Date.now()), `names2:${BOOT}:50`);
  await until('named', async () => (await nameOf('names2')) === 'new');
  assert.equal(await nameOf('names1'), 'old');
  await service.restart();
  assert.equal(await nameOf('names1'), 'old');
  assert.equal(await nameOf('names2'), 'new');
  const { body } = await service.get('/v1/flows?workload=prod/old&host=names1&host=names2');
  assert.deepEqual(
    body.items.map(({ host }: { host: string }) => host),
    ['names1'],
  );
  const { rows } = await service.pool.query(
    "select workload_at('10.1.0.1', now()) as now, workload_at('10.1.0.1', now() - interval '10 s') as before",
  );
  assert.deepEqual(rows[0], { now: 'prod/new', before: 'prod/old' });
});

test('what was removed while the service was away is removed when it is back', async () => {
  await service.publishConfig('workload', 'prod.gone', {
    case: 'workload',
    value: {
      id: 'prod.gone',
      hostId: 'h1',
      name: 'gone',
      namespace: 'prod',
      identity: 256,
      ip4: '10.9.0.9',
      ip6: '',
    } as never,
  });
  const removed = async (): Promise<Date | null | undefined> =>
    (await service.pool.query("select removed_at from workload_addresses where workload_id = 'prod.gone'")).rows[0]
      ?.removed_at;
  await until('known', async () => (await removed()) === null);
  await service.app.close();
  await service.publishConfig('workload', 'prod.gone', undefined);
  await service.restart();
  await until('removed', async () => (await removed()) instanceof Date);
});

test('every flow of every run is at one place: stored, lost here or there, or on its way', async () => {
  const host = 'places';
  const settled = (what: string, wanted: ReturnType<typeof placesOf>) => {
    let seen = '';
    return until(
      () => `${what}: ${seen}`,
      async () => {
        const found = await account(host);
        seen = JSON.stringify(found);
        return found !== undefined && JSON.stringify(placesOf(found)) === JSON.stringify(wanted);
      },
    );
  };
  await service.sendFlows(host, 1, 50);
  // Can be read, but holds what no flow has: set aside, and its five flows are counted.
  await service.sendFlows(host, 51, 5, { over: { sourceIp: new Uint8Array(7) } });
  heartbeat(host, { produced: 130, lostThrottle: 30, lostRing: 20, lostSpool: 5 });
  const lost = { throttle: 30, ring: 20, spool: 5, dead_letter: 5 };
  await settled('one run', { produced: 130, stored: 50, ...lost, on_its_way: 20 });

  // Delivered again after the bus forgot that it was: another letter, the same flows.
  const { rows } = await service.pool.query('select * from dead_letters where host = $1', [host]);
  assert.equal(rows.length, 1);
  await saveDeadLetter(service.pool, {
    ...{ host, subject: rows[0].subject, messageId: rows[0].message_id, reason: 'again', payload: rows[0].payload },
    ...{ streamSeq: 1_000_000, deliveries: 1, kind: 'flow', events: { boot: BOOT, count: 5 } },
  });
  await settled('the same letter', { produced: 130, stored: 50, ...lost, on_its_way: 20 });

  const boot = BOOT + 1;
  await service.sendFlows(host, 1, 10, { boot });
  heartbeat(host, { boot, produced: 10 }, [BOOT]);
  await settled('two runs', { produced: 140, stored: 60, ...lost, on_its_way: 20 });
  await service.sendFlows(host, 56, 15);
  await settled('late ones of the first', { produced: 140, stored: 75, ...lost, on_its_way: 5 });
  const found = await account(host);
  assert.deepEqual([found?.runs, found?.watermark.boot, found?.watermark.seq], [2, boot, 10]);
  assert.deepEqual(found?.gaps, [{ boot: BOOT, first: 51, last: 55 }]);
  assert.ok(found?.watermark.age_s !== null);
  // The spool has nothing of the first run any more: the rest will not come.
  heartbeat(host, { boot, produced: 10 });
  await settled('given up', {
    produced: 140,
    stored: 75,
    throttle: 30,
    ring: 20,
    spool: 10,
    dead_letter: 5,
    on_its_way: 0,
  });
  assert.equal((await account(host))?.watermark.age_s, 0);

  const metrics = await (await fetch(`${service.app.http}/metrics`)).text();
  assert.match(metrics, /^weir_analytics_accounted_produced\{host="places",kind="flow"\} 140$/m);
  for (const [place, count] of Object.entries({ stored: 75, ring: 20, spool: 10, dead_letter: 5, on_its_way: 0 })) {
    assert.match(
      metrics,
      new RegExp(`^weir_analytics_accounted_flows\\{host="places",kind="flow",place="${place}"\\} ${count}$`, 'm'),
    );
  }
  assert.match(metrics, /^weir_analytics_watermark_age_seconds\{host="places",kind="flow"\} 0$/m);
});
