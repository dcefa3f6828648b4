// SPDX-License-Identifier: Apache-2.0
/**
 * Answers the probes of other hosts: `GET /hello` on this host's own addresses on the network between the hosts, on its
 * health endpoint, and nowhere else. It says nothing but that an agent is there.
 */
import { createServer, type Server } from 'node:http';
import type { ListenOptions } from 'node:net';
import { HELLO } from './round.ts';

/** Connections are short; a bound for whoever opens many. */
const CONNECTIONS_MAX = 1_024;
const TIMEOUT_MS = 5_000;

/** `where`: an address and a port, or the descriptor of a socket that listens. */
export const answerAt = (where: Pick<ListenOptions, 'host' | 'port'> & { readonly fd?: number }): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      const known = request.method === 'GET' && request.url === HELLO;
      response.writeHead(known ? 200 : 404, { connection: 'close', 'content-length': '0' }).end();
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.headersTimeout = TIMEOUT_MS;
    server.requestTimeout = TIMEOUT_MS;
    server.once('error', reject);
    server.listen(where, () => resolve(server));
  });

export const end = (server: Server): Promise<void> => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
};

export class Responder {
  readonly #servers = new Map<string, Server>();

  /** Listens on exactly these; one that the host does not have (yet) throws after the others were tried. */
  async follow(addresses: readonly string[], port: number): Promise<void> {
    const wanted = new Set(addresses.map((address) => `${address} ${port}`));
    for (const [key, server] of this.#servers) {
      if (wanted.has(key)) continue;
      this.#servers.delete(key);
      await end(server);
    }
    const failures: unknown[] = [];
    for (const address of addresses) {
      const key = `${address} ${port}`;
      if (this.#servers.has(key)) continue;
      await answerAt({ host: address, port }).then(
        (server) => this.#servers.set(key, server),
        (error) => failures.push(error),
      );
    }
    if (failures.length > 0) throw failures[0];
  }

  async stop(): Promise<void> {
    await this.follow([], 0);
  }
}
