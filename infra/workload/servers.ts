// SPDX-License-Identifier: Apache-2.0
/** Echo servers of a workload: TCP and UDP, both families on one socket, counting what they served. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

export interface ServedCounts {
  connections: number;
  datagrams: number;
  bytes: number;
}

export const serveTcp = (port: number, counts: ServedCounts): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, (socket) => {
      counts.connections++;
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        counts.bytes += chunk.length;
        socket.write(chunk);
      });
    });
    server.once('error', reject);
    server.listen({ port, host: '::', backlog: 1024 }, () => resolve());
  });

export const serveUdp = (port: number, counts: ServedCounts): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = createSocket({ type: 'udp6', ipv6Only: false });
    socket.once('error', reject);
    socket.on('message', (message, from) => {
      counts.datagrams++;
      counts.bytes += message.length;
      socket.send(message, from.port, from.address);
    });
    socket.bind(port, '::', () => resolve());
  });
