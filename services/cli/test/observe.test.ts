// SPDX-License-Identifier: Apache-2.0
/** observe: filters, forms, and following across a broken connection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseEvents } from '../src/sse.ts';
import { against, createPlayer, listing, nobodyAt, type Routes, weir } from './harness.ts';

process.env.TZ = 'UTC';

const end = (workload: string | null, ip: string, port: number, identity: number, labels: readonly string[] = []) => ({
  ip,
  port,
  identity,
  labels,
  workload,
  namespace: workload ? 'shop' : null,
});
const flow = (more: object = {}) => ({
  time: '2026-11-22T19:41:17.123456Z',
  host: 'h1',
  boot: 1,
  seq: 1,
  source: end('web', '10.0.1.2', 40001, 256),
  destination: end(null, '192.0.2.1', 443, 16777217, ['reserved:world', 'cidr:192.0.2.0/24']),
  protocol: 'TCP',
  tcp_flags: ['SYN', 'ACK'],
  icmp: null,
  verdict: 'FORWARDED',
  drop_reason: null,
  rule: { id: 17, policy: 'NetworkPolicy/shop/web', path: 'spec.egress[0]' },
  direction: 'EGRESS',
  is_reply: false,
  trace_point: 'to-network',
  packets: 3,
  bytes: 180,
  ...more,
});
const DROPPED = flow({
  time: '2026-11-22T19:41:18.000Z',
  source: end(null, '2001:db8::1', 0, 10, ['reserved:world-ipv6']),
  destination: end('shop.db', 'fd00::2', 0, 257),
  protocol: 'ICMPv6',
  tcp_flags: [],
  icmp: { type: 128, code: 0 },
  verdict: 'DROPPED',
  drop_reason: { code: 133, name: 'POLICY_DENIED', text: 'Policy denied' },
  rule: { id: 99, policy: null, path: null },
  trace_point: 'to-endpoint',
});
const REPLY = flow({ is_reply: true, source: flow().destination, destination: flow().source, rule: null });
const FLOWS: Routes = { 'GET /v1/flows': listing([DROPPED, REPLY, flow()]) };

test('compact: oldest first, one line each', async () => {
  const { code, out, asked } = await against(FLOWS, 'observe');
  assert.equal(code, 0);
  assert.equal(
    out,
    `Nov 22 19:41:17.123 h1: shop/web:40001 (ID:256) -> 192.0.2.1:443 (world) to-network FORWARDED (TCP SYN,ACK; 3 packets, 180 bytes) by NetworkPolicy/shop/web spec.egress[0]
Nov 22 19:41:17.123 h1: shop/web:40001 (ID:256) <- 192.0.2.1:443 (world) to-network FORWARDED (TCP SYN,ACK; 3 packets, 180 bytes)
Nov 22 19:41:18.000 h1: [2001:db8::1] (world-ipv6) -> shop/db (ID:257) to-endpoint DROPPED Policy denied (ICMPv6 type 128 code 0; 3 packets, 180 bytes) by rule 99`,
  );
  assert.equal(asked[0]?.url.search, '?limit=20', 'the newest 20 unless asked otherwise');
});

test('table and json', async () => {
  const table = await against(FLOWS, 'observe -o table --last 3');
  assert.equal(
    table.out.split('\n')[3],
    'Nov 22 19:41:18.000   h1     [2001:db8::1] (world-ipv6)   shop/db (ID:257)          -         ICMPv6 type 128 code 0   EGRESS         DROPPED     Policy denied   rule 99',
  );
  const json = await against(FLOWS, 'observe -o jsonpb');
  assert.deepEqual(
    json.out.split('\n').map((line) => JSON.parse(line)),
    [flow(), REPLY, DROPPED],
  );
});

test('every filter reaches the service under its name, repeated ones too', async () => {
  const { asked } = await against(
    FLOWS,
    'observe --since 5m --until 1m --last 7 --from-ip 10.0.0.0/8 --to-port 80 --to-port 443 --protocol tcp --verdict DROPPED --from-label a=b --to-label c=d --workload shop/web --host h1 --drop-reason POLICY_DENIED --rule-id 17 --direction EGRESS --is-reply false',
  );
  assert.deepEqual([...(asked[0]?.url.searchParams ?? [])].sort(), [
    ['direction', 'EGRESS'],
    ['drop_reason', 'POLICY_DENIED'],
    ['from_ip', '10.0.0.0/8'],
    ['from_label', 'a=b'],
    ['host', 'h1'],
    ['is_reply', 'false'],
    ['limit', '7'],
    ['protocol', 'tcp'],
    ['rule_id', '17'],
    ['since', '5m'],
    ['to_label', 'c=d'],
    ['to_port', '443'],
    ['to_port', '80'],
    ['until', '1m'],
    ['verdict', 'DROPPED'],
    ['workload', 'shop/web'],
  ]);
});

test('a filter that the service refuses is wrong usage, told by its flag', async () => {
  const { code, err } = await against(
    {
      'GET /v1/flows': {
        status: 422,
        json: {
          status: 422,
          code: 'INVALID_ARGUMENT',
          title: 'x',
          detail: '"ten" is not an address',
          field: 'from_ip',
          value: 'ten',
          fix: 'write 10.0.0.1',
        },
      },
    },
    'observe --from-ip ten',
  );
  assert.deepEqual([code, err], [2, 'error: --from-ip: "ten" is not an address (value "ten")\n  fix: write 10.0.0.1']);
});

test('follow: goes on behind the last event when the connection breaks, and through a restart', async () => {
  const stop = new AbortController();
  let connections = 0;
  const event = (id: number) => `event: flow\nid: ${id}\ndata: ${JSON.stringify(flow({ seq: id }))}\n\n`;
  const player = await createPlayer({
    'GET /v1/flows/stream': (_, response) => {
      connections++;
      if (connections === 2)
        return void response
          .writeHead(503, { 'content-type': 'application/json' })
          .end('{"status":503,"detail":"starting"}');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('retry: 10\n\n: ping\n\n');
      if (connections === 1) return void response.end(event(1) + event(2));
      response.write(`event: lost\ndata: {"count": 4, "source": "reader\\u001b"}\n\n${event(3)}`);
    },
  });
  try {
    const seen: number[] = [];
    const { code, err } = await weir('observe --follow --last 2 --to-port 443 -o json', {
      env: player.env,
      signal: stop.signal,
      onLine: (line) => {
        seen.push(JSON.parse(line).seq);
        if (seen.length === 3) stop.abort();
      },
    });
    assert.deepEqual([code, seen], [0, [1, 2, 3]]);
    assert.equal(err, 'lost: 4 flows (reader\\x1b)');
    assert.deepEqual(
      player.asked.map(({ url, headers }) => [url.search, headers['last-event-id']]),
      [
        ['?to_port=443&last=2', undefined],
        ['?to_port=443&last=2', '2'],
        ['?to_port=443&last=2', '2'],
      ],
    );
  } finally {
    await player.close();
  }
});

test('follow: the first connection must work', async () => {
  assert.equal((await against({}, 'observe --follow')).code, 1);
  assert.equal((await weir('observe -f', { env: { WEIR_ANALYTICS_URL: await nobodyAt() } })).code, 3);
});

test('a following table has one heading', async () => {
  const stop = new AbortController();
  const player = await createPlayer({
    'GET /v1/flows/stream': (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const one of [flow(), DROPPED]) response.write(`event: flow\ndata: ${JSON.stringify(one)}\n\n`);
    },
  });
  try {
    const lines: string[] = [];
    await weir('observe -f -o table', {
      env: player.env,
      signal: stop.signal,
      onLine: (line) => {
        lines.push(line);
        if (lines.length === 3) stop.abort();
      },
    });
    assert.deepEqual(
      lines.map((line) => line.slice(0, 4)),
      ['TIME', 'Nov ', 'Nov '],
    );
  } finally {
    await player.close();
  }
});

test('events are read the same however their bytes are cut', async () => {
  const field = fc.constantFrom(
    'event: flow',
    'data: {"a":1}',
    'data:b',
    'data',
    'id: 7',
    ': ping',
    'retry: 50',
    'other: x',
    '',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 15 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(200), { maxLength: 8 }),
      async (fields, ending, cuts) => {
        const bytes = new TextEncoder().encode(fields.map((one) => one + ending).join('') + ending + ending);
        const read = async (at: readonly number[]) => {
          const edges = [0, ...[...at].filter((edge) => edge < bytes.length).sort((x, y) => x - y), bytes.length];
          const body = new ReadableStream<Uint8Array>({
            start(controller) {
              for (let i = 1; i < edges.length; i++) controller.enqueue(bytes.subarray(edges[i - 1], edges[i]));
              controller.close();
            },
          });
          const events = [];
          for await (const event of parseEvents(body)) events.push(event);
          return events;
        };
        assert.deepEqual(await read(cuts), await read([]));
      },
    ),
    { numRuns: 300 },
  );
});
