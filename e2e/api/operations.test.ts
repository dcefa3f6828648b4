// SPDX-License-Identifier: Apache-2.0
/**
 * The manners of every operation of the three services, at both doors: what is wrong is told by code and field, ETags guard
 * changes, a key makes a POST happen once, lists come in pages that nothing moves. Driven by rest-table.ts and grpc-table.ts;
 * an operation without an entry there fails. Real services, Postgres and NATS, simulated agents: no kernel needed.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, isWeirError, type Problem } from '@weir/errors';
import { callApi } from '@weir/infra/api';
import { createPipeline, type Pipeline, until } from '@weir/infra/pipeline';
import { createRpcClient } from '@weir/rpc';
import { AUDITED, HOSTS, NAMED, NAMESPACES, OBJECTS, POLICIES, policy, SPARE_HOSTS, WORKLOADS } from './before.ts';
import { GRPC, type GrpcOperation, SERVICES } from './grpc-table.ts';
import { REST, type RestOperation, type Sent } from './rest-table.ts';
import { runtimePolicy } from './runtime.ts';

type ServiceName = 'inventory' | 'policy' | 'analytics';
type Client = Record<string, (request: object, options?: object) => unknown> & { close(): void };

let pipeline: Pipeline;
const clients = new Map<string, Client>();

before(async () => {
  pipeline = await createPipeline({ dir: join(tmpdir(), `weir-e2e-op${process.pid}`), hosts: HOSTS });
  const { urls, grpc } = pipeline.control;
  for (const [service, descriptor, name = descriptor.name] of SERVICES) {
    clients.set(name, createRpcClient(descriptor, grpc[service]) as unknown as Client);
  }
  for (const name of SPARE_HOSTS) await callApi(`${urls.inventory}/v1/hosts`, { body: { name } });
  for (const name of NAMESPACES) {
    await callApi(`${urls.inventory}/v1/namespaces/${name}`, { method: 'PUT', body: { labels: {} } });
  }
  for (const name of WORKLOADS) {
    const body = { name, namespace: 'shop', host: 'a1', labels: { app: name }, netns: `/run/netns/${name}` };
    await callApi(`${urls.inventory}/v1/workloads`, { body });
  }
  for (const [path, body] of OBJECTS) {
    for (const [i, name] of NAMED.entries()) {
      await callApi(`${urls.inventory}${path(name, i)}`, { method: 'PUT', body: body(i) });
    }
  }
  const text = [...POLICIES.map((name) => policy(name)), ...AUDITED.map((name) => policy(name, 80, 'audit'))].join(
    '---\n',
  );
  await callApi(`${urls.policy}/v1/policies`, { raw: { type: 'application/yaml', text } });
  const runtime = POLICIES.map((name) => runtimePolicy(name)).join('---\n');
  await callApi(`${urls.policy}/v1/runtime-policies`, { raw: { type: 'application/yaml', text: runtime } });
  const flows = { WEIR_SIM_FLOWS: '200', WEIR_SIM_FLOWS_TOTAL: '40', WEIR_SIM_PROCESSES: '5' };
  for (const host of ['a1', 'b1']) await pipeline.startAgent(host, flows);
  await until('a1 to have connected its workloads', 60_000, async () => {
    const { state } = await callApi<{ state: string }>(`${urls.inventory}/v1/workloads/shop.web`);
    return state === 'ready';
  });
  await until('events of processes of both hosts to be stored', 60_000, async () => {
    const { items } = await callApi<{ items: unknown[] }>(`${urls.analytics}/v1/processes/events`);
    return items.length === 12;
  });
  await until('flows of both hosts to be stored', 60_000, async () => {
    const { items } = await callApi<{ items: { stored: number }[] }>(`${urls.analytics}/v1/watermarks`);
    return items.length === 2 && items.every(({ stored }) => stored === 40);
  });
});
after(async () => {
  for (const client of clients.values()) client.close();
  await pipeline?.destroy();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every operation
  readonly body: any;
}

const send = async (
  operation: string,
  { path, body, text }: Sent,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> => {
  const [service, method] = operation.split(' ') as [ServiceName, string];
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
  const type = text === undefined ? 'application/json' : 'application/yaml';
  const response = await fetch(pipeline.control.urls[service] + path, {
    method,
    headers: { ...(sent === undefined ? {} : { 'content-type': type }), ...headers },
    ...(sent === undefined ? {} : { body: sent }),
    signal: AbortSignal.timeout(60_000),
  });
  const answer = await response.text();
  const isOne = answer !== '' && !response.headers.get('content-type')?.includes('ndjson');
  return { status: response.status, headers: response.headers, body: isOne ? JSON.parse(answer) : undefined };
};

const told = ({ status, body, headers }: Answer, code: ErrorCode, field: string): Problem => {
  assert.deepEqual([body?.code, body?.field], [code, field], JSON.stringify(body));
  assert.equal(status, body.status);
  assert.match(headers.get('content-type') ?? '', /application\/problem\+json/);
  assert.ok(body.fix, 'says what would work');
  return body;
};

const withQuery = (path: string, query: string): string => `${path}${path.includes('?') ? '&' : '?'}${query}`;

/** The document of the good case is new; one that is there is what a stale tag is about. */
const THERE: Readonly<Record<string, string>> = {
  'policy POST /v1/policies': policy('p1', 90),
  'policy POST /v1/runtime-policies': runtimePolicy('p1', 'Post'),
};

