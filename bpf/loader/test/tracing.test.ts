// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  attachCgroup,
  attachRawTracepoint,
  attachTpBtf,
  attachTracepoint,
  attachUprobe,
  type BpfObject,
  cgroup2Mount,
  ensureBpffs,
  openObject,
  updateLink,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, own, u32 } from './helper.ts';

const skip = needKernel();
let object: BpfObject;
let folder: string;

before(async () => {
  if (skip) return;
  object = await openObject(compile('tracing'));
  folder = mkdtempSync(join(tmpdir(), 'weir-loader-'));
});

after(() => {
  if (skip) return;
  object?.close();
  rmSync(folder, { recursive: true, force: true });
});

const watch = (pid: number): void => object.map('.bss').update(u32(0), u32(pid));
const hits = (slot: number): number => Number(object.map('hits').lookup(u32(slot))?.readBigUInt64LE() ?? 0n);

/** process.ppid is a system call each time it is read. */
const callGetppid = (times: number): void => {
  for (let i = 0; i < times; i++) process.ppid;
};

test('tp_btf and raw tracepoints see this process’s system calls, until their link ends', { skip }, async () => {
  watch(process.pid);
  const btf = await attachTpBtf(object.program('on_tp_btf'));
  const raw = await attachRawTracepoint(object.program('on_raw'), 'sys_exit');
  callGetppid(1000);
  assert.ok(hits(0) >= 1000);
  assert.ok(hits(2) >= 1000);
  assert.equal(btf.info().type, 'raw_tracepoint'); // what the kernel calls both
  assert.equal(raw.info().type, 'raw_tracepoint');
  btf.detach();
  raw.close();
  const before = hits(0);
  callGetppid(1000);
  assert.equal(hits(0), before);
});

test('a tracepoint by category and name', { skip }, async () => {
  watch(process.pid);
  const link = await attachTracepoint(object.program('on_tracepoint'), 'raw_syscalls', 'sys_enter');
  callGetppid(100);
  assert.ok(hits(1) >= 100);
  assert.equal(link.info().type, 'perf_event');
  link.close();
  const before = hits(1);
  callGetppid(100);
  assert.equal(hits(1), before);
  await assert.rejects(attachTracepoint(object.program('on_tracepoint'), 'no', 'such'), {
    code: 'KERNEL',
    message: /ENOENT/,
  });
});

const POKED = `
#include <stdio.h>
__attribute__((noinline)) int poke(int n) { __asm__ volatile(""); return n + 1; }
int main(void) { int n = 0; puts("ready"); fflush(stdout); getchar(); for (int i = 0; i < 7; i++) n = poke(n); printf("%d", n); return 0; }
`;

test('uprobes at a function’s entry and return, by symbol and by offset', { skip }, async () => {
  const source = join(folder, 'poked.c');
  const binary = join(folder, 'poked');
  writeFileSync(source, POKED);
  execFileSync('clang-19', ['-O1', source, '-o', binary]);
  const child = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  watch(child.pid ?? 0);
  const entry = await attachUprobe(object.program('on_entry'), binary, 'poke');
  const back = await attachUprobe(object.program('on_return'), binary, 'poke', { ret: true, pid: child.pid });
  const symbols = execFileSync('nm', [binary], { encoding: 'utf8' });
  const address = BigInt(`0x${symbols.match(/^([0-9a-f]+) T poke$/m)?.[1]}`);
  // code of a PIE: the same segment offset for main and poke
  const segment = execFileSync('readelf', ['-lW', binary], { encoding: 'utf8' }).match(
    /LOAD\s+(0x[0-9a-f]+) (0x[0-9a-f]+) .*R E/,
  );
  const offset = address - BigInt(segment?.[2] ?? 0) + BigInt(segment?.[1] ?? 0);
  const byOffset = await attachUprobe(object.program('on_entry'), binary, offset);
  child.stdin.write('\n');
  await once(child, 'exit');
  assert.equal(hits(3), 14);
  assert.equal(hits(4), 7);
  for (const link of [entry, back, byOffset]) link.close();
  await assert.rejects(attachUprobe(object.program('on_entry'), binary, 'absent'), /no function 'absent'/);
  await assert.rejects(attachUprobe(object.program('on_entry'), source, 'poke'), /no ELF file/);
});

const CONNECT = `
const socket = require('node:net').connect(9, '127.0.0.1');
socket.on('error', (error) => { process.stdout.write(error.code); });
`;

test('a cgroup hook refuses connections of the group’s processes only', { skip }, async () => {
  const mount = await cgroup2Mount();
  assert.ok(mount);
  const cgroup = join(mount, own('cg'));
  const pin = join(await ensureBpffs(`/sys/fs/bpf/${own('cg')}`), 'connect');
  mkdirSync(cgroup);
  const connect = (inside: boolean): string =>
    spawnSync(
      'sh',
      ['-c', `${inside ? `echo $$ > ${cgroup}/cgroup.procs;` : ''} exec "$0" -e "$1"`, process.execPath, CONNECT],
      { encoding: 'utf8' },
    ).stdout;
  try {
    const link = await attachCgroup(object.program('deny'), cgroup, 'connect4', pin);
    assert.equal(connect(true), 'EPERM');
    assert.equal(connect(false), 'ECONNREFUSED');
    assert.deepEqual([link.info().type, link.info().attachType], ['cgroup', 10]);
    await updateLink(link, object.program('allow'));
    assert.equal(connect(true), 'ECONNREFUSED');
    link.close();
    const again = await attachCgroup(object.program('deny'), cgroup, 'connect4', pin);
    assert.equal(connect(true), 'EPERM');
    again.detach();
    assert.equal(connect(true), 'ECONNREFUSED');
    await assert.rejects(attachCgroup(object.program('deny'), '/nonexistent', 'connect4'), /ENOENT/);
    await assert.rejects(attachCgroup(object.program('deny'), cgroup, 'nothing' as 'connect4'), {
      code: 'INVALID_ARGUMENT',
    });
  } finally {
    rmdirSync(cgroup);
    rmSync(`/sys/fs/bpf/${own('cg')}`, { recursive: true, force: true });
  }
});
