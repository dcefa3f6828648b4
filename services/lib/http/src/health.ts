// SPDX-License-Identifier: Apache-2.0
/** Alive, ready, measured: what load balancers, supervisors and Prometheus ask. */
import { toWeirError, weirError } from '@weir/errors';
import { metricsText } from '@weir/telemetry';
import type { FastifyInstance } from 'fastify';

/** Rejects when the thing it names does not work. */
export type ReadyChecks = Readonly<Record<string, () => Promise<void>>>;

const CHECK_TIMEOUT_MS = 1_000;

const withinTime = async (check: () => Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_done, failed) => {
    timer = setTimeout(() => failed(weirError('UNAVAILABLE', `no answer in ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([check(), late]);
  } finally {
    clearTimeout(timer);
  }
};

export const addHealth = (app: FastifyInstance, checks: ReadyChecks): void => {
  // An overloaded service is alive, and its metrics say why.
  const quiet = { schema: { hide: true }, config: { rateLimit: false as const, pressureHandler: () => {} } };
  app.get('/healthz', quiet, async () => ({ status: 'ok' }));
  app.get('/readyz', quiet, async () => {
    const names = Object.keys(checks);
    const results = await Promise.allSettled(names.map((name) => withinTime(checks[name] ?? (async () => {}))));
    const issues = results.flatMap((result, index) =>
      result.status === 'fulfilled' ? [] : [{ path: names[index] ?? '', message: toWeirError(result.reason).message }],
    );
    if (issues.length > 0) {
      throw weirError('UNAVAILABLE', `not ready: ${issues.map(({ path }) => path).join(', ')}`, {
        issues,
        retryAfterS: 1,
      });
    }
    return { status: 'ready', checks: Object.fromEntries(names.map((name) => [name, 'ok'])) };
  });
  app.get('/metrics', quiet, async (_request, reply) =>
    reply.header('content-type', 'text/plain; version=0.0.4; charset=utf-8').send(await metricsText()),
  );
};
