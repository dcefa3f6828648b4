// SPDX-License-Identifier: Apache-2.0
/**
 * One agent on a host: two would take events from each other and undo each other's writes. The lock is an abstract
 * socket, which belongs to the network namespace as the host does, and ends with the process however it ends.
 */
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';

/** The one before may be on its way out. */
const WAIT_MS = 6_000;
const RETRY_MS = 50;

const listen = (name: string): Promise<Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(`\0${name}`, () => resolve(server.unref()));
  });

export const lockHost = async (bpffsDir: string, waitMs = WAIT_MS): Promise<{ release(): Promise<void> }> => {
  const name = `weir-agent:${bpffsDir}`;
  for (const end = performance.now() + waitMs; ; await sleep(RETRY_MS)) {
    const server = await listen(name);
    if (server) return { release: () => new Promise((resolve) => server.close(() => resolve())) };
    if (performance.now() > end) {
      throw weirError('CONFLICT', `another agent with maps in ${bpffsDir} runs on this host`, {
        field: 'WEIR_AGENT_BPFFS_DIR',
        value: bpffsDir,
        fix: 'end it first; hosts that share a machine need a folder each',
      });
    }
  }
};
