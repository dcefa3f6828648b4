// SPDX-License-Identifier: Apache-2.0
/** Events of processes: stored once, accounted for beside flows, kept for as long as is asked. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { subjects } from '@weir/bus';
import { ProcessEventSchema } from '@weir/proto/weir/process/v1/process_pb.js';
import { ProcessReader } from '../src/domain/process-reader.ts';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT } from './support/flows.ts';
import { execEvent, execIdOf, exitEvent, processBatch, sendProcesses } from './support/processes.ts';

const INIT = { pid: 1, execNs: 10, binary: '/sbin/init' };
const CAT = { pid: 7, execNs: 30, binary: '/usr/bin/cat', arguments: '/etc/shadow', uid: 33, parent: INIT };

let service: TestService;
before(async () => {
  service = await startService();
});
after(() => service?.stop());

// biome-ignore lint/suspicious/noExplicitAny: rows of any shape
const rowsOf = async (host: string): Promise<any[]> =>
  (await service.pool.query('select * from process_records where host = $1 order by boot, seq', [host])).rows;

const accountOf = async (host: string) => {
  const { items } = (await service.get(`/v1/accounting?host=${host}`)).body;
  return items.find(({ kind }: { kind: string }) => kind === 'process');
};

test('the reader finds what the codec does', () => {
  const reader = new ProcessReader();
  const [exec, exit] = [
    execEvent('h', CAT, { workload: 'prod.web', unitKind: 'service', unit: 'web.service', verdict: 2, skipped: 3n }),
    exitEvent('h', CAT, { signal: 'SIGKILL' }),
  ];
  reader.open(processBatch(1, [exec, exit]));
  assert.ok(reader.next());
  assert.deepEqual(
    [reader.timeNs, reader.kind, reader.execNs, reader.pid, reader.parentExecNs, reader.parentPid, reader.type],
    [exec.timeNs, 1, 30n, 7, 10n, 1, 1],
  );
  assert.deepEqual(
    [reader.workload, reader.unitKind, reader.unit, reader.verdict, reader.skipped],
    ['prod.web', 'service', 'web.service', 2, 3],
  );
  assert.deepEqual([reader.uid, reader.binary, reader.arguments], [33, '/usr/bin/cat', '/etc/shadow']);
  assert.equal(fromBinary(ProcessEventSchema, reader.event).event?.event.case, 'processExec');
  assert.ok(reader.next());
  assert.deepEqual([reader.kind, reader.type, reader.verdict, reader.workload], [3, 5, 0, '']);
  assert.ok(!reader.next());
});

test('stored once, told by a watermark of their own, whatever bytes they have', async () => {
  const marks: string[] = [];
  service.bus.nc.subscribe(subjects.wm.build({ host: 'h1' }), {
    callback: (_, { data }) => {
      const { kind, seq } = subjects.wm.decode(data);
      marks.push(`${kind}:${seq}`);
    },
  });
  await service.bus.nc.flush();
  const odd = { pid: 8, execNs: 40, parent: INIT, binary: '/tmp/\u001b[2J\0x', arguments: '\ufffd' };
  const events = [
    execEvent('h1', INIT),
    execEvent('h1', CAT),
    execEvent('h1', odd, { verdict: 2 }),
    exitEvent('h1', CAT),
  ];
  await sendProcesses(service, 'h1', 1, processBatch(1, events));
  // The same numbers in another message, and one more.
  await sendProcesses(service, 'h1', 2, processBatch(2, [...events.slice(1), exitEvent('h1', INIT, { status: 3 })]));
  await service.sendFlows('h1', 1, 10);
  await until('all are stored', async () => (await rowsOf('h1')).length === 5);
  await until('each kind has its mark', () => marks.includes('process:5') && marks.includes('flow:10'));
  const rows = await rowsOf('h1');
  assert.deepEqual(
    rows.map(({ seq, kind, pid, binary_path }) => [Number(seq), kind, pid, binary_path]),
    [
      [1, 'EXEC', 1, '/sbin/init'],
      [2, 'EXEC', 7, '/usr/bin/cat'],
      [3, 'EXEC', 8, '/tmp/\u001b[2J\ufffdx'],
      [4, 'EXIT', 7, '/usr/bin/cat'],
      [5, 'EXIT', 1, '/sbin/init'],
    ],
  );
  assert.deepEqual(
    [rows[1].exec_id, rows[1].parent_exec_id, Number(rows[1].uid), rows[1].arguments],
    [execIdOf('h1', CAT), execIdOf('h1', INIT), 33, '/etc/shadow'],
  );
  assert.deepEqual([rows[0].parent_exec_id, rows[2].verdict], [null, 'DROPPED']);
});

test('what becomes of each is accounted for, apart from flows', async () => {
  const counts = (produced: number) => ({ produced: BigInt(produced), lostRing: 5n, nextSeq: 21n });
  service.bus.nc.publish(
    subjects.hb.build({ host: 'h2' }),
    subjects.hb.encode({ boot: BigInt(BOOT), flows: { produced: 7n }, processes: counts(25) }),
  );
  const events = Array.from({ length: 4 }, (_, at) => execEvent('h2', { ...CAT, execNs: at + 1 }));
  await sendProcesses(service, 'h2', 1, processBatch(1, events));
  // The spool had to shed: 6 to 15 are lost but for one that was refused.
  const kept = execEvent('h2', CAT, { verdict: 2, skipped: 4n });
  await sendProcesses(service, 'h2', 6, processBatch(6, [kept], { endSeq: 16n, shed: { refused: 0n } }));
  // Never a batch of this kind: set aside with what it holds.
  await sendProcesses(service, 'h2', 16, processBatch(16, [{ kind: 0 }, { kind: 0 }]));
  const wanted = { throttle: 0, ring: 5, spool: 9, dead_letter: 2 };
  await until('it adds up', async () => {
    const account = await accountOf('h2');
    return (
      account?.produced === 25 && account.stored === 5 && account.lost.spool === 9 && account.lost.dead_letter === 2
    );
  });
  const account = await accountOf('h2');
  assert.deepEqual([account.lost, account.on_its_way], [wanted, 25 - 5 - 16]);
  assert.deepEqual(
    account.gaps.map(({ first, last }: { first: number; last: number }) => [first, last]),
    [[5, 5]],
  );
  const { items } = (await service.get('/v1/accounting?host=h2')).body;
  assert.deepEqual(
    items.map(({ kind, produced }: { kind: string; produced: number }) => [kind, produced]),
    [
      ['flow', 7],
      ['process', 25],
    ],
  );
});

test('they are dropped whole when they are too old, and times that are far off lose nothing', async () => {
  const HOUR_MS = 3_600_000;
  const old = Date.now() - 100 * HOUR_MS;
  const times = [old, 1_000, Date.now() + 100 * HOUR_MS];
  const events = times.map((timeMs, at) => execEvent('h3', { ...CAT, execNs: at + 1 }, {}, timeMs));
  await sendProcesses(service, 'h3', 1, processBatch(1, events));
  await until('all are stored', async () => (await rowsOf('h3')).length === 3);
  await service.app.maintain(Date.now() + 69 * HOUR_MS);
  assert.deepEqual(
    (await rowsOf('h3')).map(({ seq }) => Number(seq)),
    [3],
  );
});
