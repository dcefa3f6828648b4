// SPDX-License-Identifier: Apache-2.0
import { chmod, rm } from 'node:fs/promises';
import { createRpcServer } from '@weir/rpc';
import { LiveEvents } from './live-events.ts';
import { type SensorsOptions, sensorsService } from './service.ts';

export interface Sensors {
  /** Encoded weir.process.v1.ProcessEvents. */
  publish(encoded: readonly Uint8Array[]): void;
  close(): Promise<void>;
}

/** At a unix socket that only root may open. */
export const serveSensors = async (
  { host, socket }: { readonly host: string; readonly socket: string },
  {
    onTrouble,
    ...options
  }: Omit<SensorsOptions, 'live'> & {
    readonly onTrouble: (what: string, cause: unknown) => void;
  },
): Promise<Sensors> => {
  const live = new LiveEvents(host, (count) =>
    onTrouble(`a client of ${socket} was too slow; it misses ${count} events`, undefined),
  );
  // Left by an agent that was killed; two agents of one host can't run anyway.
  await rm(socket, { force: true });
  // Nobody else may connect, not even between bind and chmod.
  const umask = process.umask(0o177);
  try {
    const server = await createRpcServer({ port: 0, socket, services: [sensorsService({ live, ...options })] });
    await chmod(socket, 0o600);
    return { publish: (encoded) => live.publish(encoded), close: () => server.close() };
  } finally {
    process.umask(umask);
  }
};
