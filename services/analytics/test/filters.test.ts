// SPDX-License-Identifier: Apache-2.0
/** Every filter of the API, on the same flows: stored and live must give just those that the plain reading of it says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseIp } from '@weir/net';
import { FrontendType } from '@weir/proto/weir/bus/v1/config_pb.js';
import { PLAIN, SIDED } from '../src/domain/filter.ts';
import { execIdOf } from '../src/domain/flow-owners.ts';
import type { EndpointView, FlowView } from '../src/domain/flow-view.ts';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchBytes, type FlowInit, flowInit, ip4 } from './support/flows.ts';
import { openSse } from './support/sse.ts';

const NS = 'k8s:io.kubernetes.pod.namespace';
const CIDR_IDENTITY = (1 << 24) + 7;

let service: TestService;
let all: FlowView[];

const peers = [
  { ip: '10.1.0.1', identity: 256 },
  { ip: '10.2.0.1', identity: 257 },
  { ip: '10.3.0.1', identity: 258 },
  { ip: '192.0.2.9', identity: 2 },
  { ip: '198.51.100.7', identity: CIDR_IDENTITY },
];
const wide = [
  { ip: 'fd00::1', identity: 258 },
  { ip: 'fd00:2::5', identity: 257 },
];

/** Each combination of ends with one of a few kinds of traffic. */
const CONTAINER = 'c0ffee'.repeat(10).concat('abcd');
const CURL = { execNs: 2n ** 51n + 3n, pid: 4242, uid: 1000 };
const SERVER = { execNs: 17n, pid: 17, uid: 0 };
const PROCESSES = [
  { ...CURL, binary: Buffer.from('/usr/bin/curl'), unit: CONTAINER, unitKind: 'container' },
  { ...SERVER, binary: Buffer.from('/opt/100%_/server') },
];

const makeFlows = (timeMs: number): FlowInit[] => {
  const kinds: FlowInit[] = [
    {
      ...{ protocol: 6, destinationPort: 443, sourcePort: 40_000, verdict: 1, direction: 2, ruleId: 7, frontend: 41 },
      ...{ sourceXlated: ip4('192.0.2.1'), sockXlatePoint: 2 },
    },
    {
      protocol: 17,
      destinationPort: 53,
      sourcePort: 40_001,
      verdict: 2,
      dropReason: 133,
      direction: 1,
      ruleId: 8,
      pendingVerdict: 1,
      pendingRuleId: 7,
      ...SERVER,
      report: 6,
    },
    {
      protocol: 6,
      destinationPort: 8_080,
      sourcePort: 443,
      verdict: 2,
      frontend: 42,
      dropReason: 181,
      direction: 2,
      ruleId: 0,
      report: 6,
    },
    { protocol: 1, destinationPort: 0, sourcePort: 0, icmpType: 8, icmpCode: 0, tcpFlags: 0, verdict: 4, direction: 1 },
    {
      protocol: 132,
      destinationPort: 9,
      sourcePort: 40_002,
      verdict: 1,
      direction: 2,
      frontend: 999,
      pendingVerdict: 2,
      sourceXlated: parseIp('2001:db8::1'),
      ...CURL,
    },
  ];
  const flows: FlowInit[] = [];
  const add = (
    from: { ip: string; identity: number },
    to: { ip: string; identity: number },
    bytes: (ip: string) => Uint8Array,
  ): void => {
    for (const kind of kinds) {
      flows.push(
        flowInit(flows.length, timeMs + flows.length, {
          ...kind,
          sourceIp: bytes(from.ip),
          destinationIp: bytes(to.ip),
          sourceIdentity: from.identity,
          destinationIdentity: to.identity,
          isReply: flows.length % 3 === 0,
          timeNs: BigInt(timeMs + flows.length) * 1_000_000n,
        }),
      );
    }
  };
  for (const from of peers) for (const to of peers) if (from !== to) add(from, to, ip4);
  for (const from of wide) for (const to of wide) if (from !== to) add(from, to, (ip) => parseIp(ip));
  return flows;
};

