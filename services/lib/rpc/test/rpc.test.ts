// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { isWeirError, weirError } from '@weir/errors';
import { FlowService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { HostService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { metricsText, startTelemetry, type Telemetry, trace, withSpan } from '@weir/telemetry';
import { createRpcClient, createRpcServer, implement, type RpcServer } from '../src/index.ts';

const require = createRequire(import.meta.url);
const BIG = 2n ** 63n + 5n;

describe('rpc', () => {
  let server: RpcServer;
  let telemetry: Telemetry;
  let produced = 0;
  let ended = 0;
  let traceOfCall: string | undefined;

  before(async () => {
    telemetry = await startTelemetry({ service: 'rpc-test' });
    const unused = async (): Promise<never> => {
      throw weirError('UNSUPPORTED', 'not here');
    };
    server = await createRpcServer({
      port: 0,
      services: [
        implement(HostService, {
          getHost: async ({ id }) => {
            traceOfCall = trace.getActiveSpan()?.spanContext().traceId;
            if (id === 'slow') await new Promise((done) => setTimeout(done, 500));
            return { host: { id, revision: BIG, labels: { a: 'b' } } };
          },
          createHost: async ({ name }) => {
            if (name === 'boom') throw new Error('secret internals');
            throw weirError('INVALID_ARGUMENT', 'name is not right', {
              field: 'name',
              value: name,
              fix: 'choose another',
              issues: [{ path: 'name', message: 'not right', value: 5n }],
              retryAfterS: 2,
            });
          },
          listHosts: unused,
          updateHost: unused,
          deleteHost: unused,
        }),
        implement(FlowService, {
          listFlows: unused,
          streamFlowGroups: async function* () {},
          streamFlows: async function* (_request, { signal }) {
            try {
              for (; produced < 100_000 && !signal.aborted; produced += 1) {
                if (produced === 50_000) throw weirError('UNAVAILABLE', 'too far', { retryAfterS: 1 });
                yield {};
              }
            } finally {
              ended += 1;
            }
          },
        }),
      ],
    });
  });
  after(async () => {
    await server.close();
    await telemetry.shutdown();
  });

  test('an answer comes back whole, 64-bit numbers too, within its trace', async () => {
    const hosts = createRpcClient(HostService, server.address);
    await withSpan('caller', {}, async (span) => {
      const { host } = await hosts.getHost({ id: 'alpha' });
      assert.deepEqual([host?.id, host?.revision, host?.labels], ['alpha', BIG, { a: 'b' }]);
      assert.equal(traceOfCall, span.spanContext().traceId);
    });
    hosts.close();
    assert.match(
      await metricsText(),
      /weir_rpc_request_duration_seconds_count\{method="\/weir.inventory.v1.HostService\/GetHost",code="OK"\} 1/,
    );
  });

  test('errors keep code, field, value, fix and issues; unexpected ones tell nothing', async () => {
    const hosts = createRpcClient(HostService, server.address);
    await assert.rejects(hosts.createHost({ name: 'x' }), (error) => {
      assert.ok(isWeirError(error));
      const { field, value, fix, issues, retryAfterS } = error.facts;
      assert.deepEqual(
        [error.code, field, value, fix, retryAfterS],
        ['INVALID_ARGUMENT', 'name', 'x', 'choose another', 2],
      );
      assert.deepEqual(issues, [{ path: 'name', message: 'not right', value: '5' }]);
      return true;
    });
    await assert.rejects(hosts.createHost({ name: 'boom' }), (error) => {
      assert.ok(isWeirError(error) && error.code === 'INTERNAL');
      assert.doesNotMatch(JSON.stringify(error.facts.cause) + error.message, /secret/);
      return true;
    });
    await assert.rejects(hosts.listHosts({}), (error) => isWeirError(error) && error.code === 'UNSUPPORTED');
    await assert.rejects(
      hosts.getHost({ id: 'slow' }, { timeoutMs: 50 }),
      (error) => isWeirError(error) && error.code === 'DEADLINE_EXCEEDED',
    );
    hosts.close();
    const nobody = createRpcClient(HostService, '127.0.0.1:1');
    await assert.rejects(
      nobody.getHost({ id: 'x' }, { timeoutMs: 2_000 }),
      (error) => isWeirError(error) && error.code === 'UNAVAILABLE',
    );
    nobody.close();
  });

  test('a stream waits for its reader, ends with it, and tells its errors', async () => {
    const flows = createRpcClient(FlowService, server.address);
    let taken = 0;
    for await (const _flow of flows.streamFlows({})) {
      taken += 1;
      if (taken === 10) {
        await new Promise((done) => setTimeout(done, 300));
        assert.ok(produced < 50_000, `made ahead: ${produced}`);
        break;
      }
    }
    const deadline = Date.now() + 5_000;
    while (ended === 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 10));
    assert.equal(ended, 1, 'the source ended with its reader');
    produced = 49_990;
    await assert.rejects(
      async () => {
        for await (const _flow of flows.streamFlows({}));
      },
      (error) => isWeirError(error) && error.code === 'UNAVAILABLE' && error.facts.retryAfterS === 1,
    );
    flows.close();
  });

  test('health and reflection answer', async () => {
    const healthDir = dirname(require.resolve('grpc-health-check/package.json'));
    const health = loadSync(join(healthDir, 'proto/health/v1/health.proto'))[
      'grpc.health.v1.Health'
    ] as unknown as Record<
      string,
      { path: string; requestSerialize(value: object): Buffer; responseDeserialize(bytes: Buffer): { status: string } }
    >;
    const client = new Client(server.address, credentials.createInsecure());
    const check = health.Check;
    if (check === undefined) throw new Error('no Check');
    const ask = (service: string) =>
      new Promise((done, failed) =>
        client.makeUnaryRequest(
          check.path,
          check.requestSerialize,
          check.responseDeserialize,
          { service },
          new Metadata(),
          (error, answer) => (error ? failed(error) : done(answer?.status)),
        ),
      );
    assert.equal(await ask('weir.inventory.v1.HostService'), 1);
    server.setServing(false);
    assert.equal(await ask(''), 2);
    server.setServing(true);

    const reflectionDir = dirname(require.resolve('@grpc/reflection/package.json'));
    const reflection = loadSync(join(reflectionDir, 'build/proto/grpc/reflection/v1/reflection.proto'))[
      'grpc.reflection.v1.ServerReflection'
    ] as unknown as Record<
      string,
      { path: string; requestSerialize(value: object): Buffer; responseDeserialize(bytes: Buffer): never }
    >;
    const info = reflection.ServerReflectionInfo;
    if (info === undefined) throw new Error('no ServerReflectionInfo');
    const call = client.makeBidiStreamRequest(info.path, info.requestSerialize, info.responseDeserialize);
    call.write({ listServices: '*' });
    call.write({ fileContainingSymbol: 'weir.inventory.v1.HostService' });
    // biome-ignore lint/suspicious/noExplicitAny: as proto-loader gives it
    const answers: any[] = [];
    for await (const answer of call) {
      answers.push(answer);
      if (answers.length === 2) call.end();
    }
    const services = answers[0].listServicesResponse.service.map(({ name }: { name: string }) => name);
    assert.ok(
      services.includes('weir.inventory.v1.HostService') && services.includes('weir.analytics.v1.FlowService'),
      services.join(' '),
    );
    const files = answers[1].fileDescriptorResponse.fileDescriptorProto.map(
      (bytes: Buffer) => fromBinary(FileDescriptorProtoSchema, bytes).name,
    );
    assert.ok(
      files.includes('weir/inventory/v1/inventory.proto') && files.includes('google/protobuf/timestamp.proto'),
      files.join(' '),
    );
    client.close();
  });

  test('a port in use is told as such', async () => {
    const port = Number(server.address.split(':')[1]);
    await assert.rejects(
      createRpcServer({ port, services: [] }),
      (error) => isWeirError(error) && error.facts.value === port,
    );
  });
});
