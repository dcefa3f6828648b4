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
  | { readonly op: 'listen'; readonly port: number }
  /** TCP and UDP servers that say from which address and port they are asked, and then what they get. */
  | { readonly op: 'serve'; readonly port: number }
  /** As whom a server of `serve` sees us: `address port`; UDP with so many bytes in the question and the answer. */
  | {
      readonly op: 'seen';
      readonly kind: 'tcp' | 'udp';
      readonly host: string;
      readonly port: number;
      readonly localPort?: number;
      readonly bytes?: number;
      readonly timeoutMs?: number;
    }
  /** UDP sockets with `count` local ports from `first`: what `seen` would say of each, as JSON. */
  | {
      readonly op: 'burst';
      readonly host: string;
      readonly port: number;
      readonly first: number;
      readonly count: number;
      readonly timeoutMs?: number;
    }
  /** So many bytes to a server of `serve` and back: how many came, and ms. */
  | { readonly op: 'transfer'; readonly host: string; readonly port: number; readonly bytes: number };

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

const plain = (address = ''): string => address.replace(/^::ffff:/, '');

const serve = (port: number): Promise<Answer> =>
  new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).write(`${plain(socket.remoteAddress)} ${socket.remotePort}\n`);
      socket.pipe(socket);
    });
    const datagrams = createSocket({ type: 'udp6', ipv6Only: false, recvBufferSize: 8 << 20 });
    datagrams.on('message', (message, from) => {
      const text = Buffer.from(`${plain(from.address)} ${from.port}\n`);
      const answer = Buffer.concat([text, Buffer.alloc(Math.max(0, message.length - text.length), '.')]);
      datagrams.send(answer, from.port, from.address);
    });
    server.listen(port, '::', () => datagrams.bind(port, '::', () => resolve('ok')));
  });

const firstLine = (bytes: Buffer): string => bytes.toString('latin1').split('\n')[0] ?? '';

type Seen = Extract<Request, { op: 'seen' }>;

const seenUdp = (
  { host, port, localPort = 0, bytes = 1 }: Omit<Seen, 'op' | 'kind'>,
  timeoutMs: number,
): Promise<Answer> =>
  new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const done = (answer: Answer): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => done('timeout'), timeoutMs);
    socket.once('message', (message) => done(message.length >= bytes ? firstLine(message) : `${message.length} bytes`));
    socket.once('error', (error: NodeJS.ErrnoException) => done(String(error.code)));
    socket.once('connect', () => socket.send(Buffer.alloc(bytes, '?')));
    socket.bind(localPort, () => socket.connect(port, host));
  });

const seenTcp = ({ host, port, localPort }: Seen, timeoutMs: number): Promise<Answer> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, ...(localPort ? { localPort } : {}) });
    const done = (answer: Answer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done('timeout'), timeoutMs);
    socket.once('data', (data) => done(firstLine(data)));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code === 'ECONNREFUSED' ? 'refused' : String(error.code)),
    );
  });

const PATIENT_MS = 5_000;

/** A server's socket holds a few hundred datagrams: no more are on their way at a time. */
const AT_ONCE = 40;

const burst = async ({
  host,
  port,
  first,
  count,
  timeoutMs = PATIENT_MS,
}: Extract<Request, { op: 'burst' }>): Promise<Answer> => {
  const seen: Answer[] = [];
  while (seen.length < count) {
    const from = first + seen.length;
    const some = Array.from({ length: Math.min(AT_ONCE, count - seen.length) }, (_, i) =>
      seenUdp({ host, port, localPort: from + i }, timeoutMs),
    );
    seen.push(...(await Promise.all(some)));
  }
  return JSON.stringify(seen);
};

const transfer = ({ host, port, bytes }: Extract<Request, { op: 'transfer' }>): Promise<Answer> =>
  new Promise((resolve) => {
    const startedMs = performance.now();
    const socket = connect({ host, port }, () => socket.write(Buffer.alloc(bytes, 'x')));
    let came = 0;
    let line = 0;
    socket.on('data', (data) => {
      if (came === 0) line = data.indexOf('\n') + 1;
      came += data.length;
      if (came - line < bytes) return;
      resolve(`${came - line} ${Math.round(performance.now() - startedMs)}`);
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
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
    case 'serve':
      return serve(request.port);
    case 'seen': {
      const { kind, timeoutMs = 2 * TIMEOUT_MS } = request;
      return kind === 'udp' ? seenUdp(request, timeoutMs) : seenTcp(request, timeoutMs);
    }
    case 'burst':
      return burst(request);
    case 'transfer':
      return transfer(request);
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