const send = async (hosts: readonly [string, string], firstSeq: number, timeMs: number): Promise<number> => {
  const flows = makeFlows(timeMs);
  const half = flows.length >> 1;
  const [first, second] = [flows.slice(0, half), flows.slice(half)].map((part) =>
    batchBytes(BOOT, firstSeq, part, PROCESSES),
  ) as [Uint8Array, Uint8Array];
  await service.send(hosts[0], first, `${hosts[0]}:${BOOT}:${firstSeq}`);
  await service.send(hosts[1], second, `${hosts[1]}:${BOOT}:${firstSeq}`);
  return flows.length;
};

const identity = (number: number, labels: string[]) =>
  service.publishConfig('identity', String(number), { case: 'identity', value: { identity: number, labels } as never });

const workload = (namespace: string, name: string, number: number, ip4Text: string, ip6 = '') =>
  service.publishConfig('workload', `${namespace}.${name}`, {
    case: 'workload',
    value: { id: `${namespace}.${name}`, hostId: 'h1', name, namespace, identity: number, ip4: ip4Text, ip6 } as never,
  });

const serve = (name: string, number: number) =>
  service.publishConfig('service', `shop.${name}`, {
    case: 'service',
    value: {
      ...{ id: `shop.${name}`, namespace: 'shop', name, number, backends: [] },
      frontends: [{ number, type: FrontendType.EXTERNAL_IP, address: '203.0.113.80', port: number, protocol: 6 }],
    } as never,
  });

before(async () => {
  service = await startService();
  await identity(256, ['k8s:app=web', `${NS}=prod`]);
  await identity(257, ['k8s:app=db', `${NS}=prod`]);
  await identity(258, ['k8s:app=web', `${NS}=dev`]);
  await workload('prod', 'web', 256, '10.1.0.1');
  await workload('prod', 'db', 257, '10.2.0.1', 'fd00:2::5');
  await workload('dev', 'web', 258, '10.3.0.1', 'fd00::1');
  for (const [name, number] of [
    ['front', 41],
    ['frame', 42],
  ] as const)
    await serve(name, number);
  await service.publishConfig('policy', 'CiliumNetworkPolicy/prod/db', {
    case: 'policy',
    value: {
      key: 'CiliumNetworkPolicy/prod/db',
      policyRevision: 3n,
      document: '{}',
      rules: [{ path: 'spec.ingress[0]', id: 7, log: 'db only' }],
    } as never,
  });
  const count = await send(['h1', 'h2'], 1, Date.now() - 30_000);
  await until('stored', async () => (await service.stored()) === count);
  await until('names', async () => {
    const { body } = await service.get('/v1/flows?ip=fd00::1&limit=1');
    const named = (await service.get('/v1/flows?service=shop/frame&limit=1')).body.items.length > 0;
    return named && body.items[0]?.source.workload !== null && body.items[0]?.rule?.policy !== null;
  });
  all = (await service.get('/v1/flows?limit=1000')).body.items;
  assert.equal(all.length, count);
  for (const { rule, policy_log: log } of all) assert.equal(log, rule?.id === 7 ? 'db only' : null);
});
after(() => service?.stop());

const either = (test: (end: EndpointView) => boolean) => (flow: FlowView) =>
  test(flow.source) || test(flow.destination);
const source = (test: (end: EndpointView) => boolean) => (flow: FlowView) => test(flow.source);
const destination = (test: (end: EndpointView) => boolean) => (flow: FlowView) => test(flow.destination);
const is = (namespace: string, name: string) => (end: EndpointView) =>
  end.namespace === namespace && end.workload === name;
const has = (label: string) => (end: EndpointView) => end.labels.includes(label);
const in10 = (end: EndpointView) => end.ip.startsWith('10.');

