// SPDX-License-Identifier: Apache-2.0
/** The one place where an error becomes an answer: problem details for everything, logged once when it is our fault. */
import { isWeirError, toProblem, toWeirError, type WeirError, weirError } from '@weir/errors';
import { type Logger, logger } from '@weir/telemetry';
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { knowPaths } from './methods.ts';
import { traceIdOf } from './tracing.ts';
import { issuesError, toIssues } from './validation.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

const PART_NAMES: Readonly<Record<string, string>> = { body: 'the body', querystring: 'the query', params: 'the path' };

const fromFastify = (error: FastifyError, request: FastifyRequest): WeirError => {
  if (error.validation) {
    return issuesError(
      toIssues(error.validation as unknown as ErrorObject[]),
      PART_NAMES[error.validationContext ?? ''],
    );
  }
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return weirError('TOO_LARGE', `the body is larger than ${request.routeOptions.bodyLimit} bytes`, {
        field: 'body',
        value: Number(request.headers['content-length'] ?? 0) || undefined,
        fix: `send ${request.routeOptions.bodyLimit} bytes at most`,
      });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return weirError(
        'UNSUPPORTED_MEDIA_TYPE',
        `the content type ${request.headers['content-type'] ?? 'is missing and'} is not understood`,
        {
          field: 'Content-Type',
          value: request.headers['content-type'],
          fix: 'send application/json',
        },
      );
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return weirError('MALFORMED', 'the body is empty', { field: 'body', fix: 'send a JSON document' });
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return weirError('MALFORMED', 'the body does not have the length that Content-Length says', {
        field: 'Content-Length',
      });
    default:
      if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
        return weirError('MALFORMED', error.message, { cause: error });
      }
      return toWeirError(error);
  }
};

const report = (log: Logger, request: FastifyRequest, error: WeirError): void => {
  const facts = {
    code: error.code,
    method: request.method,
    route: request.routeOptions.url,
    trace_id: traceIdOf(request),
  };
  if (error.code === 'INTERNAL' || error.code === 'KERNEL') {
    log.error({ ...facts, error: error.facts.cause ?? error, details: error.facts.details }, error.message);
  } else if (error.status >= 500) {
    const cause = error.facts.cause;
    log.warn({ ...facts, cause: cause instanceof Error ? cause.message : undefined }, error.message);
  } else {
    log.debug(facts, error.message);
  }
};

export const sendProblem = (reply: FastifyReply, request: FastifyRequest, error: WeirError): FastifyReply => {
  const problem = toProblem(error);
  if (error.facts.retryAfterS !== undefined) reply.header('retry-after', String(Math.ceil(error.facts.retryAfterS)));
  if (error.facts.current !== undefined) reply.header('etag', error.facts.current);
  const traceId = traceIdOf(request);
  const body = JSON.stringify({ ...problem, ...(traceId ? { trace_id: traceId } : {}) }, (_key, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return reply
    .status(problem.status)
    .header('content-type', PROBLEM_TYPE)
    .header('cache-control', 'no-store')
    .send(body);
};

/**
 * Closing at once, as Fastify asks for, would reset the connection of a client that still sends, and its answer would
 * be lost with it. So the rest is read and thrown away; the request timeout bounds how long.
 */
const readRest = (request: FastifyRequest, reply: FastifyReply): void => {
  reply.removeHeader('connection');
  request.raw.removeAllListeners('data');
  request.raw.resume();
};

export const answerProblems = (app: FastifyInstance): void => {
  const log = logger('http');
  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = isWeirError(thrown) ? thrown : fromFastify(thrown, request);
    report(log, request, error);
    if (error.code === 'TOO_LARGE') readRest(request, reply);
    return sendProblem(reply, request, error);
  });
  const paths = knowPaths(app);
  app.setNotFoundHandler((request, reply) => {
    const methods = paths.methodsAt(request.url);
    if (methods.length > 0) {
      const allowed = methods.join(', ');
      return sendProblem(
        reply.header('allow', allowed),
        request,
        weirError('METHOD_NOT_ALLOWED', `${request.url.split('?')[0]} does not take ${request.method}`, {
          field: 'method',
          value: request.method,
          fix: `use ${allowed}`,
        }),
      );
    }
    return sendProblem(
      reply,
      request,
      weirError('NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0]}`, {
        field: 'path',
        value: request.url.slice(0, 200),
        fix: 'see /docs for the operations of this API',
      }),
    );
  });
};
