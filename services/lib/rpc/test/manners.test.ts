// SPDX-License-Identifier: Apache-2.0
/** What a server bounds, whatever the service: time, number and size of calls, and how streams end with it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ERROR_CODES, type ErrorCode, isWeirError, weirError } from '@weir/errors';
import { FlowService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { IdentityService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient, createRpcServer, implement, onceOfCall, type RpcServerOptions } from '../src/index.ts';

const never = (signal: AbortSignal) => once(signal, 'abort');
let stopped = 0;

const start = async (t: TestContext, options: Partial<RpcServerOptions> = {}) => {
  const server = await createRpcServer({
    port: 0,
    services: [
      implement(IdentityService, {
        getIdentity: async ({ identity }, { signal }) => {
          if (identity === 0) {
            await never(signal);
            stopped += 1;
            return {};
          }
          throw weirError(Object.keys(ERROR_CODES)[identity - 1] as ErrorCode, 'told', {
            field: 'identity',
            fix: 'none',
          });
        },
        listIdentities: async (_request, call) => ({ identities: [], nextCursor: onceOfCall(call)?.key ?? '' }),
      }),
      implement(FlowService, {
        listFlows: async () => ({ flows: [] }),
        streamFlowGroups: async function* () {},
        streamFlows: async function* (_request, { signal }) {
          yield { event: { case: 'lost' as const, value: { count: 1n } } };
          await never(signal);
        },
      }),
    ],
    ...options,
  });
  const identities = createRpcClient(IdentityService, server.address);
  const flows = createRpcClient(FlowService, server.address);
  t.after(async () => {
    identities.close();
    flows.close();
    await server.close();
  });
  return { server, identities, flows };
};

const code = (wanted: ErrorCode, field?: string) => (error: unknown) => {
  assert.ok(isWeirError(error), String(error));
  assert.deepEqual([error.code, error.facts.field], [wanted, field]);
  return true;
};

/** Bytes as they are, with no deadline unless one is given. */
const raw = (address: string, bytes: Buffer, deadline?: number): Promise<ServiceError> =>
  new Promise((done, failed) => {
    const client = new Client(address, credentials.createInsecure());
    const same = (value: Buffer): Buffer => value;
    const path = '/weir.inventory.v1.IdentityService/GetIdentity';
    client.makeUnaryRequest(path, same, same, bytes, new Metadata(), deadline ? { deadline } : {}, (error) => {
      client.close();
      if (error) done(error);
      else failed(new Error('it was answered'));
    });
  });
const EMPTY = Buffer.alloc(0);

test('every code of the set arrives as it was thrown, with field and fix', async (t) => {
  const { identities } = await start(t);
  for (const [index, wanted] of (Object.keys(ERROR_CODES) as ErrorCode[]).entries()) {
    await assert.rejects(identities.getIdentity({ identity: index + 1 }), code(wanted, 'identity'));
  }
});

test('a call without a deadline gets one, and its work is told to stop; one with a deadline has that', async (t) => {
  const { server, identities } = await start(t, { deadlineMs: 50 });
  const before = stopped;
  const late = await raw(server.address, EMPTY);
  assert.deepEqual([late.code, late.metadata.get('weir-code')], [4, ['DEADLINE_EXCEEDED']]);
  assert.equal(stopped, before + 1);
  await assert.rejects(identities.getIdentity({ identity: 0 }, { timeoutMs: 200 }), code('DEADLINE_EXCEEDED'));
});

test('what is no message of the type is MALFORMED, what is too large is refused', async (t) => {
  const { server } = await start(t);
  const malformed = await raw(server.address, Buffer.from([0xff, 0xff, 0xff]));
  assert.deepEqual([malformed.code, malformed.metadata.get('weir-code')], [3, ['MALFORMED']]);
  assert.equal((await raw(server.address, Buffer.alloc(5 * 1024 * 1024))).code, 8);
});

test('too many calls are told when to come back', async (t) => {
  const { identities } = await start(t, { callsPerWindow: 3 });
  const calls = await Promise.allSettled(Array.from({ length: 5 }, () => identities.listIdentities({})));
  const refused = calls.flatMap((call) => (call.status === 'rejected' ? [call.reason] : []));
  assert.equal(refused.length, 2);
  for (const error of refused) {
    code('RATE_LIMITED')(error);
    assert.ok(error.facts.retryAfterS >= 1);
  }
});

test('a key of idempotency is read from the metadata; one of the wrong form is refused', async (t) => {
  const { identities } = await start(t);
  const call = (key: string) => identities.listIdentities({}, { metadata: { 'idempotency-key': key } });
  assert.equal((await call('abc-1')).nextCursor, 'abc-1');
  await assert.rejects(call('two words'), code('INVALID_ARGUMENT', 'idempotency-key'));
});

test('a server that ends says so to its streams, and to health', async (t) => {
  const { server, flows } = await start(t);
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const { event } of flows.streamFlows({})) {
      seen.push(event.case);
      void server.close();
    }
  })();
  await assert.rejects(reading, (error) => {
    code('UNAVAILABLE')(error);
    return /ending/.test(String(error));
  });
  assert.deepEqual(seen, ['lost']);
});
