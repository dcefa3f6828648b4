// SPDX-License-Identifier: Apache-2.0
/**
 * Flows name the process whose the socket is: of containers, of units and of the host itself, whoever made the socket, has it
 * now, or what the process has become since.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { needKernel } from '@weir/loader/testing';
import type { Flow } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { identityEntry, knp, policyEntry, workloadEntry } from '../support/entries.ts';
import { type Joined, type JoinedHost, joinHosts, nameOf, netnsPath } from '../support/joined-hosts.ts';
import { leftovers } from '../support/netns.ts';

const BOX = { id: 'prod.box', ip4: '10.91.0.2', ip6: 'fd91::2', identity: 1004 };
const FAR = { id: 'prod.far', ip4: '10.92.0.2', ip6: 'fd92::2', identity: 1002 };
const UNIT = 'system.slice/db.service';
const PORT = 80;

/** Each prints its number and its socket's port, and goes on when it is told. */
const PRELUDE = `
import array, os, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ':' in host else socket.AF_INET
def told(*what):
    print(*what, flush=True)
def told_of(s):
    told(os.getpid(), s.getsockname()[1])
def opened():
    s = socket.socket(family, socket.SOCK_STREAM)
    s.connect((host, port))
    return s
`;
const STEPS = {
  plain: 's = opened(); told_of(s); s.send(b"x"); s.recv(9)',
  user: 'os.setuid(4321); s = opened(); told_of(s); s.send(b"x"); s.recv(9)',
  lateUser: 's = opened(); told_of(s); os.setuid(4321); s.send(b"x"); s.recv(9)',
  datagram: 's = socket.socket(family, socket.SOCK_DGRAM); s.sendto(b"x", (host, port)); told_of(s); s.recv(9)',
  exec: `
s = opened(); told_of(s)
os.set_inheritable(s.fileno(), True)
os.dup2(s.fileno(), 0); os.dup2(s.fileno(), 1)
os.execv("/bin/sh", ["sh", "-c", "echo x; read answer"])`,
  fork: `
s = opened(); told_of(s)
child = os.fork()
if child == 0:
    s.send(b"x"); s.recv(9); os._exit(0)
s.close()
told(child)
os.waitpid(child, 0)`,
  passed: `
s = opened(); told_of(s)
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
child = os.fork()
if child == 0:
    s.close()
    ours.recv(1)
    ours.send(b"y")
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    got = socket.socket(fileno=fds[0])
    got.send(b"x"); got.recv(9); os._exit(0)
theirs.send(b"y"); theirs.recv(1)
socket.send_fds(theirs, [b"z"], [s.fileno()])
s.close()
told(child)
os.waitpid(child, 0)`,
  worker: `
l = socket.socket(family, socket.SOCK_STREAM)
l.bind(("", port)); l.listen(8)
child = os.fork()
if child == 0:
    s, _ = l.accept(); s.recv(9); s.send(b"x"); s.close(); os._exit(0)
told(os.getpid(), child)
os.waitpid(child, 0)`,
} as const;

/** FIN, or RST when something was not read. */
const isLast = ({ tcpFlags }: Flow): boolean => (tcpFlags & 5) !== 0;

const [major = 0, minor = 0] = release().split('.').map(Number);
const isUseKnown = major > 6 || (major === 6 && minor >= 3);

const has = (...names: readonly string[]): boolean => names.every((name) => existsSync(name));

