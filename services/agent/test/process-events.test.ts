// SPDX-License-Identifier: Apache-2.0
/** Events of processes as they go to the bus: what is in each, how they are numbered, what is counted as lost. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { weir_process_flags as flag, process_event } from '@weir/bpf';
import type { ProcessKind, ProcessRecord } from '@weir/bpf/process-events';
import { CapabilitiesType, ProcessPrivilegesChanged } from '@weir/proto/tetragon/capabilities_pb.js';
import type { Process } from '@weir/proto/tetragon/tetragon_pb.js';
import {
  Kind,
  type ProcessBatch,
  ProcessBatchSchema,
  type ProcessEvent,
  ProcessEventSchema,
} from '@weir/proto/weir/process/v1/process_pb.js';
import type { SpoolBatch } from '../src/events/segment.ts';
import { execIdOf, ProcessCache } from '../src/processes/cache.ts';
import { EVENT_TEXT_MAX, ProcessEventBytes } from '../src/processes/event-bytes.ts';
import { ProcessEvents } from '../src/processes/events.ts';
import { unitOf } from '../src/processes/units.ts';
import { ProcessAccounts } from '../src/report/process-accounts.ts';
import { StateFile } from '../src/state-file.ts';

const NONE = process_event.decode(Buffer.alloc(process_event.size));
const CONTAINER = '0123456789abcdef'.repeat(4);
const HOST_NS = new Set([4_026_531_840]);

interface Said {
  readonly binary?: string;
  readonly args?: Buffer;
  readonly env?: Buffer;
}

const record = (kind: ProcessKind, facts: Partial<process_event>, said: Said = {}): ProcessRecord => ({
  kind,
  facts: { ...NONE, ...facts },
  binary: Buffer.from(said.binary ?? ''),
  cwd: Buffer.from('/srv'),
  args: said.args ?? Buffer.alloc(0),
  env: said.env ?? Buffer.alloc(0),
  isIncomplete: false,
});

const told = () => {
  const cache = new ProcessCache({
    host: 'a',
    clockOffsetNs: () => 1_000_000_000n,
    places: {
      cgroupPath: () => `/system.slice/docker-${CONTAINER}.scope`,
      unit: unitOf,
      workload: () => 'prod.web',
    },
  });
  const bytes = new ProcessEventBytes(HOST_NS);
  return (one: ProcessRecord, isInInitTree?: boolean): ProcessEvent => {
    const known = cache.take(one);
    assert.ok(known);
    const encoded = bytes.encode(one, known, cache.byId(known.parentExecId), 77n, isInInitTree);
    const event = fromBinary(ProcessEventSchema, encoded);
    // nothing in it that the codec does not know
    assert.deepEqual(fromBinary(ProcessEventSchema, toBinary(ProcessEventSchema, event)), event);
    return event;
  };
};

const processOf = ({ event }: ProcessEvent): Process => {
  const about = event?.event.value;
  assert.ok(about && 'process' in about && about.process);
  return about.process;
};

test('the begin of an image tells all of it, and who its parent is', () => {
  const tell = told();
  tell(record('seen', { pid: 1, exec_ns: 5n, flags: flag.PROCESS_OLD }, { binary: '/sbin/init' }));
  const fork = tell(
    record('fork', {
      pid: 7,
      exec_ns: 20n,
      start_ns: 20n,
      parent_pid: 1,
      parent_exec_ns: 5n,
      flags: flag.PROCESS_CLONE,
    }),
  );
  assert.deepEqual([fork.kind, processOf(fork).flags, processOf(fork).binary], [Kind.FORK, 'clone', '/sbin/init']);
  const exec = tell(
    record(
      'exec',
      {
        ...{ pid: 7, tid: 7, own_pid: 3, exec_ns: 30n, start_ns: 20n, parent_pid: 1, parent_exec_ns: 5n },
        ...{ uid: 1000, euid: 0, auid: 1000, suid: 0, inode: 99n, links: 0 },
        ...{ cap_effective: 0b10_0000_0000_0011n, ns_net: 4_026_531_840, ns_mnt: 4_026_532_000 },
        flags: flag.PROCESS_SETUID | flag.PROCESS_RAISED | flag.PROCESS_ROOT_CWD,
      },
      {
        binary: '/usr/bin/cat',
        args: Buffer.from('cat\0/etc/shadow\0a b\0\0'),
        env: Buffer.from('HOME=/root\0odd\0'),
      },
    ),
    true,
  );
  assert.deepEqual(
    [exec.timeNs, exec.kind, exec.execNs, exec.pid, exec.parentExecNs, exec.parentPid, exec.ownPid],
    [77n, Kind.EXEC, 30n, 7, 5n, 1, 3],
  );
  assert.deepEqual([exec.workload, exec.unitKind, exec.unit], ['prod.web', 'container', CONTAINER]);
  assert.equal(exec.rawArguments.length, 0);
  const process = processOf(exec);
  assert.deepEqual(
    [process.execId, process.parentExecId, process.binary, process.arguments, process.flags, process.cwd],
    [execIdOf('a', 30n, 7), execIdOf('a', 5n, 1), '/usr/bin/cat', '/etc/shadow "a b" ', 'execve clone rootcwd', '/srv'],
  );
  assert.deepEqual(
    [process.uid, process.auid, process.docker, process.inInitTree],
    [0, 1000, CONTAINER.slice(0, 15), true],
  );
  assert.deepEqual(process.cap?.effective, [
    CapabilitiesType.CAP_CHOWN,
    CapabilitiesType.DAC_OVERRIDE,
    CapabilitiesType.CAP_NET_RAW,
  ]);
  assert.deepEqual([process.ns?.net?.isHost, process.ns?.mnt?.isHost, process.ns?.uts], [true, false, undefined]);
  assert.deepEqual([process.processCredentials?.uid, process.processCredentials?.suid], [1000, 0]);
  const { setuid, setgid, privilegesChanged, file } = process.binaryProperties ?? {};
  assert.deepEqual(
    [setuid, setgid, privilegesChanged, file?.inode?.number, file?.inode?.links],
    [0, undefined, [ProcessPrivilegesChanged.PRIVILEGES_RAISED_EXEC_FILE_SETUID], 99n, 0],
  );
  assert.deepEqual(
    process.environmentVariables.map(({ key, value }) => [key, value]),
    [
      ['HOME', '/root'],
      ['odd', ''],
    ],
  );
  assert.equal(exec.event?.event.case === 'processExec' && exec.event.event.value.parent?.binary, '/sbin/init');
});

test('an end tells how, and of whom, also when the begin was not told', () => {
  const tell = told();
  tell(record('exec', { pid: 9, exec_ns: 1n }, { binary: '/bin/sleep', args: Buffer.from('sleep\x001\0') }));
  const killed = tell(record('exit', { pid: 9, exec_ns: 1n, exit_code: 9 }));
  assert.equal(killed.event?.event.case, 'processExit');
  const exit = killed.event?.event.case === 'processExit' ? killed.event.event.value : undefined;
  assert.deepEqual([exit?.signal, exit?.status, exit?.process?.arguments], ['SIGKILL', 0, '1']);
  // what only the begin of an image tells is not told again
  assert.equal(exit?.process?.ns, undefined);
  const unknown = tell(record('exit', { pid: 10, exec_ns: 2n, exit_code: 0x300 }));
  const other = unknown.event?.event.case === 'processExit' ? unknown.event.event.value : undefined;
  assert.deepEqual([other?.status, other?.process?.flags, other?.process?.pid], [3, 'execve miss', 10]);
});

test('arguments that are no UTF-8 stay whole; those that are too many are cut, and say so', () => {
  const tell = told();
  const bytes = Buffer.concat([Buffer.from('cat\0'), Buffer.from([0xff, 0x1b, 0x5b, 0x32, 0x4a]), Buffer.from('\0')]);
  const odd = tell(record('exec', { pid: 2, exec_ns: 2n }, { binary: '/bin/cat', args: bytes }));
  assert.equal(processOf(odd).arguments, '\ufffd\u001b[2J');
  assert.deepEqual(Buffer.from(odd.rawArguments), bytes);
  const much = tell(record('exec', { pid: 3, exec_ns: 3n }, { args: Buffer.from(`a\0${'b'.repeat(1 << 20)}\0`) }));
  assert.match(processOf(much).flags, /truncArgs/);
  assert.equal(processOf(much).arguments.length, EVENT_TEXT_MAX - 2);
});

test('batches: numbers follow one another, what waits is sent at the end', async () => {
  const batches: SpoolBatch[] = [];
  const events = new ProcessEvents({
    ...{ boot: 5n, firstSeq: 1n, onTrouble: assert.fail },
    onBatch: async (batch) => void batches.push(batch),
  });
  const event = toBinary(ProcessEventSchema, fromBinary(ProcessEventSchema, Buffer.from([16, 1])));
  const all = [events.add(Array(1_500).fill(event)), events.add([event])];
  assert.equal(events.nextSeq, 1_502n);
  await events.stop();
  await Promise.all(all);
  const read: ProcessBatch[] = batches.map(({ bytes }) => fromBinary(ProcessBatchSchema, bytes));
  assert.deepEqual(
    read.map((batch, at) => [batch.boot, batch.firstSeq, batch.events.length, batches[at]?.count]),
    [
      [5n, 1n, 1_000, 1_000],
      [5n, 1_001n, 501, 501],
    ],
  );
  const last = events.add([event]);
  await last;
  assert.equal(batches.at(-1)?.firstSeq, 1_502n);
});

test('what the ring lost is told once, by the agent that runs then', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-process-accounts-'));
  try {
    const stateFile = await StateFile.open(join(dir, 'state.json'));
    const counters = { exec: 100n, lost_exec: 3n, lost_exit: 4n, lost_data: 50n };
    const made = () =>
      new ProcessAccounts({ stateFile, counters: () => counters, nextSeq: () => 11n, spool: () => ({}) as never });
    const first = made();
    const account = first.read();
    assert.deepEqual([account.produced, account.lostRing, account.lostByKind], [17n, 7n, { exec: 3n, exit: 4n }]);
    await first.told(account);
    counters.lost_exit = 6n; // while nobody ran
    assert.deepEqual(made().read().lostByKind, { exec: 0n, exit: 2n });
    counters.lost_exec = 1n; // maps were made anew
    assert.equal(made().read().lostByKind.exec, 1n);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
