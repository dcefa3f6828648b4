// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ERROR_CODES, type ErrorCode, isWeirError, weirError } from '@weir/errors';
import { startTelemetry, type Telemetry, trace } from '@weir/telemetry';
import { Type } from 'typebox';
import {
  Cursors,
  createHttp,
  etag,
  type HttpApp,
  listen,
  named,
  openapiText,
  pageOf,
  pageQuery,
  ref,
  requireMatch,
  textBodies,
} from '../src/index.ts';

const Thing = named(
  'Thing',
  Type.Object(
    {
      name: Type.String({ pattern: '^[a-z]+$', description: 'lower-case letters' }),
      size: Type.Optional(Type.Integer({ minimum: 1 })),
      colour: Type.Optional(Type.Union([Type.Literal('red'), Type.Literal('green')])),
      big: Type.Optional(Type.Integer()),
    },
    { additionalProperties: false },
  ),
);

const THINGS = new Cursors('things', Type.Integer());

const build = async (): Promise<HttpApp> => {
  const app = await createHttp({
    service: 'test',
    docs: { title: 'Test' },
    schemas: [Thing],
    limits: { bodyBytes: 10_000, requests: 500, windowMs: 60_000 },
    ready: { database: async () => {} },
  });
  app.post('/v1/things', { schema: { body: ref(Thing), response: { 201: ref(Thing) } } }, async (request, reply) => {
    reply.status(201).header('etag', etag(3n));
    return { ...request.body, big: (2n ** 60n) as unknown as number };
  });
  app.get(
    '/v1/things',
    {
      schema: {
        querystring: Type.Object(
          { ...pageQuery, tag: Type.Optional(Type.Array(Type.String())) },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(Type.Object({ name: Type.String() })) },
      },
    },
    async ({ query }) => {
      const from = THINGS.decode(query.cursor, { tag: query.tag }) ?? 0;
      const rows = Array.from({ length: 25 }, (_, index) => index).slice(from, from + (query.limit ?? 100) + 1);
      return THINGS.page(
        rows,
        query.limit ?? 100,
        (row) => ({ name: `${row}${query.tag ?? ''}` }),
        (row) => row + 1,
        { tag: query.tag },
      );
    },
  );
  app.patch('/v1/things', async (request) => {
    requireMatch(request.headers['if-match'], 3n);
    return {};
  });
  app.get('/v1/codes/:code', async (request) => {
    throw weirError((request.params as { code: ErrorCode }).code, 'told', { field: 'x', fix: 'y', retryAfterS: 2 });
  });
  app.get('/v1/fails', async () => {
    throw new Error('secret internals');
  });
  app.get('/v1/away', async () => {
    throw weirError('UNAVAILABLE', 'the database is not reachable', { retryAfterS: 1 });
  });
  app.post('/v1/trace', async () => ({ trace: trace.getActiveSpan()?.spanContext().traceId ?? null }));
  await app.register(async (scope) => {
    textBodies(scope);
    scope.post('/v1/text', async (request) => ({ text: request.body }));
  });
  return app;
};

