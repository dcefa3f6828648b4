// SPDX-License-Identifier: Apache-2.0
/** The service as a process of its own. */
import { spawn } from 'node:child_process';

export const main = new URL('../src/main.ts', import.meta.url).pathname;
export const { NODE_TEST_CONTEXT: _context, ...ownEnv } = process.env;

export interface ServiceSettings {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly signing: string;
}

/** Listens on ports of the kernel's choice and says on standard output which. */
export const spawnService = ({ databaseUrl, natsUrl, signing }: ServiceSettings) =>
  spawn(process.execPath, [main], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...ownEnv,
      WEIR_INVENTORY_PORT: '0',
      WEIR_INVENTORY_GRPC_PORT: '0',
      WEIR_INVENTORY_DATABASE_URL: databaseUrl,
      WEIR_INVENTORY_NATS_URL: natsUrl,
      WEIR_INVENTORY_SIGNING_SEED: signing,
    },
  });
