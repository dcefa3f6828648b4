// SPDX-License-Identifier: Apache-2.0
/**
 * Program: keeps one test Postgres for as long as a test process is connected, then removes all of it and ends.
 * Two keepers started at once meet at the socket's name: the second one ends.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { startTestPostgres } from './testing.ts';
import { keeperAddress } from './testing-keeper-client.ts';

/** Test files run one after the other; a gap between two should not cost a new server. */
const LINGER_MS = 1_500;

const clients = new Set<Socket>();
let leaving: NodeJS.Timeout | undefined;

const listen = (onClient: (socket: Socket) => void): Promise<Server | undefined> =>
  new Promise((done) => {
    const server = createServer(onClient);
    server.once('error', () => done(undefined));
    server.listen(keeperAddress(), () => done(server));
  });

const run = async (): Promise<void> => {
  const postgres = Promise.withResolvers<{ url: string; stop(): Promise<void> }>();
  let listener: Server | undefined;
  const leave = async (): Promise<void> => {
    // The name is free from here on: who comes now starts a keeper of his own.
    listener?.close();
    await postgres.promise.then((server) => server.stop()).catch(() => {});
    process.exit();
  };
  const leaveSoon = (): void => {
    clearTimeout(leaving);
    leaving = setTimeout(() => clients.size === 0 && void leave(), LINGER_MS);
  };
  listener = await listen((socket) => {
    clients.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      clients.delete(socket);
      if (clients.size === 0) leaveSoon();
    });
    socket.resume();
    postgres.promise.then(({ url }) => socket.write(`${url}\n`)).catch(() => socket.destroy());
  });
  if (listener === undefined) return;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void leave());
  try {
    postgres.resolve(await startTestPostgres());
    if (clients.size === 0) leaveSoon();
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    postgres.reject(error);
    await leave();
  }
};

await run();
