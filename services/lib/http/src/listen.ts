// SPDX-License-Identifier: Apache-2.0
/** Listening and ending. A service prints one line when it answers, and on a signal ends what it has begun. */

import { toWeirError, type WeirError, weirError } from '@weir/errors';
import { logger } from '@weir/telemetry';
import closeWithGrace from 'close-with-grace';
import type { HttpApp } from './create-http.ts';

export interface ListenOptions {
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
}

const refused = (host: string, port: number, cause: unknown): WeirError =>
  weirError('UNAVAILABLE', `cannot listen on ${host} port ${port}`, {
    field: 'port',
    value: port,
    fix: 'choose an address of this machine and a free port, or port 0 for any',
    cause,
  });

/** Returns the URL that it answers on. */
export const listen = async (app: HttpApp, { host = '127.0.0.1', port }: ListenOptions): Promise<string> => {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw refused(host, port, cause);
  }
  const address = app.server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${shown}:${bound}`;
};

export interface RunningService {
  readonly http: string;
  readonly grpc?: string;
  close(): Promise<void>;
}

const GRACE_MS = 10_000;

/** What main.ts does: start, say so on standard output, close on SIGTERM and SIGINT; a failed start exits with 1. */
export const runService = async (name: string, start: () => Promise<RunningService>): Promise<void> => {
  const log = logger(name);
  try {
    const service = await start();
    closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ err, signal }) => {
      if (err) log.error({ error: err }, 'ending after an unexpected error');
      else log.info({ signal }, 'ending');
      await service.close();
    });
    log.info({ http: service.http, grpc: service.grpc }, 'listening');
    process.stdout.write(
      `${JSON.stringify({ msg: 'listening', service: name, http: service.http, grpc: service.grpc })}\n`,
    );
  } catch (thrown) {
    const error = toWeirError(thrown);
    const { field, value, fix, cause } = error.facts;
    log.fatal({ code: error.code, field, value, fix, error: cause ?? error }, `could not start: ${error.message}`);
    process.exit(1);
  }
};
