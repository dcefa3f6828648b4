// SPDX-License-Identifier: Apache-2.0
/**
 * Program: keeps one test Postgres for as long as a test process is connected, then removes all of it and ends.
 * Two keepers started at once meet at the socket's name: the second one ends.
 */
import { createServer, type Socket } from 'node:net';
import { startTestPostgres } from './testing.ts';
import { keeperAddress } from './testing-keeper-client.ts';

/** Test files run one after the other; a gap between two should not cost a new server. */
const LINGER_MS = 1_500;

const clients = new Set<Socket>();
let leaving: NodeJS.Timeout | undefined;

const listen = (onClient: (socket: Socket) => void): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer(onClient);
    server.once('error', () => done(false));
    server.listen(keeperAddress(), () => done(true));
  });

const run = async (): Promise<void> => {
  const server = Promise.withResolvers<{ url: string; stop(): Promise<void> }>();
  const leave = async (): Promise<void> => {
    // Nobody can attach from here on: who finds the socket closed starts a new keeper.
    await (await server.promise).stop();
    process.exit(0);
  };
  const leaveSoon = (): void => {
    clearTimeout(leaving);
    leaving = setTimeout(() => clients.size === 0 && void leave(), LINGER_MS);
  };
  const bound = await listen((socket) => {
    clients.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      clients.delete(socket);
      if (clients.size === 0) leaveSoon();
    });
    socket.resume();
    server.promise.then(({ url }) => socket.write(`${url}\n`)).catch(() => socket.destroy());
  });
  if (!bound) return;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void leave());
  try {
    server.resolve(await startTestPostgres());
    if (clients.size === 0) leaveSoon();
  } catch (error) {
    console.error(error);
    server.promise.catch(() => {});
    server.reject(error);
    process.exitCode = 1;
    setTimeout(() => process.exit(1), RETRY_GAP_MS);
  }
};

const RETRY_GAP_MS = 200;

await run();