const CASES: readonly [string, (flow: FlowView) => boolean][] = [
  ['verdict=DROPPED', (flow) => flow.verdict === 'DROPPED'],
  ['verdict=dropped&verdict=AUDIT', (flow) => ['DROPPED', 'AUDIT'].includes(flow.verdict)],
  ['direction=EGRESS', (flow) => flow.direction === 'EGRESS'],
  ['protocol=UDP', (flow) => flow.protocol === 'UDP'],
  ['protocol=17&protocol=ICMP', (flow) => ['UDP', 'ICMP'].includes(flow.protocol)],
  ['drop_reason=133', (flow) => flow.drop_reason?.code === 133],
  ['drop_reason=POLICY_DENY', (flow) => flow.drop_reason?.code === 181],
  ['drop_reason=Policy%20denied%20by%20denylist', (flow) => flow.drop_reason?.text === 'Policy denied by denylist'],
  ['drop_reason=133&drop_reason=0', (flow) => flow.drop_reason === null || flow.drop_reason.code === 133],
  ['rule_id=8', (flow) => flow.rule?.id === 8],
  ['pending=DROPPED', (flow) => flow.pending?.verdict === 'DROPPED'],
  ['pending=forwarded&pending=DROPPED', (flow) => flow.pending !== null],
  ['source_xlated=192.0.2.1', (flow) => flow.source_xlated === '192.0.2.1'],
  ['source_xlated=192.0.2.0/24&source_xlated=2001:db8::/32', (flow) => flow.source_xlated !== null],
  ['pending_rule_id=7', (flow) => flow.pending?.rule?.id === 7],
  ['pending_rule_id=0', (flow) => flow.pending !== null && flow.pending.rule === null],
  [
    `exec_id=${encodeURIComponent(execIdOf('h1', CURL))}`,
    (flow) => flow.host === 'h1' && flow.process?.pid === CURL.pid,
  ],
  [
    `exec_id=${encodeURIComponent(execIdOf('nowhere', CURL))}&exec_id=${encodeURIComponent(execIdOf('h2', SERVER))}`,
    (flow) => flow.host === 'h2' && flow.process?.pid === SERVER.pid,
  ],
  ['process=/usr/bin/curl', (flow) => flow.process?.binary === '/usr/bin/curl'],
  ['process=curl&process=absent', (flow) => flow.process?.binary === '/usr/bin/curl'],
  ['process=url&process=server', (flow) => flow.process?.binary === '/opt/100%_/server'],
  ['process=/opt/100%25_/*', (flow) => flow.process?.binary === '/opt/100%_/server'],
  ['process=/opt/1*', (flow) => flow.process?.binary === '/opt/100%_/server'],
  ['process=/opt/100__/*&process=/usr/*', (flow) => flow.process?.binary === '/usr/bin/curl'],
  [`unit=${CONTAINER.slice(0, 12)}`, (flow) => flow.process?.unit === CONTAINER],
  [`unit=${CONTAINER.slice(0, 11)}&unit=${CONTAINER}`, (flow) => flow.process?.unit === CONTAINER],
  ['uid=1000', (flow) => flow.process?.uid === 1000],
  ['uid=0', (flow) => flow.process?.uid === 0],
  [`unit=${CONTAINER}&uid=1000`, (flow) => flow.process?.unit === CONTAINER],
  ['host=h2', (flow) => flow.host === 'h2'],
  ['host=h2&host=unheard-of', (flow) => flow.host === 'h2'],
  ['is_reply=true', (flow) => flow.is_reply],
  ['is_reply=false', (flow) => !flow.is_reply],
  ['ip=10.1.0.1', either((end) => end.ip === '10.1.0.1')],
  ['from_ip=10.0.0.0/8', source(in10)],
  ['to_ip=10.0.0.0/15&to_ip=fd00::/16', destination((end) => end.ip.startsWith('10.1.') || end.ip.startsWith('fd'))],
  ['to_ip=fd00:2::5', destination((end) => end.ip === 'fd00:2::5')],
  ['ip=0.0.0.0/0', either((end) => end.ip.includes('.'))],
  ['ip=::/0', either((end) => end.ip.includes(':'))],
  ['port=443', either((end) => end.port === 443)],
  ['from_port=443', source((end) => end.port === 443)],
  ['to_port=443&to_port=53', destination((end) => [443, 53].includes(end.port))],
  ['identity=257', either((end) => end.identity === 257)],
  ['from_identity=world', source((end) => end.identity === 2)],
  [`to_identity=${CIDR_IDENTITY}`, destination((end) => end.identity === CIDR_IDENTITY)],
  ['label=app=web', either(has('k8s:app=web'))],
  [`from_label=app=web,io.kubernetes.pod.namespace=prod`, source((end) => end.identity === 256)],
  [
    'from_label=app=db&from_label=reserved:world',
    source((end) => has('k8s:app=db')(end) || has('reserved:world')(end)),
  ],
  ['to_label=app%20in%20(web,api)', destination(has('k8s:app=web'))],
  ['to_label=!app', destination((end) => !end.labels.some((label) => label.startsWith('k8s:app=')))],
  ['workload=web', either((end) => end.workload === 'web')],
  ['workload=dev/web', either(is('dev', 'web'))],
  ['from_workload=prod/web&from_workload=prod.db', source((end) => is('prod', 'web')(end) || is('prod', 'db')(end))],
  ['to_workload=prod/db', destination(is('prod', 'db'))],
  ['service=front', (flow) => flow.frontend?.number === 41],
  ['service=shop/fr*&service=prod/nothing', (flow) => [41, 42].includes(flow.frontend?.number ?? 0)],
  ['from_service=shop/front', (flow) => flow.is_reply && flow.frontend?.number === 41],
  ['to_service=shop/*', (flow) => !flow.is_reply && flow.destination_service?.namespace === 'shop'],
  ['namespace=dev', either((end) => end.namespace === 'dev')],
  ['from_namespace=prod', source((end) => end.namespace === 'prod')],
  ['to_namespace=prod&to_namespace=dev', destination((end) => end.namespace !== null)],
  [
    'verdict=DROPPED&protocol=TCP&from_namespace=prod&to_port=8080',
    (flow) =>
      flow.verdict === 'DROPPED' &&
      flow.protocol === 'TCP' &&
      flow.source.namespace === 'prod' &&
      flow.destination.port === 8_080,
  ],
];

