// SPDX-License-Identifier: Apache-2.0
/**
 * Finds or starts the keeper of the shared test Postgres. Holding the connection open is what keeps the server
 * alive: the kernel closes it however a test process ends, so nothing needs to be counted or cleaned up by hand.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface KeeperLease {
  readonly url: string;
  detach(): void;
}

const ATTACH_TIMEOUT_MS = 90_000;
const RETRY_MS = 100;

/**
 * A socket name in Linux's abstract namespace, one per user and checkout (and WEIR_TEST_PG_SCOPE, for a server apart):
 * binding it is the lock, and nothing is left in a file system.
 */
export const keeperAddress = (): string => {
  const scope = createHash('sha256')
    .update(`${import.meta.url} ${process.getuid?.()} ${process.env.WEIR_TEST_PG_SCOPE ?? ''}`)
    .digest('hex')
    .slice(0, 16);
  return `\0weir-test-pg-${scope}`;
};

const open = (): Promise<Socket | undefined> =>
  new Promise((done) => {
    const socket = connect(keeperAddress());
    socket.once('connect', () => done(socket));
    socket.once('error', () => done(undefined));
  });

/** The keeper sends one line, the URL, when its server is ready; it hangs up if that failed. */
const readUrl = (socket: Socket): Promise<string | undefined> =>
  new Promise((done) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.endsWith('\n')) done(text.trim());
    });
    socket.once('close', () => done(undefined));
    socket.on('error', () => {});
  });

const spawnKeeper = (): void => {
  const file = fileURLToPath(new URL('./testing-keeper.ts', import.meta.url));
  // Not told that it runs inside a test runner, else node:test's reporter protocol is expected of it.
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  spawn(process.execPath, [file], { detached: true, stdio: 'ignore', env }).unref();
};

export const attachToKeeper = async (): Promise<KeeperLease> => {
  const deadline = performance.now() + ATTACH_TIMEOUT_MS;
  let spawned = false;
  while (performance.now() < deadline) {
    const socket = await open();
    if (socket) {
      const url = await readUrl(socket);
      if (url) {
        socket.unref();
        return { url, detach: () => socket.destroy() };
      }
      spawned = false;
    } else if (!spawned) {
      spawnKeeper();
      spawned = true;
    }
    await sleep(RETRY_MS);
  }
  throw new Error(
    `no test Postgres after ${ATTACH_TIMEOUT_MS / 1000} s; run "node ${fileURLToPath(new URL('./testing-keeper.ts', import.meta.url))}" to see why`,
  );
};