const isGuarded = async (name: string, { good, createOnly }: RestOperation): Promise<void> => {
  const text = THERE[name];
  const sent = text === undefined ? good : { path: good.path, text };
  const stale = await send(name, sent, { 'if-match': '"999999"' });
  const { current } = told(stale, 'PRECONDITION_FAILED', 'If-Match');
  assert.equal(stale.status, 412);
  assert.match(current ?? '', /^"\d+"$/);
  assert.equal(stale.headers.get('etag'), current);
  if (createOnly) told(await send(name, sent, { 'if-none-match': '*' }), 'PRECONDITION_FAILED', 'If-None-Match');
};

const isTagged = async (name: string, { good }: RestOperation): Promise<void> => {
  const tag = (await send(name, good)).headers.get('etag') ?? '';
  assert.match(tag, /^"\d+(\.[-\w]+)?"$/);
  const same = await send(name, good, { 'if-none-match': tag });
  assert.deepEqual([same.status, same.body], [304, undefined]);
  assert.equal((await send(name, good, { 'if-none-match': '"999999"' })).status, 200);
};

/** The good case is done by five at once with one key, and once more; then the key refuses another request. */
const happensOnce = async (name: string, { good, once }: RestOperation): Promise<void> => {
  const headers = { 'idempotency-key': randomUUID() };
  const wanted = good.status ?? 200;
  const answers = await Promise.all(Array.from({ length: 5 }, () => send(name, good, headers)));
  for (const answer of answers.filter(({ status }) => status !== wanted)) {
    told(answer, 'CONFLICT', 'Idempotency-Key');
    assert.ok(Number(answer.headers.get('retry-after')) >= 1);
  }
  const done = answers.filter(({ status }) => status === wanted);
  const first = done.filter(({ headers: given }) => given.get('idempotency-replayed') === null);
  assert.equal(first.length, 1, 'the effect happened once');
  const again = await send(name, good, headers);
  assert.equal(again.headers.get('idempotency-replayed'), 'true');
  assert.equal(again.headers.get('etag'), first[0]?.headers.get('etag'));
  for (const { status, body } of [...done, again]) assert.deepEqual([status, body], [wanted, first[0]?.body]);
  told(await send(name, (once as { other: Sent }).other, headers), 'INVALID_ARGUMENT', 'Idempotency-Key');
};