/** Ask for things that are not there. */
const EMPTY = [
  'from_workload=nobody',
  'label=app=nothing',
  'namespace=none',
  'service=nothing',
  'service=prod/front',
  'host=unheard-of',
  'rule_id=99',
  'ip=203.0.113.1',
];

const key = (flow: Pick<FlowView, 'host' | 'seq'>): string => `${flow.host}:${flow.seq}`;

describe('stored flows', () => {
  for (const [query, expected] of CASES) {
    test(query, async () => {
      const { status, body } = await service.get(`/v1/flows?limit=1000&${query}`);
      assert.equal(status, 200, JSON.stringify(body));
      const wanted = all.filter(expected).map(key);
      assert.ok(wanted.length > 0 && wanted.length < all.length, `the case proves something (${wanted.length})`);
      assert.deepEqual(body.items.map(key), wanted);
    });
  }
  for (const query of EMPTY) {
    test(`${query} gives nothing`, async () => {
      const { status, body } = await service.get(`/v1/flows?${query}`);
      assert.deepEqual({ status, ...body }, { status: 200, items: [], next_cursor: null });
    });
  }
  test('since and until cut the range, last is a number or a time', async () => {
    const times = all.map(({ time }) => time);
    const [newest, oldest] = [times[9] as string, times[39] as string];
    const { body } = await service.get(`/v1/flows?limit=1000&since=${oldest}&until=${newest}`);
    assert.deepEqual(body.items.map(key), all.slice(10, 40).map(key), 'since is in, until is not');
    assert.deepEqual((await service.get('/v1/flows?last=7')).body.items.map(key), all.slice(0, 7).map(key));
    assert.equal((await service.get('/v1/flows?last=1h&limit=1000')).body.items.length, all.length);
    assert.equal((await service.get('/v1/flows?last=1s')).body.items.length, 0);
  });
  test('every filter of the API has a case', () => {
    const names = [...PLAIN, ...SIDED.flatMap((name) => [name, `from_${name}`, `to_${name}`])];
    const used = new Set(CASES.flatMap(([query]) => query.split('&').map((part) => part.split('=')[0])));
    assert.deepEqual([...used].sort(), names.sort());
  });
});

