// SPDX-License-Identifier: Apache-2.0
/** Calls into one agent, answered on a subject of its host (see rpcSubject). Errors travel as problems. */
import { headers, type Msg, nuid } from '@nats-io/nats-core';
import type { NatsConnection } from '@nats-io/transport-node';
import { ERROR_CODES, type ErrorCode, toProblem, weirError } from '@weir/errors';
import { rpcSubject } from './subjects.ts';
import { traceHeaders } from './trace.ts';

const PROBLEM_HEADER = 'Weir-Problem';
const TIMEOUT_MS = 5_000;

export const callAgent = async (
  nc: NatsConnection,
  host: string,
  verb: string,
  body: Uint8Array = new Uint8Array(),
  timeoutMs = TIMEOUT_MS,
): Promise<Uint8Array> => {
  let answer: Msg;
  try {
    answer = await nc.request(rpcSubject.request(host, verb), body, {
      timeout: timeoutMs,
      noMux: true,
      reply: rpcSubject.reply(host, nuid.next()),
      headers: traceHeaders(),
    });
  } catch (cause) {
    throw weirError('UNAVAILABLE', `the agent of ${host} did not answer ${verb}`, {
      field: 'host',
      value: host,
      fix: 'check that the agent runs',
      retryAfterS: 1,
      cause,
    });
  }
  const problem = answer.headers?.get(PROBLEM_HEADER);
  if (!problem) return answer.data;
  const { code, detail, fix } = JSON.parse(problem) as { code: ErrorCode; detail: string; fix?: string };
  throw weirError(Object.hasOwn(ERROR_CODES, code) ? code : 'INTERNAL', detail, { fix });
};

export type AgentHandlers = Readonly<Record<string, (body: Uint8Array) => Promise<Uint8Array>>>;

export const serveAgent = (nc: NatsConnection, host: string, handlers: AgentHandlers): { stop(): void } => {
  const replyPrefix = rpcSubject.replyWildcard(host).slice(0, -1);
  const answer = async (msg: Msg): Promise<void> => {
    if (!msg.reply?.startsWith(replyPrefix)) return;
    const verb = msg.subject.slice(msg.subject.lastIndexOf('.') + 1);
    try {
      const handler = Object.hasOwn(handlers, verb) ? handlers[verb] : undefined;
      if (handler === undefined) throw weirError('NOT_FOUND', `the agent has no call ${verb}`);
      msg.respond(await handler(msg.data));
    } catch (error) {
      const problem = headers();
      problem.set(PROBLEM_HEADER, JSON.stringify(toProblem(error)));
      msg.respond(undefined, { headers: problem });
    }
  };
  const subscription = nc.subscribe(rpcSubject.requestWildcard(host), {
    callback: (error, msg) => {
      if (!error) void answer(msg);
    },
  });
  return { stop: () => subscription.unsubscribe() };
};
