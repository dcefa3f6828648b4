// SPDX-License-Identifier: Apache-2.0
/** What is known of processes: the tree, whose they are by their cgroup, what the local API shows. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { process_event, weir_process_flags } from '@weir/bpf';
import type { ProcessKind, ProcessRecord } from '@weir/bpf/process-events';
import { showProcess, showProcesses } from '../src/api/processes.ts';
import { execIdOf, ProcessCache } from '../src/processes/cache.ts';
import { Cgroups } from '../src/processes/cgroups.ts';
import type { ProcessPort } from '../src/processes/port.ts';
import { startProcesses } from '../src/processes/start.ts';
import { unitOf } from '../src/processes/units.ts';

const NONE = process_event.decode(Buffer.alloc(process_event.size));

const record = (
  kind: ProcessKind,
  facts: Partial<process_event>,
  { binary = '', args = [] }: { binary?: string; args?: readonly string[] } = {},
): ProcessRecord => ({
  kind,
  facts: { ...NONE, ...facts },
  binary: Buffer.from(binary),
  cwd: Buffer.from('/'),
  args: Buffer.from(args.map((arg) => `${arg}\0`).join(''), 'latin1'),
  env: Buffer.alloc(0),
  isIncomplete: false,
});

const cacheAt = (clock: { nowMs: number }): ProcessCache =>
  new ProcessCache({
    host: 'a',
    clockOffsetNs: () => 0n,
    now: () => clock.nowMs,
    places: { cgroupPath: () => '/system.slice/web.service', unit: unitOf, workload: () => undefined },
  });

test('a process is its host, the time of its image and its pid', () => {
  assert.equal(Buffer.from(execIdOf('node-1', 12_345n, 678), 'base64').toString(), 'node-1:12345:678');
});

test('the tree: images, forks, exits; the ones that ended are kept for a minute', () => {
  const clock = { nowMs: 0 };
  const cache = cacheAt(clock);
  cache.take(record('seen', { pid: 1, exec_ns: 1n }, { binary: '/sbin/init' }));
  cache.take(
    record('fork', {
      pid: 7,
      exec_ns: 20n,
      parent_pid: 1,
      parent_exec_ns: 1n,
      flags: weir_process_flags.PROCESS_CLONE,
    }),
  );
  const forked = cache.byPid(7);
  assert.deepEqual([forked?.binary.toString(), forked?.flags], ['/sbin/init', ['clone']]);
  const image = { pid: 7, exec_ns: 30n, parent_pid: 1, parent_exec_ns: 1n, previous_exec_ns: 20n };
  cache.take(record('exec', image, { binary: '/bin/sh', args: ['sh', '-c', '\xff'] }));
  cache.take(record('exec', { pid: 8, exec_ns: 40n, parent_pid: 7, parent_exec_ns: 30n }, { binary: '/bin/true' }));
  cache.take(record('exit', { pid: 7, exec_ns: 30n, exit_code: 0x8b }));
  assert.equal(cache.byPid(7), undefined);
  const child = cache.byPid(8);
  assert.ok(child);
  assert.deepEqual(
    cache.ancestors(child).map(({ binary }) => binary.toString()),
    ['/bin/sh', '/sbin/init'],
  );
  const shell = cache.byId(execIdOf('a', 30n, 7));
  assert.deepEqual(shell?.exit, { signal: 11, status: 0, dumpedCore: true, timeMs: 0 });
  const shown = showProcess(cache, execIdOf('a', 30n, 7));
  assert.deepEqual(shown.arguments, ['sh', '-c', '\ufffd']);
  assert.deepEqual(shown.unit, { kind: 'service', name: 'web.service' });
  assert.deepEqual(
    shown.children.map(({ pid }) => pid),
    [8],
  );
  assert.deepEqual([showProcesses(cache, 1).total, showProcesses(cache, 1).items.length], [4, 1]);
  clock.nowMs = 61_000;
  cache.take(record('exec', { pid: 9, exec_ns: 50n }));
  assert.equal(cache.byId(execIdOf('a', 30n, 7)), undefined);
  assert.equal(cache.running, 3);
  assert.throws(() => showProcess(cache, '7'), /no process "7" is known/);
});

test('a process that ends while /proc is still asked about it has ended', async () => {
  let hand: Parameters<ProcessPort['start']>[0]['onRecords'] = async () => {};
  const { cache } = await startProcesses({
    ...{ host: 'a', argsBytes: 100, envBytes: 0, clockOffsetNs: () => 0n, netnsOf: () => [] },
    port: {
      start: async ({ onRecords }) => {
        hand = onRecords;
        return { inspect: async () => [], counters: () => ({}), stop: async () => {} };
      },
    },
    onEvents: async () => {},
    onTrouble: assert.fail,
  });
  const facts = { pid: process.pid, exec_ns: 5n };
  await Promise.all([hand([record('seen', facts)]), hand([record('exit', { ...facts, exit_code: 0x200 })])]);
  assert.equal(cache.byPid(process.pid), undefined);
  assert.equal(cache.byId(execIdOf('a', 5n, process.pid))?.exit?.status, 2);
});

test('cgroups of engines and of systemd', () => {
  const id = '0123456789abcdef'.repeat(4);
  for (const path of [
    `/system.slice/docker-${id}.scope`,
    `/docker/${id}`,
    `/machine.slice/libpod-${id}.scope/container`,
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-${id}.scope`,
    `/kubepods/besteffort/pod1/${id}`,
    `/docker/${id}/system.slice/inner.service`,
  ])
    assert.deepEqual(unitOf(path), { kind: 'container', name: id }, path);
  assert.deepEqual(unitOf('/system.slice/nginx.service'), { kind: 'service', name: 'nginx.service' });
  const own = '/user.slice/user-0.slice/user@0.service/app.slice/a.service';
  assert.deepEqual(unitOf(own), { kind: 'service', name: 'a.service' });
  assert.deepEqual(unitOf('/user.slice/user-0.slice/session-3.scope'), { kind: 'session', name: 'session-3.scope' });
  const machine = '/machine.slice/machine-qemu\\x2d3\\x2ddebian.scope/libvirt/emulator';
  assert.deepEqual(unitOf(machine), { kind: 'machine', name: 'debian' });
  for (const path of ['', '/', '/init.scope', `/docker/${id.slice(1)}`]) assert.equal(unitOf(path), undefined, path);
});

test('the number of a cgroup is its folder’s inode; a path is known when the folder is gone', () => {
  const root = mkdtempSync(join(tmpdir(), 'weir-cgroups-'));
  try {
    let nowMs = 0;
    const cgroups = new Cgroups(root, () => nowMs);
    const ino = (path: string): bigint => statSync(join(root, path), { bigint: true }).ino;
    assert.equal(cgroups.pathOf(ino('/')), '/');
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const id = ino('a/b');
    assert.equal(cgroups.pathOf(id), '');
    nowMs = 2_000;
    assert.equal(cgroups.pathOf(id), '/a/b');
    rmSync(join(root, 'a'), { recursive: true });
    assert.equal(cgroups.pathOf(id), '/a/b');
    assert.equal(new Cgroups(undefined).pathOf(1n), '');
  } finally {
    rmSync(root, { recursive: true });
  }
});