/** Names of things, whatever they are called in their list. */
const idOf = (item: Record<string, unknown>): string =>
  JSON.stringify(
    [item.id, item.name, item.key, item.identity, item.address, item.host, item.boot, item.seq].map(String),
  );

const comesInPages = async (name: string, { good }: RestOperation): Promise<void> => {
  const whole: unknown[] = (await send(name, { path: withQuery(good.path, 'limit=1000') })).body.items;
  const ids = whole.map((item) => idOf(item as Record<string, unknown>));
  assert.ok(ids.length >= 2, `${ids.length} items`);
  const size = Math.max(1, Math.floor(ids.length / 3));
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const query: string = `limit=${size}${cursor === null ? '' : `&cursor=${cursor}`}`;
    const { body } = await send(name, { path: withQuery(good.path, query) });
    assert.ok(body.items.length <= size);
    found.push(...body.items.map(idOf));
    cursor = body.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(found, ids);
  const foreign = Buffer.from('["elsewhr1","x"]').toString('base64url');
  for (const wrong of ['nonsense', foreign]) {
    told(await send(name, { path: withQuery(good.path, `cursor=${wrong}`) }), 'MALFORMED', 'cursor');
  }
  for (const wrong of ['limit=0', 'limit=1001', 'limit=x']) {
    told(await send(name, { path: withQuery(good.path, wrong) }), 'INVALID_ARGUMENT', 'limit');
  }
};

/** Three events, then what comes behind the first of them is the other two again. */
const streams = async (name: string, { good, stream }: RestOperation): Promise<void> => {
  const [service] = name.split(' ') as [ServiceName];
  const { event: wanted, from } = stream as NonNullable<RestOperation['stream']>;
  const url = pipeline.control.urls[service] + good.path;
  const idsOf = async (lastEventId: string | undefined, count: number): Promise<string[]> => {
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(60_000) });
    assert.match(response.headers.get('content-type') ?? '', /text\/event-stream/);
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const ids = [...text.matchAll(/^event: (\w+)\nid: (.+)$/gm)].flatMap(([, event, id = '']) =>
        event === wanted ? [id] : [],
      );
      if (ids.length >= count) return ids.slice(0, count);
    }
    return assert.fail(`${name}: the stream ended\n${text}`);
  };
  const ids = await idsOf(from, 3);
  assert.ok(ids.every((id) => id !== '') && new Set(ids).size === 3);
  assert.deepEqual(await idsOf(ids[0], 2), ids.slice(1));
  const response = await fetch(url, {
    headers: { 'last-event-id': 'nonsense' },
    signal: AbortSignal.timeout(60_000),
  });
  const problem = (await response.json()) as Problem;
  assert.deepEqual([response.status, problem.code, problem.field], [422, 'INVALID_ARGUMENT', 'Last-Event-ID']);
};

const openapi = (service: ServiceName): { paths: Record<string, Record<string, unknown>> } =>
  JSON.parse(readFileSync(new URL(`../../services/${service}/openapi.json`, import.meta.url), 'utf8'));