describe('http', () => {
  let app: HttpApp;
  let url: string;
  let telemetry: Telemetry;

  before(async () => {
    telemetry = await startTelemetry({ service: 'http-test' });
    app = await build();
    url = await listen(app, { port: 0 });
  });
  after(async () => {
    await app.close();
    await telemetry.shutdown();
  });

  const send = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at freely
  ): Promise<{ status: number; body: any; headers: Headers }> => {
    const response = await fetch(url + path, {
      method,
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text, headers: response.headers };
  };

  test('a good request is answered, 64-bit numbers are whole', async () => {
    const response = await fetch(`${url}/v1/things`, {
      method: 'POST',
      body: '{"name":"web"}',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('etag'), '"3"');
    assert.equal(await response.text(), '{"name":"web","big":1152921504606846976}');
  });

  test('each thing wrong is named with its value and what would work', async () => {
    const { status, body, headers } = await send('POST', '/v1/things', {
      name: 'Web',
      size: '5',
      colour: 'gren',
      nane: 1,
    });
    assert.equal(status, 422);
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.equal(body.code, 'INVALID_ARGUMENT');
    const byPath = Object.fromEntries(body.errors.map((issue: { path: string }) => [issue.path, issue]));
    assert.deepEqual(byPath.nane, {
      path: 'nane',
      message: 'is not a known field',
      value: 1,
      fix: 'did you mean name?',
    });
    assert.deepEqual(byPath.name, {
      path: 'name',
      message: 'does not have the right form',
      value: 'Web',
      fix: 'lower-case letters',
    });
    assert.deepEqual(byPath.colour, {
      path: 'colour',
      message: 'is not one of the values known here',
      value: 'gren',
      fix: 'did you mean green?',
    });
    assert.equal(byPath.size.value, '5');
    assert.equal(body.errors.length, 4);
    const missing = await send('POST', '/v1/things', {});
    assert.deepEqual([missing.body.field, missing.body.fix], ['name', 'give name']);
  });

  test('what cannot be read is 400, too large 413, unknown 404, poison refused', async () => {
    const broken = await send('POST', '/v1/things', '{"name": "web",\n  }');
    assert.deepEqual([broken.status, broken.body.code, broken.body.line], [400, 'MALFORMED', 2]);
    assert.equal((await send('POST', '/v1/things', 'x', { 'content-type': 'image/png' })).status, 415);
    assert.equal((await send('POST', '/v1/things', { name: 'x'.repeat(10_001) })).status, 413);
    assert.equal((await send('GET', '/v1/none')).body.code, 'NOT_FOUND');
    assert.equal((await send('POST', '/v1/things', '{"name":"web","__proto__":{"x":1}}')).status, 400);
    assert.equal((await send('POST', '/v1/things', '['.repeat(5_000) + ']'.repeat(5_000))).status, 400);
  });

  test('pages follow one another; a made-up cursor is refused', async () => {
    const names: string[] = [];
    let cursor: string | null = null;
    do {
      const { body } = await send('GET', `/v1/things?limit=10${cursor ? `&cursor=${cursor}` : ''}`);
      names.push(...body.items.map((item: { name: string }) => item.name));
      cursor = body.next_cursor;
    } while (cursor);
    assert.equal(names.length, 25);
    const strange = [
      'abc',
      new Cursors('things', Type.String()).encode('x'),
      new Cursors('others', Type.Integer()).encode(3),
      THINGS.encode(3, { tag: ['a'] }),
    ];
    for (const cursor of strange) {
      const { status, body } = await send('GET', `/v1/things?cursor=${cursor}`);
      assert.deepEqual([status, body.code, body.field], [400, 'MALFORMED', 'cursor'], cursor);
    }
    assert.equal((await send('GET', `/v1/things?tag=a&cursor=${THINGS.encode(3, { tag: ['a'] })}`)).status, 200);
    assert.equal((await send('GET', '/v1/things?limit=0')).body.errors[0].path, 'limit');
    assert.equal((await send('GET', '/v1/things?tag=a&tag=b&limit=1')).body.items[0].name, '0a,b');
    assert.equal((await send('GET', '/v1/things?tag=a&limit=1')).body.items[0].name, '0a');
  });

  test('a path that exists takes certain methods, types and parameters', async () => {
    const method = await send('DELETE', '/v1/things');
    assert.deepEqual(
      [method.status, method.body.code, method.headers.get('allow')],
      [405, 'METHOD_NOT_ALLOWED', 'GET, PATCH, POST'],
    );
    const type = await fetch(`${url}/v1/things`, {
      method: 'POST',
      body: '<a/>',
      headers: { 'content-type': 'text/xml' },
    });
    assert.deepEqual([type.status, ((await type.json()) as { code: string }).code], [415, 'UNSUPPORTED_MEDIA_TYPE']);
    assert.equal((await send('GET', '/v1/nothing')).body.code, 'NOT_FOUND');
    const unknown = await send('GET', '/v1/things?limi=3');
    assert.deepEqual([unknown.status, unknown.body.field, unknown.body.fix], [422, 'limi', 'did you mean limit?']);
  });

  test('every code of the set is answered with its status, title and Retry-After', async () => {
    for (const [code, { status, title }] of Object.entries(ERROR_CODES)) {
      const answer = await send('GET', `/v1/codes/${code}`);
      const { body, headers } = answer;
      assert.deepEqual([answer.status, body.code, body.title, body.field, body.fix], [status, code, title, 'x', 'y']);
      assert.equal(headers.get('retry-after'), '2');
    }
  });

  test('If-Match guards a change', async () => {
    assert.equal((await send('PATCH', '/v1/things', {}, { 'if-match': '"2"' })).status, 412);
    assert.equal((await send('PATCH', '/v1/things', {}, { 'if-match': '"3"' })).status, 200);
    assert.equal((await send('PATCH', '/v1/things', {}, { 'if-match': '*' })).status, 200);
  });

  test('an unexpected error tells nothing of its inside; unavailable says when to come back', async () => {
    const failed = await send('GET', '/v1/fails');
    assert.equal(failed.status, 500);
    assert.doesNotMatch(JSON.stringify(failed.body), /secret/);
    const away = await send('GET', '/v1/away');
    assert.deepEqual([away.status, away.headers.get('retry-after')], [503, '1']);
  });

  test('the trace of a request comes in by traceparent and reaches the handler, after its body too', async () => {
    const id = '0af7651916cd43dd8448eb211c80319c';
    const { body } = await send(
      'POST',
      '/v1/trace',
      { a: 'x'.repeat(5_000) },
      { traceparent: `00-${id}-b7ad6b7169203331-01` },
    );
    assert.equal(body.trace, id);
    assert.equal(
      (await send('GET', '/v1/none', undefined, { traceparent: `00-${id}-b7ad6b7169203331-01` })).body.trace_id,
      id,
    );
  });

  test('YAML arrives as text; a scope may take JSON as text as well', async () => {
    assert.equal((await send('POST', '/v1/text', 'a: 1', { 'content-type': 'application/yaml' })).body.text, 'a: 1');
    assert.equal((await send('POST', '/v1/text', '{"a" :1}')).body.text, '{"a" :1}');
    assert.equal((await send('POST', '/v1/things', 'a: 1', { 'content-type': 'text/yaml' })).status, 422);
  });

  test('health, metrics, documentation', async () => {
    assert.equal((await send('GET', '/healthz')).body.status, 'ok');
    assert.equal((await send('GET', '/readyz')).body.checks.database, 'ok');
    assert.match(
      (await send('GET', '/metrics')).body,
      /weir_http_request_duration_seconds_count\{method="POST",route="\/v1\/things",status="422"/,
    );
    const { body: document } = await send('GET', '/openapi.json');
    assert.equal(document.openapi, '3.1.0');
    assert.ok(document.components.schemas.Thing && document.components.schemas.Problem);
    assert.equal(
      document.paths['/v1/things'].post.requestBody.content['application/json'].schema.$ref,
      '#/components/schemas/Thing',
    );
    assert.ok(document.paths['/v1/things'].post.responses['4XX'].content['application/problem+json']);
    assert.equal(openapiText(app), `${JSON.stringify(document, null, 2)}\n`);
    const docs = await send('GET', '/docs/');
    assert.equal(docs.status, 200);
    assert.match(docs.headers.get('content-security-policy') ?? '', /script-src 'self'/);
    assert.doesNotMatch(docs.headers.get('content-security-policy') ?? '', /upgrade-insecure/);
    assert.match((await send('GET', '/v1/things')).headers.get('content-security-policy') ?? '', /default-src 'none'/);
  });

  test('an overloaded service says so, and is alive; what the start took is not held against it', async () => {
    const overload = async (startGraceMs: number): Promise<number[]> => {
      const limits = { eventLoopDelayMs: 100, startGraceMs };
      const slow = await createHttp({ service: 'slow', docs: { title: 'Slow' }, limits });
      slow.get('/v1/x', async () => ({}));
      const address = await listen(slow, { port: 0 });
      const statuses: number[] = [];
      try {
        for (let round = 0; round < 4 && !statuses.includes(503); round += 1) {
          const until = performance.now() + 700;
          while (performance.now() < until);
          await new Promise((done) => setTimeout(done, 50));
          const answer = await fetch(`${address}/v1/x`);
          statuses.push(answer.status, (await fetch(`${address}/healthz`)).status);
          if (answer.status === 503) assert.equal(answer.headers.get('retry-after'), '1');
        }
      } finally {
        await slow.close();
      }
      return statuses;
    };
    const overloaded = await overload(0);
    assert.deepEqual(overloaded.slice(-2), [503, 200], overloaded.join(' '));
    assert.deepEqual([...new Set(await overload(60_000))], [200]);
  });

  test('a port in use is told as such', async () => {
    const other = await createHttp({ service: 'other', docs: { title: 'Other' } });
    const port = Number(new URL(url).port);
    await assert.rejects(listen(other, { port }), (error) => isWeirError(error) && error.facts.value === port);
    await other.close();
  });

  test('nobody holds up the end who asks nothing, or half of something; an answer under way is finished', async () => {
    const ending = await createHttp({ service: 'ending', docs: { title: 'Ending' } });
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
    const { promise: allowed, resolve: allow } = Promise.withResolvers<void>();
    ending.get('/slow', { schema: { hide: true } }, async () => {
      isAsked();
      await allowed;
      return 'done';
    });
    const address = await listen(ending, { port: 0 });
    const port = Number(new URL(address).port);
    const silent = connect(port, '127.0.0.1');
    const half = connect(port, '127.0.0.1', () => half.write('GET /v1/things HTTP/1.1\r\nhost: x\r\n'));
    const gone = [silent, half].map(async (socket) => {
      socket.resume();
      await Promise.all([once(socket, 'connect'), once(socket, 'close')]);
    });
    const slow = fetch(`${address}/slow`);
    await asked;
    const end = ending.close();
    await Promise.all(gone);
    allow();
    assert.equal(await (await slow).text(), 'done');
    await end;
  });

  test('too many requests are told when to come back', async () => {
    const answers = await Promise.all(Array.from({ length: 500 }, () => send('GET', '/v1/things?limit=1')));
    const refused = answers.find(({ status }) => status === 429);
    assert.equal(refused?.body.code, 'RATE_LIMITED');
    assert.ok(Number(refused?.headers.get('retry-after')) >= 1);
    assert.equal((await send('GET', '/healthz')).status, 200);
  });
});
