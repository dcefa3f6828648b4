// SPDX-License-Identifier: Apache-2.0
/**
 * A Fastify instance as all services use it: TypeBox schemas, problem details, traces, limits, health, documentation.
 * The routes come from the service; who calls and may call is the gateway's.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import underPressure from '@fastify/under-pressure';
import { weirError } from '@weir/errors';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type RawServerDefault } from 'fastify';
import type { TSchema } from 'typebox';
import { readBodies } from './bodies.ts';
import { lazyCompilers } from './compilers.ts';
import { addDocumentation, type Docs } from './documentation.ts';
import { addHealth, type ReadyChecks } from './health.ts';
import { answerNotModified } from './preconditions.ts';
import { answerProblems } from './problems.ts';
import { FieldIssueSchema, ProblemSchema, ref } from './schemas.ts';
import { traceRequests } from './tracing.ts';
import { createAjv } from './validation.ts';

export interface HttpLimits {
  /** Largest body. */
  readonly bodyBytes?: number;
  /** Requests per address and window; more get 429. */
  readonly requests?: number;
  readonly windowMs?: number;
  /** Delay of the event loop from which on requests get 503 instead of a place in the queue. */
  readonly eventLoopDelayMs?: number;
  /** How long after the start that does not count. */
  readonly startGraceMs?: number;
}

export interface HttpOptions {
  readonly service: string;
  readonly version?: string;
  readonly docs: Docs;
  readonly limits?: HttpLimits;
  /** Schemas made by named(), those of the routes. */
  readonly schemas?: readonly TSchema[];
  /** Asked by /readyz. */
  readonly ready?: ReadyChecks;
}

export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

const BODY_BYTES = 1024 * 1024;
/** 1,000 a second from one address: far above honest use, low enough that one client cannot starve others. */
const REQUESTS = 10_000;
const WINDOW_MS = 10_000;
const EVENT_LOOP_DELAY_MS = 2_000;
/** Loading the program delays the loop like nothing after it: not held against the first requests. */
const START_GRACE_MS = 5_000;
/** Slow senders hold a connection no longer than this. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const PARAM_MAX_LENGTH = 1_024;

const addLimits = async (app: FastifyInstance, limits: HttpLimits): Promise<void> => {
  await app.register(rateLimit, {
    max: limits.requests ?? REQUESTS,
    timeWindow: limits.windowMs ?? WINDOW_MS,
    errorResponseBuilder: (_request, context) =>
      weirError('RATE_LIMITED', `more than ${context.max} requests in ${context.after}`, {
        fix: 'wait for the time in Retry-After, then send fewer',
        retryAfterS: Math.max(1, Math.ceil(context.ttl / 1_000)),
      }),
  });
  let listeningSince = Number.POSITIVE_INFINITY;
  app.addHook('onListen', (done) => {
    listeningSince = performance.now();
    done();
  });
  await app.register(underPressure, {
    maxEventLoopDelay: limits.eventLoopDelayMs ?? EVENT_LOOP_DELAY_MS,
    pressureHandler: async () => {
      if (performance.now() - listeningSince < (limits.startGraceMs ?? START_GRACE_MS)) return;
      throw weirError('OVERLOADED', 'the service is overloaded', { fix: 'try again later', retryAfterS: 1 });
    },
  });
};

/** What holds for every operation, without each route repeating it: problems as answers, no unknown parameter. */
const documentProblems = (app: FastifyInstance): void => {
  app.addHook('onRoute', (route) => {
    if (route.schema === undefined || route.schema.hide || !route.url.startsWith('/v1')) return;
    const response = (route.schema.response ?? {}) as Record<string, unknown>;
    const problem = { description: 'Problem', content: { 'application/problem+json': { schema: ref(ProblemSchema) } } };
    // A parameter that nobody reads is a mistake of whoever sends it.
    const querystring = route.schema.querystring ?? { type: 'object', properties: {}, additionalProperties: false };
    route.schema = { ...route.schema, querystring, response: { ...response, '4xx': problem, '5xx': problem } };
  });
};

/**
 * A connection on which nothing, or half a request, has come is not idle to Node, which stops looking for slow ones when a server
 * ends: one of them would hold up the end for ever. What was asked is answered, within the time that any request has.
 */
const endConnections = (app: HttpApp): void => {
  const silent = new Set<Socket>();
  let isEnding = false;
  app.server.on('connection', (socket: Socket) => {
    if (isEnding) socket.destroy();
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.on('request', ({ socket }: IncomingMessage) => silent.delete(socket));
  // Kept alive behind an answer, a connection would stay for its keep-alive time (72 s).
  app.addHook('onSend', async (_request, reply) => {
    if (isEnding) reply.header('connection', 'close');
  });
  app.addHook('preClose', async () => {
    isEnding = true;
    for (const socket of silent) socket.destroy();
    setTimeout(() => app.server.closeAllConnections(), REQUEST_TIMEOUT_MS).unref();
  });
};

export const createHttp = async (options: HttpOptions): Promise<HttpApp> => {
  const limits = options.limits ?? {};
  const schemas = [FieldIssueSchema, ProblemSchema, ...(options.schemas ?? [])];
  const { validator, buildSerializer, compileAll } = lazyCompilers({
    literal: createAjv({ coerce: false, schemas }),
    coercing: createAjv({ coerce: true, schemas }),
  });
  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes ?? BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    routerOptions: { maxParamLength: PARAM_MAX_LENGTH },
    forceCloseConnections: 'idle',
    trustProxy: 'loopback',
    exposeHeadRoutes: false,
    schemaController: { compilersFactory: { buildSerializer } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  for (const schema of schemas) app.addSchema(schema);
  app.setValidatorCompiler(validator);
  app.decorate('compileAll', compileAll);
  endConnections(app);
  readBodies(app);
  answerProblems(app);
  traceRequests(app);
  answerNotModified(app);
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: false,
  });
  await addLimits(app, limits);
  documentProblems(app);
  await addDocumentation(app, options.docs, options.version ?? '0.1.0');
  addHealth(app, options.ready ?? {});
  return app;
};
