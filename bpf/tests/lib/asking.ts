// SPDX-License-Identifier: Apache-2.0
/**
 * A process in a cgroup and in a network namespace of its own, which serves at loopback addresses and connects wherever it
 * is told to. Names contain the process id; close() removes everything.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cgroup2Mount, createNetns, deleteNetns, openNetlink } from '@weir/loader';

/** Serves at `ports` of both loopback addresses, saying its port; does what each line of its input asks for. */
const SCRIPT = `
const net = require('node:net'), dgram = require('node:dgram');
const ports = JSON.parse(process.argv[1]);
const answer = (id, result) => process.stdout.write(JSON.stringify({ id, ...result }) + '\\n');
const failed = (id) => (error) => answer(id, { error: error.code });
const at = ({ address, port }) => address + ' ' + port;
const ready = [], kept = new Map(), sockets = new Map();
for (const port of ports) for (const host of ['127.0.0.1', '::1']) {
  ready.push(new Promise((done) => net.createServer((s) => s.on('error', () => {}).write(String(port))).listen({ port, host }, done)));
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (_, from) => socket.send(String(port), from.port, from.address));
  ready.push(new Promise((done) => socket.bind(port, host, done)));
}
Promise.all(ready).then(() => answer(0, {}));
const acts = {
  tcp({ id, host, port }) {
    let peer, served = '';
    const socket = net.connect({ host, port }, () => { peer = socket.remoteAddress + ' ' + socket.remotePort; });
    socket.on('data', (chunk) => { served += chunk; socket.destroy(); }).on('error', failed(id));
    socket.on('close', (hadError) => hadError || answer(id, { peer, served }));
  },
  udp({ id, host, port, connected }) {
    const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const end = (result) => { socket.close(); answer(id, result); };
    socket.on('error', (error) => end({ error: error.code }));
    socket.on('message', (data, from) => end({ served: String(data), from: at(from), peer: connected ? at(socket.remoteAddress()) : undefined }));
    if (connected) socket.connect(port, host, (error) => (error ? end({ error: error.code }) : socket.send('x')));
    else socket.send('x', port, host, (error) => error && end({ error: error.code }));
  },
  keep({ id, host, port, udp }) {
    const answered = () => answer(id, { kept: id });
    const over = (why) => { if (kept.get(id) === 'open') kept.set(id, why); };
    kept.set(id, 'open');
    if (udp) {
      const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
      socket.on('error', (error) => over(error.code)).on('message', () => {}).connect(port, host, answered);
      sockets.set(id, () => socket.close());
      const timer = setInterval(() => { try { socket.send('x'); } catch (error) { over(error.code); clearInterval(timer); } }, 20).unref();
    } else {
      const socket = net.connect({ host, port }, answered).on('error', (error) => over(error.code));
      sockets.set(id, () => socket.destroy());
    }
  },
  kept({ id, of }) {
    answer(id, { state: kept.get(of) });
  },
  end({ id, of }) {
    sockets.get(of)();
    setImmediate(() => answer(id, {}));
  },
  bind({ id, host, port, udp }) {
    if (udp) {
      const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
      socket.on('error', (error) => answer(id, { error: error.code }));
      socket.bind(port, host, () => socket.close(() => answer(id, {})));
    } else {
      const server = net.createServer().on('error', failed(id)).listen({ port, host }, () => server.close(() => answer(id, {})));
    }
  },
};
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line);
  acts[request.act](request);
});
`;

export interface Answer {
  readonly error?: string;
  /** What getpeername says. */
  readonly peer?: string;
  /** What recvmsg says. */
  readonly from?: string;
  /** Port of the backend that answered. */
  readonly served?: string;
  /** Of `keep`: what `kept` is asked about. */
  readonly kept?: number;
  /** Of `kept`: `open`, or how it ended. */
  readonly state?: string;
}

let opened = 0;

export class Asking {
  readonly cgroup: string;
  /** Path. */
  readonly netns: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  private constructor(cgroup: string, netns: string, child: ChildProcess) {
    this.cgroup = cgroup;
    this.netns = netns;
    this.#process = child;
  }

  static async open(ports: readonly number[], addresses: readonly string[]): Promise<Asking> {
    const name = `wa${process.pid}x${++opened}`;
    const netns = `/run/netns/${name}`;
    await createNetns(netns);
    const netlink = openNetlink(netns);
    await netlink.setUp(1);
    for (const address of addresses) await netlink.addAddress(1, `${address}/${address.includes(':') ? 128 : 32}`);
    netlink.close();
    const mount = await cgroup2Mount();
    if (mount === undefined) throw new Error('no cgroup v2 is mounted');
    const cgroup = join(mount, name);
    mkdirSync(cgroup);
    const shell = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const child = spawn(
      'sh',
      ['-c', shell, cgroup, 'nsenter', `--net=${netns}`, process.execPath, '-e', SCRIPT, '--', JSON.stringify(ports)],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const made = new Asking(cgroup, netns, child);
    await made.#listen();
    return made;
  }

  async #listen(): Promise<void> {
    const { stdout } = this.#process;
    if (!stdout) throw new Error('the process has an output');
    const ready = new Promise<Answer>((resolve) => this.#waiting.set(0, resolve));
    createInterface({ input: stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as Answer & { readonly id: number };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    await ready;
  }

  ask(act: Act, host: string, port: number, more: Record<string, unknown> = {}): Promise<Answer> {
    const id = this.#nextId++;
    const result = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#process.stdin?.write(`${JSON.stringify({ id, act, host, port, ...more })}\n`);
    return result;
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    await deleteNetns(this.netns);
    // A cgroup goes once its last process is reaped, which takes a moment after the kill.
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(this.cgroup);
        return;
      } catch (error) {
        if (tries > 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

export type Act = 'tcp' | 'udp' | 'bind' | 'keep' | 'kept' | 'end';