describe('whose a flow is', { skip: needKernel() || !has('/usr/bin/python3'), timeout: 280_000 }, () => {
  let net: Joined;
  let h1: JoinedHost;
  const children: ChildProcess[] = [];
  const unit = () => join(h1.cgroup, UNIT);

  interface Run {
    readonly pid: number;
    /** Local port, or what else it said behind its number. */
    readonly second: number;
    readonly child: number;
  }
  const start = (step: keyof typeof STEPS, where: { netns: string; cgroup: string }, host: string, port = PORT) => {
    const child = spawn(
      'sh',
      [
        ...['-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', where.cgroup],
        ...['nsenter', `--net=${where.netns}`, '/usr/bin/python3', '-c', PRELUDE + STEPS[step], host, String(port)],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(child);
    const lines: number[][] = [];
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    reader.on('line', (line) => lines.push(line.split(' ').map(Number)));
    return { child, lines };
  };
  const run = async (...args: Parameters<typeof start>): Promise<Run> => {
    const { child, lines } = start(...args);
    const [code] = await once(child, 'close');
    assert.equal(code, 0, args[0]);
    const [[pid = 0, second = 0] = [], [last = 0] = []] = lines;
    return { pid, second, child: last };
  };
  const binaryOf = (flow: Flow): string => Buffer.from(h1.processes.get(nameOf(flow))?.binary ?? []).toString();
  const isOf =
    ({ second }: Pick<Run, 'second'>) =>
    (flow: Flow): boolean =>
      flow.sourcePort === second && flow.direction === 2 && !flow.isReply;
  const box = () => ({ netns: netnsPath(BOX.id), cgroup: h1.cgroup });
  const db = () => ({ netns: netnsPath('h1'), cgroup: unit() });

  before(async () => {
    net = await joinHosts([[BOX], [FAR], []]);
    [h1] = net.hosts;
    mkdirSync(unit(), { recursive: true });
    const documents = [
      ...[identityEntry(1004, 'k8s:app=box'), identityEntry(1002, 'k8s:app=far'), identityEntry(1003, 'k8s:app=db')],
      ...net.hosts.map(({ document }) => document),
      ...net.hosts.flatMap(({ workloads }) => workloads.map(({ document }) => document)),
      workloadEntry('prod.db', 1003, { host: 'h1', ip4: '', netns: '', hostNetwork: true, cgroup: UNIT }),
      policyEntry(knp('none', 'nobody', { policyTypes: ['Ingress'], ingress: [] })),
    ];
    await h1.start(documents, { isWatching: true });
    await net.hosts[1].start(documents);
    await net.hosts[1].workloads[0]?.resident.ask({ op: 'serve', port: PORT });
  });
  after(async () => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    for (const host of net.hosts.slice(0, 2)) await host.stop();
    for (let tries = 0; existsSync(unit()); tries++) {
      try {
        rmdirSync(unit());
      } catch (error) {
        if (tries > 3000) throw error;
        await sleep(20);
      }
    }
    rmdirSync(join(h1.cgroup, 'system.slice'));
    await net.destroy();
    assert.deepEqual(leftovers(), []);
  });

  for (const where of ['container', 'unit'] as const)
    for (const address of [FAR.ip4, FAR.ip6])
      it(`who opens it, from a ${where} to ${address}`, async () => {
        const place = where === 'unit' ? db() : box();
        const plain = await run('plain', place, address);
        const [first, last] = [await h1.flow(isOf(plain)), await h1.flow((one) => isOf(plain)(one) && isLast(one))];
        for (const one of [first, last]) assert.deepEqual([one.pid, one.uid], [plain.pid, 0]);
        assert.match(binaryOf(first), /^\/usr\/bin\/python3/);
        assert.equal(h1.processes.get(nameOf(first))?.unit, where === 'unit' ? 'db.service' : '');
        const answer = await h1.flow((one) => one.destinationPort === plain.second && one.isReply);
        assert.equal(answer.pid, plain.pid);
        const datagram = await run('datagram', place, address);
        const told = await h1.flow(isOf(datagram));
        assert.deepEqual([told.pid, told.protocol], [datagram.pid, 17]);
        const user = await run('user', place, address);
        assert.deepEqual([(await h1.flow(isOf(user))).uid, (await h1.flow(isOf(user))).pid], [4321, user.pid]);
      });

  // Since 6.3 the kernel tells of each send and receive.
  it('who has it now: another image, a child, whom it was handed to, another user', { skip: !isUseKnown }, async () => {
    const end = (one: Run) => h1.flow((flow) => isOf(one)(flow) && isLast(flow));
    const exec = await run('exec', box(), FAR.ip4);
    const [begun, ended] = [await h1.flow(isOf(exec)), await end(exec)];
    assert.deepEqual([begun.pid, ended.pid], [exec.pid, exec.pid]);
    assert.match(binaryOf(begun), /python3/);
    assert.match(binaryOf(ended), /sh$/);
    assert.notEqual(begun.execNs, ended.execNs);
    for (const step of ['fork', 'passed'] as const) {
      const one = await run(step, box(), FAR.ip4);
      assert.equal((await h1.flow(isOf(one))).pid, one.pid, step);
      assert.equal((await end(one)).pid, one.child, step);
    }
    const user = await run('lateUser', box(), FAR.ip4);
    assert.deepEqual([(await h1.flow(isOf(user))).uid, (await end(user)).uid], [0, 4321]);
  });

  it('who serves: the listener, and the worker that accepts', async () => {
    const { child, lines } = start('worker', box(), BOX.ip4, 81);
    for (const until = performance.now() + 60_000; lines.length === 0; await sleep(10))
      assert.ok(performance.now() < until, 'it never listened');
    const [[listener = 0, worker = 0] = []] = lines;
    const client = await run('plain', db(), BOX.ip4, 81);
    await once(child, 'close');
    const isAnswer = (flow: Flow): boolean =>
      flow.destinationPort === client.second && flow.direction === 1 && flow.isReply;
    assert.equal((await h1.flow(isAnswer)).pid, listener);
    assert.equal((await h1.flow((flow) => isAnswer(flow) && isLast(flow))).pid, isUseKnown ? worker : listener);
    // seen at the client's end, it is the client's
    assert.equal((await h1.flow(isOf(client))).pid, client.pid);
  });
});
