// SPDX-License-Identifier: Apache-2.0
/**
 * Runs inside a workload's namespace (started by `netns.ts`): echo servers, and probes asked for by JSON lines on
 * standard input, each answered by one line.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export type Request =
  | { readonly op: 'tcp' | 'udp'; readonly host: string; readonly port: number; readonly timeoutMs?: number }
  | { readonly op: 'ping'; readonly host: string }
  /** A connection that stays; `say` sends one word over it and waits for the echo. */
  | { readonly op: 'open'; readonly host: string; readonly port: number }
  | { readonly op: 'say'; readonly timeoutMs?: number }
  | { readonly op: 'listen'; readonly port: number };

export type Answer = 'ok' | 'timeout' | 'refused' | string;

const TIMEOUT_MS = 400;
let kept: Socket | undefined;

const echoOnce = (socket: Socket, timeoutMs: number): Promise<Answer> =>
  new Promise((resolve) => {
    const done = (answer: Answer): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError);
      resolve(answer);
    };
    const onData = (): void => done('ok');
    const onError = (error: NodeJS.ErrnoException): void =>
      done(error.code === 'ECONNREFUSED' ? 'refused' : String(error.code));
    const timer = setTimeout(() => done('timeout'), timeoutMs);
    socket.once('data', onData).once('error', onError);
    socket.write('hello');
  });

const tcp = async (host: string, port: number, timeoutMs: number): Promise<Answer> => {
  const socket = connect({ host, port }).on('error', () => {});
  try {
    return await echoOnce(socket, timeoutMs);
  } finally {
    socket.destroy();
  }
};

const udp = (host: string, port: number, timeoutMs: number): Promise<Answer> =>
  new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const done = (answer: Answer): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => done('timeout'), timeoutMs);
    socket.once('message', () => done('ok'));
    socket.once('error', (error: NodeJS.ErrnoException) => done(String(error.code)));
    socket.connect(port, host, () => socket.send('hello'));
  });

const ping = (host: string): Promise<Answer> =>
  new Promise((resolve) => {
    const child = spawn('ping', ['-n', '-c', '1', '-W', '1', host], { stdio: 'ignore' });
    child.once('error', (error) => resolve(String(error)));
    child.once('exit', (code) => resolve(code === 0 ? 'ok' : 'timeout'));
  });

const listen = (port: number): Promise<Answer> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
    const datagrams = createSocket({ type: 'udp6', ipv6Only: false });
    datagrams.on('message', (message, from) => datagrams.send(message, from.port, from.address));
    server.listen(port, '::', () => datagrams.bind(port, '::', () => resolve('ok')));
  });

const open = (host: string, port: number): Promise<Answer> => {
  kept?.destroy();
  kept = connect({ host, port });
  kept.on('error', () => {});
  return echoOnce(kept, TIMEOUT_MS);
};

const answer = (request: Request): Promise<Answer> => {
  switch (request.op) {
    case 'tcp':
      return tcp(request.host, request.port, request.timeoutMs ?? TIMEOUT_MS);
    case 'udp':
      return udp(request.host, request.port, request.timeoutMs ?? TIMEOUT_MS);
    case 'ping':
      return ping(request.host);
    case 'open':
      return open(request.host, request.port);
    case 'say':
      return kept ? echoOnce(kept, request.timeoutMs ?? TIMEOUT_MS) : Promise.resolve('not open');
    case 'listen':
      return listen(request.port);
  }
};

if (import.meta.main) {
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const { id, ...request } = JSON.parse(line) as Request & { id: number };
      void answer(request as Request).then((result) => process.stdout.write(`${JSON.stringify({ id, result })}\n`));
    })
    .on('close', () => process.exit());
}