describe('live flows', () => {
  let seq = 10_001;
  for (const [query, expected] of CASES) {
    test(query, async () => {
      const stream = await openSse(`${service.app.http}/v1/flows/stream?${query}`);
      try {
        assert.equal(stream.status, 200);
        const first = seq;
        await send(['h1', 'h2'], seq, Date.now());
        seq += 1_000;
        const wanted = all.filter(expected).map(({ host, seq: number }) => `${host}:${BOOT}:${first + number - 1}`);
        await stream.waitFor(wanted.length);
        assert.deepEqual(stream.keys().sort(), wanted.sort());
      } finally {
        stream.close();
      }
    });
  }
});

describe('what is wrong is refused with 422', () => {
  const BAD: readonly [string, string][] = [
    ['verdict=MAYBE', 'verdict'],
    ['from_ip=10.0.0.300', 'from_ip'],
    ['ip=10.0.0.0%2F40', 'ip'],
    ['port=99999', 'port'],
    ['protocol=FOO', 'protocol'],
    ['drop_reason=WHY', 'drop_reason'],
    ['since=tomorrow', 'since'],
    ['last=0', 'last'],
    ['last=many', 'last'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['cursor=abc', 'cursor'],
    ['from_label=%27%3B', 'from_label'],
    ['is_reply=perhaps', 'is_reply'],
    ['verdcit=DROPPED', 'verdcit'],
    ['workload=a/b/c', 'workload'],
  ];
  for (const [query, field] of BAD) {
    test(query, async () => {
      const { status, body, headers } = await service.get(`/v1/flows?${query}`);
      assert.equal(status, field === 'cursor' ? 400 : 422);
      assert.match(headers.get('content-type') ?? '', /application\/problem\+json/);
      assert.equal(body.field, field);
      assert.ok(body.fix, 'says what would work');
    });
  }
  test('the stream refuses alike, before it begins', async () => {
    for (const [query, field] of BAD.filter(([query]) => !/limit|cursor/.test(query))) {
      const { status, body } = await service.get(`/v1/flows/stream?${query}`);
      assert.deepEqual([status, body.field], [422, field], query);
    }
  });
});

describe('services', () => {
  test('what the client asked for and who served, in JSON and in SQL', async () => {
    const front = { namespace: 'shop', name: 'front' };
    const asked = { number: 41, type: 'EXTERNAL_IP', address: '203.0.113.80', port: 41 };
    const of = (number: number) => all.filter(({ frontend }) => frontend?.number === number);
    for (const flow of of(41)) {
      const [service, other] = flow.is_reply
        ? [flow.source_service, flow.destination_service]
        : [flow.destination_service, flow.source_service];
      assert.deepEqual([service, other], [front, null]);
      const { ip, port } = flow.is_reply ? flow.source : flow.destination;
      assert.deepEqual(flow.frontend, { ...asked, backend: { ip, port } });
    }
    assert.ok(of(41).length > 0 && of(999).length > 0);
    for (const { source_service: a, destination_service: b, frontend } of of(999))
      assert.deepEqual([a, b, frontend?.type, frontend?.address], [null, null, 'UNKNOWN', null]);
    const { rows } = await service.pool.query(
      `select distinct service, frontend_type, host(frontend_ip) as ip, frontend_port as port from flow_records
        where frontend = 41`,
    );
    assert.deepEqual(rows, [{ service: 'shop/front', frontend_type: 'EXTERNAL_IP', ip: '203.0.113.80', port: 41 }]);
  });

  test('a service that is gone keeps its name, also for whoever starts later', async () => {
    await service.publishConfig('service', 'shop.front', undefined);
    await until('the name to be stored', async () => {
      const { rowCount } = await service.pool.query('select from frontends where number = 41');
      return rowCount === 1;
    });
    await service.restart();
    const { body } = await service.get('/v1/flows?service=shop/front&limit=1');
    assert.equal(body.items[0]?.frontend?.address, '203.0.113.80');
  });
});
