// SPDX-License-Identifier: Apache-2.0
/** What a client of Tetragon gets at the agent's socket, over the wire. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { process_event } from '@weir/bpf';
import { configSubject } from '@weir/bus';
import { CapabilitiesType } from '@weir/proto/tetragon/capabilities_pb.js';
import {
  EventType,
  FieldFilterAction,
  type GetEventsRequestSchema,
  type GetEventsResponse,
} from '@weir/proto/tetragon/events_pb.js';
import { FineGuidanceSensors, TracingPolicyState } from '@weir/proto/tetragon/sensors_pb.js';
import { Kind, ProcessEventSchema } from '@weir/proto/weir/process/v1/process_pb.js';
import { createRpcClient, type RpcClient } from '@weir/rpc';
import { ProcessCache } from '../src/processes/cache.ts';
import { unitOf } from '../src/processes/units.ts';
import type { Report } from '../src/report/report.ts';
import { type Sensors, serveSensors } from '../src/tetragon/serve.ts';

type Request = MessageInitShape<typeof GetEventsRequestSchema>;

const dir = mkdtempSync(join(tmpdir(), 'weir-sensors-'));
const socket = join(dir, 'tetragon.sock');
const cache = new ProcessCache({
  host: 'h1',
  clockOffsetNs: () => 0n,
  places: { cgroupPath: () => '', unit: unitOf, workload: () => undefined },
});
const report = {
  runtime: [{ subject: configSubject('runtimePolicy', 'TracingPolicy/-/watch'), state: 'loaded', hooks: [] }],
  errors: [
    {
      subject: configSubject('runtimePolicy', 'TracingPolicy/-/shadow'),
      code: 'UNSUPPORTED',
      message: 'not enforced yet',
    },
    { subject: configSubject('policy', 'NetworkPolicy/shop/web'), code: 'INTERNAL', message: 'other' },
  ],
} as unknown as Report;
let sensors: Sensors | undefined;
let client: RpcClient<typeof FineGuidanceSensors>;

before(async () => {
  const none = process_event.decode(Buffer.alloc(process_event.size));
  const nothing = Buffer.alloc(0);
  for (const [pid, parent_pid, binary] of [
    [1, 0, '/sbin/init'],
    [5, 1, '/bin/sh'],
    [7, 5, '/usr/bin/cat'],
  ] as const)
    cache.take({
      ...{ kind: 'exec', cwd: nothing, args: nothing, env: nothing, isIncomplete: false, binary: Buffer.from(binary) },
      facts: { ...none, pid, exec_ns: BigInt(pid), parent_pid, parent_exec_ns: BigInt(parent_pid) },
    });
  const options = { cache: () => cache, report: () => report, features: ['tcx'], onTrouble: assert.fail };
  sensors = await serveSensors({ host: 'h1', socket }, options);
  client = createRpcClient(FineGuidanceSensors, `unix:${socket}`);
});
after(async () => {
  client.close();
  await sensors?.close();
  rmSync(dir, { recursive: true, force: true });
});

const execIdOf = (pid: number): string => cache.byPid(pid)?.execId ?? '';

const CAT = {
  ...{ execId: '', pid: 7, uid: 0, binary: '/usr/bin/cat', arguments: '/etc/shadow', docker: 'abc', inInitTree: true },
  cap: { effective: [CapabilitiesType.CAP_NET_RAW, CapabilitiesType.CAP_CHOWN] },
};
const SHELL = { pid: 5, binary: '/bin/sh', arguments: '-c x' };

const events = (): Uint8Array[] => {
  const process = { ...CAT, execId: execIdOf(7) };
  const of = (kind: Kind, event: object, workload = ''): Uint8Array =>
    toBinary(
      ProcessEventSchema,
      create(ProcessEventSchema, { kind, timeNs: 1_500_000_001n, workload, event: { event } as never }),
    );
  return [
    of(Kind.FORK, { case: 'processExec', value: { process: { pid: 99 } } }),
    of(Kind.EXEC, { case: 'processExec', value: { process, parent: SHELL } }, 'shop.web'),
    of(Kind.EXIT, { case: 'processExit', value: { process, parent: SHELL, signal: 'SIGKILL' } }),
    of(Kind.EXEC, { case: 'processExec', value: { process: { pid: 1, binary: '/sbin/init', execId: execIdOf(1) } } }),
    of(Kind.HOOK, { case: 'processKprobe', value: { process, functionName: 'tcp_connect', policyName: 'p1' } }),
  ];
};

/** Told by their time, which no filter takes away. */
const marker = (timeNs: bigint): Uint8Array =>
  toBinary(
    ProcessEventSchema,
    create(ProcessEventSchema, {
      ...{ kind: Kind.EXEC, timeNs },
      event: { event: { case: 'processExec', value: { process: { pid: 4_000, binary: 'marker' } } } },
    }),
  );
