// SPDX-License-Identifier: Apache-2.0
/** That the bus is reached, now, by a new connection: what was open before a change may outlive what is not. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Bus } from '@weir/bus';
import type { MachineTime } from './state.ts';

/** host:port, an IPv6 address in brackets. */
const tried = (server: string, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const url = new URL(server.includes('://') ? server : `nats://${server}`);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(url.port || 4222) });
    const end = (error?: Error): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    const onAbort = (): void => end(new Error(`${server} does not answer`));
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    socket.once('error', end);
    // A server of NATS speaks first.
    socket.once('data', () => end());
    socket.once('close', () => end(new Error(`${server} closed the connection`)));
  });

export const proveBus =
  (servers: string, bus: () => Pick<Bus, 'nc'> | undefined) =>
  async (signal: AbortSignal): Promise<void> => {
    await Promise.any(servers.split(',').map((server) => tried(server.trim(), signal))).catch((error) => {
      throw error instanceof AggregateError ? (error.errors[0] as Error) : error;
    });
    const connected = bus();
    if (!connected) throw new Error('the agent has no session with the bus');
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('the bus does not answer')), { once: true });
      connected.nc.flush().then(resolve, reject);
    });
  };

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** CLOCK_MONOTONIC of this boot of the machine. */
export const machineTime = (): MachineTime => ({
  boot: readFileSync(BOOT_ID, 'utf8').trim(),
  ms: Number(process.hrtime.bigint() / 1_000_000n),
});
