// SPDX-License-Identifier: Apache-2.0
/** JSON log lines on standard error; each carries the trace that it belongs to. Secrets have no way in. */
import { context, trace } from '@opentelemetry/api';
import { type Logger, pino } from 'pino';

/** Keys whose values never reach a log, at any depth up to two. */
const SECRET_KEYS = ['password', 'seed', 'secret', 'token', 'authorization', 'databaseUrl', 'natsSeed', 'signingSeed'];

let root: Logger | undefined;

const traceFields = (): Record<string, string> => {
  const span = trace.getSpanContext(context.active());
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
};

const rootLogger = (): Logger => {
  root ??= pino(
    {
      level: process.env.WEIR_LOG_LEVEL ?? 'info',
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      errorKey: 'error',
      mixin: traceFields,
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '[secret]' },
    },
    pino.destination({ fd: 2, sync: true }),
  );
  return root;
};

export type { Logger };

/** A logger for one part of the program; `WEIR_LOG_LEVEL` sets the level. */
export const logger = (name: string): Logger => rootLogger().child({ name });