const isMarker = ({ time }: GetEventsResponse): boolean => time?.seconds === 0n;

/** What comes of one round of all events. */
const heard = async (request: Request): Promise<GetEventsResponse[]> => {
  const allowList = request.allowList?.length ? [...request.allowList, { binaryRegex: ['^marker$'] }] : [];
  const got: GetEventsResponse[] = [];
  const read = async (): Promise<void> => {
    for await (const event of client.getEvents({ ...request, allowList } as Request)) {
      got.push(event);
      if (event.time?.nanos === 2 && isMarker(event)) return;
    }
  };
  let failed: unknown;
  const reading = read().catch((error: unknown) => {
    failed = error;
  });
  // Whoever has only asked is not listening yet.
  for (; got.length === 0 && failed === undefined; await sleep(10)) sensors?.publish([marker(1n)]);
  sensors?.publish([...events(), marker(2n)]);
  await reading;
  assert.equal(failed, undefined);
  return got.filter((event) => !isMarker(event));
};

const kinds = (found: readonly GetEventsResponse[]): string[] => found.map(({ event }) => event.case ?? '');

test('only root may open the socket', () => {
  assert.equal(statSync(socket).mode & 0o777, 0o600);
});

test('every event but forks, with the names of host and workload', async () => {
  const found = await heard({ allowList: [{}] });
  assert.deepEqual(kinds(found), ['processExec', 'processExit', 'processExec', 'processKprobe']);
  const [exec, exit] = found;
  assert.deepEqual([exec?.nodeName, exec?.time?.seconds, exec?.time?.nanos], ['h1', 1n, 500_000_001]);
  const pod = exec?.event.case === 'processExec' ? exec.event.value.process?.pod : undefined;
  assert.deepEqual([pod?.namespace, pod?.name], ['shop', 'web']);
  assert.equal(exit?.event.case === 'processExit' && exit.event.value.signal, 'SIGKILL');
});

test('filters: each field, together, and what is denied', async () => {
  const cat = ['processExec', 'processExit', 'processKprobe'];
  const EXIT = EventType.PROCESS_EXIT;
  for (const [request, wanted] of [
    [{}, ['processExec', 'processExit', 'processExec', 'processKprobe']],
    [{ allowList: [{ binaryRegex: ['CAT$'] }] }, []],
    [{ allowList: [{ binaryRegex: ['(?i)CAT$'] }] }, cat],
    [{ allowList: [{ binaryRegex: ['cat'], namespace: ['shop'], podRegex: ['^web'] }] }, ['processExec']],
    [{ allowList: [{ namespace: [''] }] }, ['processExit', 'processExec', 'processKprobe']],
    [{ allowList: [{ namespaceRegex: ['^sh'] }] }, ['processExec']],
    [{ allowList: [{ eventSet: [EXIT] }] }, ['processExit']],
    [{ allowList: [{ eventSet: [EXIT] }, { policyNames: ['p1'] }] }, ['processExit', 'processKprobe']],
    [{ allowList: [{ pid: [1] }] }, ['processExec']],
    [{ allowList: [{ pidSet: [5] }] }, cat],
    [{ allowList: [{ pidSet: [1] }] }, ['processExec', 'processExit', 'processExec', 'processKprobe']],
    [{ allowList: [{ argumentsRegex: ['shadow$'], parentBinaryRegex: ['sh$'] }] }, ['processExec', 'processExit']],
    [{ allowList: [{ parentArgumentsRegex: ['^-c'] }] }, ['processExec', 'processExit']],
    [{ allowList: [{ ancestorBinaryRegex: ['init'] }] }, cat],
    [{ allowList: [{ ancestorBinaryRegex: ['^/bin/sh'] }] }, []],
    [{ allowList: [{ containerId: ['^ab'] }] }, cat],
    [{ allowList: [{ inInitTree: true }] }, cat],
    [{ allowList: [{ healthCheck: true }] }, []],
    [{ allowList: [{ capabilities: { effective: { any: [CapabilitiesType.CAP_NET_RAW] } } }] }, cat],
    [{ allowList: [{ capabilities: { effective: { exactly: [CapabilitiesType.CAP_NET_RAW] } } }] }, []],
    [{ allowList: [{ binaryRegex: ['cat'] }], denyList: [{ parentBinaryRegex: ['sh$'] }] }, ['processKprobe']],
    [{ denyList: [{ binaryRegex: ['cat'] }] }, ['processExec']],
  ] as const)
    assert.deepEqual(kinds(await heard(request as unknown as Request)), wanted, JSON.stringify(request));
});