describe('REST', () => {
  test('every operation of every openapi.json has an entry, and no entry is of an operation that is gone', () => {
    const known = (['inventory', 'policy', 'analytics'] as const).flatMap((service) =>
      Object.entries(openapi(service).paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${service} ${method.toUpperCase()} ${path}`),
      ),
    );
    assert.deepEqual(Object.keys(REST).sort(), known.sort());
  });

  for (const [name, operation] of Object.entries(REST)) {
    test(name, async () => {
      const { good, bad, guarded, tagged, once, paged, stream } = operation;
      told(await send(name, bad), bad.code, bad.field);
      told(await send(name, { ...good, path: withQuery(good.path, 'colour=red') }), 'INVALID_ARGUMENT', 'colour');
      const [service = '', , path = ''] = name.split(' ');
      const other = await send(`${service} TRACE_`.replace('TRACE_', 'OPTIONS'), { path: good.path });
      told(other, 'METHOD_NOT_ALLOWED', 'method');
      assert.ok((other.headers.get('allow') ?? '').includes(name.split(' ')[1] ?? ''), path);
      if (guarded) await isGuarded(name, operation);
      if (once) await happensOnce(name, operation);
      if (tagged) await isTagged(name, operation);
      if (paged) await comesInPages(name, operation);
      if (stream) await streams(name, operation);
      else if (!once) assert.equal((await send(name, good)).status, good.status ?? 200);
    });
  }

  test('what is added and removed between two pages moves nothing', async () => {
    const name = 'inventory GET /v1/hosts';
    const { body: first } = await send(name, { path: '/v1/hosts?limit=2' });
    await send('inventory POST /v1/hosts', { path: '/v1/hosts', body: { name: 'a0' } });
    await send('inventory POST /v1/hosts', { path: '/v1/hosts', body: { name: 'zz' } });
    const { body: rest } = await send(name, { path: `/v1/hosts?limit=1000&cursor=${first.next_cursor}` });
    const ids: string[] = [...first.items, ...rest.items].map(({ id }: { id: string }) => id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(!ids.includes('a0') && ids.includes('zz') && ids.includes('c1'));
    await send('inventory DELETE /v1/hosts/{id}', { path: '/v1/hosts/a0' });
    const { body: again } = await send(name, { path: `/v1/hosts?limit=1000&cursor=${first.next_cursor}` });
    assert.deepEqual(again, rest);
    const other = await send('inventory GET /v1/namespaces', { path: `/v1/namespaces?cursor=${first.next_cursor}` });
    told(other, 'MALFORMED', 'cursor');
  });

  test('bodies: a type that is not read, too large, too deep, no JSON', async () => {
    const post = (body: string, type = 'application/json') =>
      fetch(`${pipeline.control.urls.inventory}/v1/hosts`, { method: 'POST', body, headers: { 'content-type': type } });
    const codeOf = async (response: Response) => [response.status, ((await response.json()) as Problem).code];
    assert.deepEqual(await codeOf(await post('<a/>', 'text/xml')), [415, 'UNSUPPORTED_MEDIA_TYPE']);
    assert.deepEqual(await codeOf(await post(`{"name":"${'x'.repeat(2 ** 21)}"}`)), [413, 'TOO_LARGE']);
    assert.deepEqual(await codeOf(await post('['.repeat(200) + ']'.repeat(200))), [400, 'MALFORMED']);
    assert.deepEqual(await codeOf(await post('{')), [400, 'MALFORMED']);
  });
});

interface Told {
  readonly host: string;
  readonly produced: bigint;
  readonly stored: bigint;
  readonly onItsWay: bigint;
  readonly lost: Readonly<Record<'throttle' | 'ring' | 'spool' | 'deadLetter', bigint>>;
}

interface Traced {
  readonly receivedUs: bigint;
  readonly committedUs: bigint;
  readonly hosts: readonly unknown[];
}

const refused = async (work: unknown, code: ErrorCode, field?: string): Promise<void> => {
  await assert.rejects(Promise.resolve(work), (error) => {
    assert.ok(isWeirError(error), String(error));
    assert.deepEqual([error.code, field === undefined ? undefined : error.facts.field], [code, field], error.message);
    return true;
  });
};

describe('gRPC', () => {
  test('every method of every service has an entry', () => {
    const known = SERVICES.flatMap(([, descriptor, name = descriptor.name]) =>
      descriptor.methods.map((method) => `${name}.${method.name}`),
    );
    assert.deepEqual(Object.keys(GRPC).sort(), known.sort());
  });

  const methodOf = (name: string) => {
    const [service = '', method = ''] = name.split('.');
    return clients.get(service)?.[`${method[0]?.toLowerCase()}${method.slice(1)}`];
  };
  const call = async (name: string, request: object, metadata: Record<string, string> = {}) => {
    const work = methodOf(name);
    return (await work?.(request, { metadata, timeoutMs: 60_000 })) as Record<string, unknown>;
  };
  const stream = async (name: string, request: object, count: number): Promise<unknown[]> => {
    const events: unknown[] = [];
    const source = methodOf(name)?.(request) as AsyncIterable<unknown>;
    for await (const event of source) if (events.push(event) >= count) break;
    return events;
  };

  /** A heartbeat between two calls changes what a host says of itself, and no more. */
  const settled = (items: unknown): unknown[] =>
    (items as Record<string, unknown>[]).map(({ status, ...item }) => item);

  const comesInPagesToo = async (name: string, { good, paged }: GrpcOperation): Promise<void> => {
    const { items, size, cursor, next } = paged as NonNullable<GrpcOperation['paged']>;
    const whole = settled((await call(name, { ...good, [size]: 1_000 }))[items]);
    assert.ok(whole.length >= 2);
    const found: unknown[] = [];
    let at = '';
    do {
      const page = await call(name, { ...good, [size]: Math.ceil(whole.length / 3), [cursor]: at });
      found.push(...settled(page[items]));
      at = page[next] as string;
    } while (at !== '');
    assert.deepEqual(found, whole);
    const field = cursor === 'pageToken' ? 'page_token' : 'cursor';
    await refused(call(name, { ...good, [cursor]: 'nonsense' }), 'MALFORMED', field);
  };

  for (const [name, operation] of Object.entries(GRPC)) {
    test(name, async () => {
      const { good, bad, code = 'INTERNAL', field, stale = [], once, paged } = operation;
      if (operation.stream) {
        await refused(stream(name, bad ?? {}, 1), code, field);
        assert.equal((await stream(name, good, 3)).length, 3);
        return;
      }
      if (bad !== undefined) await refused(call(name, bad), code, field);
      for (const request of stale) await refused(call(name, request), 'PRECONDITION_FAILED');
      if (paged) await comesInPagesToo(name, operation);
      const metadata: Record<string, string> = once === undefined ? {} : { 'idempotency-key': randomUUID() };
      const answer = await call(name, good, metadata);
      if (once === undefined) return;
      assert.deepEqual(await call(name, good, metadata), answer);
      await refused(call(name, once.other, metadata), 'INVALID_ARGUMENT', 'Idempotency-Key');
    });
  }

  test('both doors tell the same account of each host, and the same trace of a revision', async () => {
    const { accounts } = (await call('AccountingService.ListAccounts', {})) as { accounts: Told[] };
    const { body } = await send('analytics GET /v1/accounting', { path: '/v1/accounting' });
    assert.deepEqual(
      accounts.map(({ host, produced, stored, onItsWay }) => [
        host,
        Number(produced),
        Number(stored),
        Number(onItsWay),
      ]),
      body.items.map((one: Record<string, unknown>) => [one.host, one.produced, one.stored, one.on_its_way]),
    );
    for (const { produced, stored, onItsWay, lost } of accounts) {
      const places = [lost.throttle, lost.ring, lost.spool, lost.deadLetter];
      assert.equal(
        produced,
        places.reduce((sum, count) => sum + count, stored + onItsWay),
      );
    }
    const { trace } = (await call('RevisionService.GetRevisionTrace', { revision: 1n })) as { trace: Traced };
    const rest = await send('policy GET /v1/revisions/{revision}/trace', { path: '/v1/revisions/1/trace' });
    assert.deepEqual(
      [Number(trace.receivedUs), Number(trace.committedUs), trace.hosts.length],
      [rest.body.received_us, rest.body.committed_us, rest.body.hosts.length],
    );
  });

  test('a deadline that passes ends the call, whatever it waits for', async () => {
    // No host will ever hold it.
    const revisions = clients.get('RevisionService');
    const waiting = revisions?.getRevision?.({ revision: 2_000_000_000n, waitS: 60 }, { timeoutMs: 300 });
    await refused(waiting, 'DEADLINE_EXCEEDED');
  });
});
