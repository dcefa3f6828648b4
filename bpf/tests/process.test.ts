// SPDX-License-Identifier: Apache-2.0
/** Real processes, told by the programs of process.bpf.c: what they are, whose children, how they ended. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { process as processCodec, weir_process_flags } from '../gen/index.ts';
import type { ProcessRecord } from '../process-events.ts';
import { Processes } from './lib/processes.ts';

const MIB = 1 << 20;
const NOBODY = 65_534;
const exitOf = ({ facts }: ProcessRecord): { status: number; signal: number } => ({
  status: facts.exit_code >> 8,
  signal: facts.exit_code & 0x7f,
});
const words = (bytes: Buffer): string[] => bytes.toString('latin1').split('\0').slice(0, -1);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1').replace(/\0+$/, '');
const has = ({ facts }: ProcessRecord, flag: keyof typeof weir_process_flags): boolean =>
  (facts.flags & weir_process_flags[flag]) !== 0;

describe('processes', { skip: needKernel() }, () => {
  let all: Processes;

  before(async () => {
    all = await Processes.watch({ argsBytes: 4 * MIB, envBytes: MIB });
    all.compileActs();
    all.read();
  });
  after(() => all?.close());

  test('an image: path, directory, arguments, environment, whose child, how it ended', async () => {
    const env = { PATH: '/usr/bin:/bin', GREETING: 'hello' };
    const { exec, exit } = await all.image(all.run([all.acts, 'exit', '3'], { cwd: '/usr/lib', env }));
    const { facts } = exec;
    assert.equal(exec.binary.toString(), all.acts);
    assert.equal(exec.cwd.toString(), '/usr/lib');
    assert.deepEqual(words(exec.args), [all.acts, 'exit', '3']);
    assert.ok(words(exec.env).includes('GREETING=hello'));
    assert.deepEqual(exitOf(exit), { status: 3, signal: 0 });
    assert.deepEqual([facts.pid, facts.tid, facts.parent_pid], [exit.facts.pid, facts.pid, process.pid]);
    assert.deepEqual([facts.uid, facts.euid, facts.gid], [0, 0, 0]);
    assert.equal(text(facts.comm), 'acts');
    const file = statSync(all.acts);
    assert.deepEqual([Number(facts.inode), facts.links, facts.file_mode], [file.ino, 1, file.mode]);
    assert.equal(facts.ns_net, statSync('/proc/self/ns/net').ino);
    assert.equal(facts.ns_pid, statSync('/proc/self/ns/pid').ino);
    assert.equal(facts.cgroup_id, statSync(all.cgroup, { bigint: true }).ino);
    assert.equal(exit.facts.exec_ns, facts.exec_ns);
    assert.equal(exit.facts.parent_exec_ns, facts.parent_exec_ns);
    assert.ok(facts.exec_ns > facts.start_ns);
  });

  test('ended by a signal', async () => {
    const { exit } = await all.image(all.run(['/bin/sh', '-c', 'kill -9 $$']));
    assert.deepEqual(exitOf(exit), { status: 0, signal: 9 });
  });

  test('a fork that begins no image of its own has a name of its own, and the image of its maker', async () => {
    const result = all.run(['/bin/sh', '-c', '(exit 6); exit 0']);
    const { exec } = await all.image(result);
    const child = all.records.find(({ kind, facts }) => kind === 'fork' && facts.parent_pid === result.pid);
    assert.ok(child);
    assert.equal(child.facts.parent_exec_ns, exec.facts.exec_ns);
    assert.equal(child.facts.inode, exec.facts.inode);
    assert.ok(has(child, 'PROCESS_CLONE'));
    const exit = (await all.exited(child.facts.pid)).at(-1) as ProcessRecord;
    assert.deepEqual(exitOf(exit), { status: 6, signal: 0 });
    assert.equal(exit.facts.exec_ns, child.facts.exec_ns);
  });

  test('a second image of one process has another name and the same parent', async () => {
    const result = all.run([all.acts, 'again']);
    await all.exited(result.pid);
    const [first, second] = all.records.filter(({ kind, facts }) => kind === 'exec' && facts.pid === result.pid);
    assert.ok(first && second);
    assert.deepEqual([words(first.args)[0], words(second.args)[0]], [all.acts, 'second']);
    assert.equal(second.facts.previous_exec_ns, first.facts.exec_ns);
    assert.equal(second.facts.parent_exec_ns, first.facts.parent_exec_ns);
  });

  test('an image begun by a thread: the process stays, the thread that began it is told', async () => {
    const { exec, exit } = await all.image(all.run([all.acts, 'thread', all.acts, 'exit', '2']));
    assert.deepEqual(words(exec.args), [all.acts, 'exit', '2']);
    assert.notEqual(exec.facts.tid, exec.facts.pid);
    assert.deepEqual(exitOf(exit), { status: 2, signal: 0 });
    assert.equal(all.records.filter(({ kind, facts }) => kind === 'exit' && facts.pid === exec.facts.pid).length, 1);
  });

  test('a process ends with its last thread, though its first is gone', async () => {
    const { exit } = await all.image(all.run([all.acts, 'leader']));
    assert.deepEqual(exitOf(exit), { status: 5, signal: 0 });
  });

  test('an image out of memory, and one whose file was deleted', async () => {
    const memory = await all.image(all.run([all.acts, 'memory']));
    assert.equal(memory.exec.binary.toString(), '/memfd:nowhere');
    assert.ok(has(memory.exec, 'PROCESS_NO_FILE'));
    assert.deepEqual(exitOf(memory.exit), { status: 7, signal: 0 });
    const copy = join(all.folder, 'copy');
    copyFileSync(all.acts, copy);
    chmodSync(copy, 0o755);
    const deleted = await all.image(all.run([all.acts, 'deleted', copy]));
    assert.equal(deleted.exec.binary.toString(), copy);
    assert.ok(has(deleted.exec, 'PROCESS_NO_FILE'));
    assert.equal(deleted.exec.facts.links, 0);
    assert.deepEqual(exitOf(deleted.exit), { status: 8, signal: 0 });
  });

  test('a binary with the set-user-id bit', async () => {
    const raised = join(all.folder, 'raised');
    copyFileSync(all.acts, raised);
    chmodSync(raised, 0o4755);
    chmodSync(all.folder, 0o755);
    const as = ['/usr/bin/setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const { exec } = await all.image(all.run([...as, '/bin/sh', '-c', `exec ${raised} exit 0`]));
    assert.deepEqual([exec.facts.uid, exec.facts.euid, exec.facts.suid], [NOBODY, 0, 0]);
    for (const flag of ['PROCESS_SETUID', 'PROCESS_RAISED', 'PROCESS_SECURE'] as const)
      assert.ok(has(exec, flag), flag);
    assert.equal(exec.facts.file_mode & 0o7777, 0o4755);
    const plain = await all.image(all.run([...as, '/bin/sh', '-c', `exec ${all.acts} exit 0`]));
    assert.equal(has(plain.exec, 'PROCESS_SETUID'), false);
    assert.equal(plain.exec.facts.cap_effective, 0n);
  });

  test('arguments that are no UTF-8, empty ones, and as many as the kernel takes', async () => {
    const script = `exec ${all.acts} exit 0 '' "$(printf '\\377\\033[31m\\200')"`;
    const odd = await all.image(all.run(['/bin/sh', '-c', script]));
    assert.deepEqual(words(odd.exec.args), [all.acts, 'exit', '0', '', '\xff\x1b[31m\x80']);
    // each string is limited to 128 KiB, all together to a quarter of the stack's limit
    const long = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(100_000));
    const { exec } = await all.image(all.run([all.acts, 'exit', '0', ...long]));
    assert.equal(exec.isIncomplete, false);
    assert.deepEqual(words(exec.args), [all.acts, 'exit', '0', ...long]);
    assert.equal(exec.facts.args_size, exec.args.length);
    assert.equal(has(exec, 'PROCESS_ARGS_CUT'), false);
  });

  test('long paths are whole; what is longer than any path can be has its end', async () => {
    const name = 'l'.repeat(200);
    let folder = all.folder;
    for (let level = 0; level < 18; level++) folder = join(folder, name);
    mkdirSync(folder, { recursive: true });
    const binary = join(folder, 'deep');
    copyFileSync(all.acts, binary);
    chmodSync(binary, 0o755);
    const { exec } = await all.image(all.run([binary, 'exit', '0'], { cwd: folder }));
    assert.equal(exec.binary.toString(), binary);
    assert.equal(exec.cwd.toString(), folder);
    const deeper = await all.image(all.run([all.acts, 'deep', all.folder, '30']));
    assert.ok(has(deeper.exec, 'PROCESS_CWD_CUT'));
    assert.ok(deeper.exec.cwd.length > 3_800);
    assert.ok(`/${Array(30).fill('d'.repeat(200)).join('/')}`.endsWith(deeper.exec.cwd.toString()));
    assert.equal(has(deeper.exec, 'PROCESS_BINARY_CUT'), false);
  });

  test('the map has who runs, from its beginning to its end; others’ processes are not told', async () => {
    const child = spawn('/bin/sh', ['-c', `echo $$ > ${all.cgroup}/cgroup.procs; exec sleep 1000`]);
    const pid = Buffer.alloc(4);
    pid.writeUInt32LE(child.pid as number);
    const isSleeping = (): boolean => {
      const value = all.object.map('processes').lookup(pid);
      return value !== undefined && text(processCodec.decode(value).binary).endsWith('/sleep');
    };
    for (const end = performance.now() + 60_000; !isSleeping() && performance.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 10));
    const found = all.object.map('processes').lookup(pid);
    assert.ok(found);
    const entry = processCodec.decode(found);
    assert.deepEqual([entry.parent_pid, entry.uid, entry.netns], [process.pid, 0, statSync('/proc/self/ns/net').ino]);
    assert.equal(entry.binary_length, text(entry.binary).length);

    // a second agent's programs beside these, and what it asks at its start: nobody gets another name
    await all.seeAll(await all.another());
    assert.deepEqual(processCodec.decode(all.object.map('processes').lookup(pid) as Buffer), entry);
    child.kill('SIGTERM');
    await once(child, 'exit');
    const own = await all.exited(child.pid as number);
    const seen = own.find(({ kind }) => kind === 'seen');
    assert.deepEqual([seen?.facts.exec_ns, seen?.facts.parent_exec_ns], [entry.exec_ns, entry.parent_exec_ns]);
    assert.equal(seen?.binary.toString(), text(entry.binary));
    assert.equal(own.filter(({ kind }) => kind === 'exit').length, 1);
    assert.deepEqual(exitOf(own.at(-1) as ProcessRecord), { status: 0, signal: 15 });
    assert.equal(all.object.map('processes').lookup(pid), undefined);
    const cgroup = statSync(all.cgroup, { bigint: true }).ino;
    assert.ok(all.records.filter(({ kind }) => kind === 'exec').every(({ facts }) => facts.cgroup_id === cgroup));
  });
});

test('what the ring buffer has no room for is counted by its kind', { skip: needKernel() }, async () => {
  const all = await Processes.watch({ ringBytes: 65_536, argsBytes: 64 });
  try {
    const loop = 'i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done';
    const result = all.run(['/bin/sh', '-c', loop]);
    assert.equal(result.status, 0);
    all.detach();
    all.read();
    await all.stop();
    for (const [kind, least] of [
      ['exec', 301],
      ['fork', 300],
      ['exit', 301],
    ] as const) {
      const name = kind.toUpperCase() as 'EXEC';
      const told = all.records.filter((record) => record.kind === kind).length;
      assert.equal(all.count(`PROCESS_COUNT_${name}`), BigInt(told));
      assert.equal(all.count(`PROCESS_COUNT_${name}`) + all.count(`PROCESS_COUNT_LOST_${name}`), BigInt(least));
      assert.ok(all.count(`PROCESS_COUNT_LOST_${name}`) > 0n);
    }
    const cut = all.records.find(({ kind, args }) => kind === 'exec' && args.toString().startsWith('/bin/sh'));
    assert.ok(cut && has(cut, 'PROCESS_ARGS_CUT'));
    assert.equal(cut.args.length, 64);
  } finally {
    await all.close();
  }
});