test('field filters: what is excluded stays out whatever is included', async () => {
  const exec = async (fieldFilters: Request['fieldFilters']) => {
    const [one] = await heard({
      allowList: [{ eventSet: [EventType.PROCESS_EXEC], pid: [7] }],
      fieldFilters,
    } as Request);
    assert.equal(one?.event.case, 'processExec');
    return one?.event.case === 'processExec' ? one.event.value : undefined;
  };
  const without = await exec([{ fields: { paths: ['parent', 'process.cap'] }, action: FieldFilterAction.EXCLUDE }]);
  assert.deepEqual([without?.parent, without?.process?.cap, without?.process?.pid], [undefined, undefined, 7]);
  const only = await exec([
    { fields: { paths: ['process.binary', 'process.pod.name', 'parent'] } },
    { fields: { paths: ['parent.arguments'] }, action: FieldFilterAction.EXCLUDE },
  ]);
  assert.deepEqual(
    [only?.process?.binary, only?.process?.pid, only?.process?.pod?.name, only?.process?.pod?.namespace],
    ['/usr/bin/cat', undefined, 'web', ''],
  );
  assert.deepEqual([only?.parent?.binary, only?.parent?.arguments], ['/bin/sh', '']);
  const others = await exec([
    { eventSet: [EventType.PROCESS_EXEC], invertEventSet: true, fields: { paths: ['process.binary'] } },
  ]);
  assert.equal(others?.process?.pid, 7);
});

test('what cannot be judged is refused, and says why', async () => {
  for (const [request, field] of [
    [{ allowList: [{ binaryRegex: ['('] }] }, 'binary_regex'],
    [{ allowList: [{ celExpression: ['true'] }] }, 'cel_expression'],
    [{ denyList: [{ labels: ['app=web'] }] }, 'labels'],
    [{ fieldFilters: [{ fields: { paths: ['process.nothing'] } }] }, 'field_filters'],
  ] as const) {
    const refused = async (): Promise<void> => {
      for await (const _ of client.getEvents(request as unknown as Request)) return;
    };
    await assert.rejects(refused, (error: { code?: string; facts?: { field?: string } }) => {
      assert.deepEqual([error.code, error.facts?.field], ['INVALID_ARGUMENT', field]);
      return true;
    });
  }
});

test('health, version and policies, none of which passes for enforced', async () => {
  const { healthStatus } = await client.getHealth({});
  assert.equal(healthStatus[0]?.details, 'running');
  assert.match((await client.getVersion({})).version, /^\d+\.\d+\.\d+$/);
  assert.deepEqual(
    (await client.getInfo({})).probes.map(({ Name }) => Name),
    ['tcx'],
  );
  const { policies } = await client.listTracingPolicies({});
  assert.deepEqual(
    policies.map(({ name, namespace, state, error }) => [name, namespace, state, error]),
    [
      ['watch', '', TracingPolicyState.TP_STATE_ENABLED, ''],
      ['shadow', '', TracingPolicyState.TP_STATE_LOAD_ERROR, 'not enforced yet'],
    ],
  );
  await assert.rejects(client.addTracingPolicy({ yaml: 'x' }), { code: 'UNSUPPORTED' });
});
