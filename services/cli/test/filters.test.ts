// SPDX-License-Identifier: Apache-2.0
/** observe's filters: by Hubble's rules from flags, the same from the service, from a file and from JSON. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { FLOW_FIELDS } from '../src/output/field-mask.ts';
import { against, listing, weir } from './harness.ts';

process.env.TZ = 'UTC';

const end = (name: string | null, ip: string, port: number, identity: number, labels: readonly string[] = []) => ({
  ...{ ip, port, identity, labels },
  ...{ workload: name === null ? null : `shop.${name}`, namespace: name === null ? null : 'shop' },
});
const WEB = end('web-1', '10.0.1.2', 40_001, 256, ['k8s:app=web', 'k8s:tier=front']);
const DB = end('db', '10.0.2.2', 5432, 257, ['k8s:app=db']);
const WORLD4 = end(null, '192.0.2.1', 443, 9, ['reserved:world-ipv4']);
const WORLD = end(null, '2001:db8::1', 443, 10, ['reserved:world-ipv6']);

const flow = (seq: number, more: object = {}) => ({
  time: `2026-11-22T19:41:1${seq}.123456Z`,
  ...{ host: 'h1', boot: 1, seq, source: WEB, destination: DB, protocol: 'TCP', tcp_flags: ['SYN'], icmp: null },
  ...{ verdict: 'FORWARDED', drop_reason: null, rule: null, direction: 'EGRESS', is_reply: false },
  ...{ trace_point: 'to-network', packets: 1, bytes: 60, ...more },
});
/** By number: 0 web to db, 1 its reply, 2 web to the world, 3 the world to web, refused, 4 a ping of db to web. */
const FLOWS = [
  flow(0, { rule: { id: 17, policy: null, path: null } }),
  flow(1, { source: DB, destination: WEB, is_reply: true, tcp_flags: ['SYN', 'ACK'], trace_point: 'to-endpoint' }),
  flow(2, { destination: WORLD4, host: 'h2', encrypted: true, source_xlated: '198.51.100.1' }),
  flow(3, {
    ...{ source: WORLD, destination: WEB, verdict: 'DROPPED', direction: 'INGRESS', host: 'h2', tcp_flags: [] },
    drop_reason: { code: 133, name: 'POLICY_DENIED', text: 'Policy denied' },
  }),
  flow(4, {
    ...{ source: { ...DB, port: 0 }, destination: { ...WEB, port: 0 }, protocol: 'ICMP', tcp_flags: [] },
    icmp: { type: 8, code: 0 },
  }),
];
const LINES = FLOWS.map((one) => JSON.stringify(one)).join('\n');
const numbers = (out: string): number[] =>
  out === '' ? [] : out.split('\n').map((line) => (JSON.parse(line) as { seq: number }).seq);

const CASES: readonly (readonly [flags: string, wanted: readonly number[]])[] = [
  ['', [0, 1, 2, 3, 4]],
  ['--first 2', [0, 1]],
  ['--last 2', [3, 4]],
  ['--all', [0, 1, 2, 3, 4]],
  ['--since 2026-11-22T19:41:12Z --until 2026-11-22T19:41:14Z', [2, 3]],
  ['--from-ip 10.0.2.0/24', [1, 4]],
  ['--ip 2001:db8::/32', [3]],
  ['--snat-ip 198.51.100.0/24', [2]],
  ['--not --snat-ip 198.51.100.1', [0, 1, 3, 4]],
  ['--from-pod web', [0, 2]],
  ['--from-pod shop/web --to-pod shop/db', [0]],
  ['--to-workload shop/db', [0]],
  ['--workload db', [0, 1, 4]],
  ['--from-namespace shop', [0, 1, 2, 4]],
  ['--to-all-namespaces', [0, 1, 3, 4]],
  ['--from-all-namespaces --to-all-namespaces', [0, 1, 4]],
  ['-A', [0, 1, 2, 3, 4]],
  ['-n other', []],
  ['--from-label app=web,tier!=back', [0, 2]],
  ['--identity world-ipv6', [3]],
  ['--to-identity 257', [0]],
  // The same end has both: Hubble's rule.
  ['--ip 10.0.1.2 --port 5432', []],
  ['--ip 10.0.2.2 --port 5432', [0, 1]],
  ['--to-port 5432 --to-port 443', [0, 2]],
  ['--protocol icmp', [4]],
  ['--protocol 1', [4]],
  ['--verdict dropped', [3]],
  ['--not --verdict DROPPED', [0, 1, 2, 4]],
  ['--from-pod shop/web --not --to-port 443', [0]],
  ['--not --to-port 5432 --not --protocol ICMP', [0, 1, 2, 3, 4]],
  ['--tcp-flags SYN,ACK', [1]],
  ['--tcp-flags SYN --not --tcp-flags ACK', [0, 2]],
  ['-t drop', [3]],
  ['--type drop:133', [3]],
  ['--type drop:181', []],
  ['--type trace:to-endpoint', [1]],
  ['--type trace:to-network --type policy-verdict', [0, 2, 4]],
  ['-4', [0, 1, 2, 4]],
  ['--ipv6', [3]],
  ['--ip-version 6', [3]],
  ['--node-name h*', [0, 1, 2, 3, 4]],
  ['--node-name default/h2', [2, 3]],
  ['--traffic-direction ingress', [3]],
  ['--drop-reason-desc POLICY_DENIED', [3]],
  ['--drop-reason 133', [3]],
  ['--rule-id 17', [0]],
  ['--is-reply true', [1]],
  ['--encrypted', [2]],
  ['--unencrypted', [0, 1, 3, 4]],
  ['--not --encrypted', [0, 1, 3, 4]],
  ['--uuid h1:1:4 --uuid h2:1:2', [2, 4]],
  ['--uuid h2:1:4', []],
  ['--denylist {"encrypted":[true]}', [0, 1, 3, 4]],
  ['--allowlist {"source_pod":["shop/db"],"protocol":["TCP"]}', [1]],
  ['--verdict DROPPED --allowlist {"destination_port":[5432]}', [0, 3]],
  ['--denylist {"source_workload":[{"name":"shop/db"}]}', [0, 2, 3]],
  ['--denylist {"event_type":[{"type":4,"match_sub_type":true}],"reply":[true]}', [0, 2, 3, 4]],
];

const wordsOf = (flags: string): string[] => flags.split(' ').filter((word) => word !== '');

test('a file and standard input: every filter, alone and together', async () => {
  for (const [flags, wanted] of CASES) {
    const { code, out, err } = await weir(['observe', '-o', 'json', '--input-file', '-', ...wordsOf(flags)], {
      stdin: `${LINES}\n`,
    });
    assert.deepEqual([code, err, numbers(out)], [0, '', wanted], flags);
  }
});

test('from the service the same flows come, when it filters and when it cannot', async () => {
  const routes = { 'GET /v1/flows': listing([...FLOWS].reverse()) };
  // A service that filters nothing: what it was asked is left to it, all else must be sifted here.
  for (const [flags, wanted] of CASES.filter(([one]) =>
    /--not|--tcp|-pod|-t |type|crypted|uuid|--ip-?v|-[46]|list|node|--ip .*--port/.test(one),
  )) {
    const { out, asked } = await against(routes, ['observe', '-o', 'json', '--all', ...wordsOf(flags)]);
    assert.deepEqual(numbers(out), wanted, `${flags} asked as ${asked[0]?.url.search}`);
  }
});

test('--service: by namespace and how the name begins, at the end that serves', async () => {
  const FRONT = { namespace: 'shop', name: 'front' };
  const flows = [
    flow(0, { source_service: null, destination_service: FRONT }),
    flow(1, { source: DB, destination: WEB, is_reply: true, source_service: FRONT, destination_service: null }),
    flow(2, { source_service: null, destination_service: { namespace: 'lab', name: 'frame' } }),
    flow(3),
  ];
  const stdin = flows.map((one) => JSON.stringify(one)).join('\n');
  for (const [flags, wanted, query] of [
    ['--service shop/fr', [0, 1], 'service=shop/fr*'],
    ['--service fr', [0, 1, 2], 'service=fr*'],
    ['--to-service front --to-service lab/', [0, 2], 'to_service=front*&to_service=lab/*'],
    ['--from-service shop/front', [1], 'from_service=shop/front*'],
    ['--not --service shop/', [2, 3], ''],
    ['--allowlist {"destination_service":["lab/frame"]}', [2], ''],
  ] as const) {
    const words = ['observe', '-o', 'json', '--all', ...flags.split(' ')];
    assert.deepEqual(numbers((await weir([...words, '--input-file', '-'], { stdin })).out), wanted, flags);
    const { asked } = await against({ 'GET /v1/flows': listing([...flows].reverse()) }, words);
    const sent = new URLSearchParams(asked[0]?.url.search);
    sent.delete('limit');
    assert.equal(decodeURIComponent(String(sent)), query, flags);
  }
});

test('the newest n of what is sifted here: as many pages as it takes', async () => {
  const pages: Record<string, readonly [readonly unknown[], string | null]> = {
    '': [[FLOWS[4], FLOWS[3]], 'b'],
    b: [[FLOWS[2], FLOWS[1]], 'c'],
    c: [[FLOWS[0]], null],
  };
  const { out, asked } = await against(
    {
      'GET /v1/flows': ({ url }, response) => {
        const [items, next] = pages[url.searchParams.get('cursor') ?? ''] ?? [[], null];
        response.writeHead(200).end(JSON.stringify({ items, next_cursor: next }));
      },
    },
    'observe -o json --last 1 --tcp-flags ACK',
  );
  assert.deepEqual(numbers(out), [1]);
  assert.equal(asked.length, 2);
});

test("raw filters are Hubble's", async () => {
  const raw = async (flags: string) => parse((await weir(`observe --print-raw-filters ${flags}`)).out);
  const source = { source_ip: ['10.0.0.1'], verdict: ['DROPPED'] };
  assert.deepEqual(await raw('--ip 10.0.0.1 --verdict DROPPED'), {
    allowlist: [source, { destination_ip: ['10.0.0.1'], verdict: ['DROPPED'] }],
  });
  assert.deepEqual(await raw('--from-pod default/a --not --to-port 53 --not --verdict FORWARDED'), {
    allowlist: [{ source_pod: ['default/a'] }],
    denylist: [{ destination_port: ['53'], verdict: ['FORWARDED'] }],
  });
  const snat = { source_ip_xlated: ['1.2.3.4'] };
  assert.deepEqual(await raw('--snat-ip 1.2.3.4'), { allowlist: [snat] });
  assert.deepEqual(await raw('-n ns --type trace:to-endpoint --type drop --tcp-flags SYN,ACK --ipv4'), {
    allowlist: ['source_pod', 'destination_pod'].map((field) => ({
      ...{ [field]: ['ns/'], event_type: [{ type: 4, match_sub_type: true }, { type: 1 }] },
      ...{ tcp_flags: [{ SYN: true, ACK: true }], ip_version: ['IPv4'] },
    })),
  });
});

for (const [words, why] of [
  ['--label a=b --to-label c=d', /--label cannot be combined with --to-label/],
  ['--first 1 --last 1', /--first and --last exclude each other/],
  ['--first 1 --follow', /leave out --follow/],
  ['--follow --until 1m', /leave out --until/],
  ['--type l7', /l7 is not recorded; use one of drop, trace, policy-verdict/],
  ['--type trace:nowhere', /of trace to-endpoint/],
  ['--tcp-flags SIN', /there is no flag SIN/],
  ['--allowlist {', /--allowlist: /],
  ['--denylist {"nonsense":[1]}', /there is no field "nonsense"; there are source_ip/],
  ['--allowlist {"reply":["yes"]}', /"yes" is no value of reply/],
  ['--not', /--not has no meaning before the end of the command/],
  ['--field-mask time', /--field-mask is of json; add -o json/],
  ['-o json --field-mask time,source.colour', /no field source.colour; there are source.ip, source.port/],
  ['-o json --field-mask colour', /no field colour; there are time, host/],
  ['--ip-version 5', /neither 4 nor 6/],
  ['--since yesterday --input-file -', /--since: yesterday is no time\n {2}fix: give how long ago/],
  ['--input-file - --from-ip ten', /source_ip: /],
  ['--input-file - --snat-ip ten', /source_ip_xlated: /],
] as const) {
  test(`observe ${words} is wrong usage, and told`, async () => {
    const { code, err } = await weir(['observe', ...wordsOf(words)], { stdin: LINES });
    assert.equal(code, 2, err);
    assert.match(err, why);
  });
}

test('a file that holds something else: line and fix, status 1', async () => {
  const { code, err } = await weir('observe --input-file -', { stdin: `${LINES}\n{"a": 1}\n` });
  assert.deepEqual([code, err], [1, 'error: line 6 is no flow\n  fix: give what observe -o json has printed']);
  assert.equal((await weir('observe --input-file /nowhere/flows')).code, 1);
});

test('times in every form, read and written', async () => {
  const shown = async (flags: string): Promise<string> =>
    (await weir(`observe --input-file - --first 1 --no-print-node-name ${flags}`, { stdin: LINES })).out;
  for (const [format, wanted] of [
    ['StampMilli', 'Nov 22 19:41:10.123'],
    ['YearMonthDay', '2026-11-22'],
    ['YearMonthDayHour', '2026-11-22T19Z'],
    ['YearMonthDayHourMinute', '2026-11-22T19:41Z'],
    ['RFC3339', '2026-11-22T19:41:10Z'],
    ['RFC3339Milli', '2026-11-22T19:41:10.123Z'],
    ['RFC3339Micro', '2026-11-22T19:41:10.123456Z'],
    ['RFC3339Nano', '2026-11-22T19:41:10.123456000Z'],
    ['RFC1123Z', 'Sun, 22 Nov 2026 19:41:10 +0000'],
  ] as const) {
    assert.ok(
      (await shown(`--time-format ${format}`)).startsWith(`${wanted}: `),
      await shown(`--time-format ${format}`),
    );
    const since = await weir(['observe', '--input-file', '-', '--since', wanted, '-o', 'json'], { stdin: LINES });
    assert.ok(numbers(since.out).includes(4), `${wanted}: ${since.err}`);
  }
});

test('--field-mask: only these fields, of flows from anywhere', async () => {
  const masked = async (mask: string) => {
    const words = ['observe', '-o', 'json', '--last', '1', '--field-mask', ...mask.split(' ')];
    const { code, out, err } = await weir([...words, '--input-file', '-'], { stdin: LINES });
    assert.deepEqual([code, err], [0, '']);
    const { out: fromService } = await against({ 'GET /v1/flows': listing([FLOWS[4]]) }, words);
    assert.equal(fromService, out);
    return JSON.parse(out);
  };
  assert.deepEqual(await masked('verdict,source.workload,source.port,rule.id,icmp.type --field-mask protocol'), {
    ...{ verdict: 'FORWARDED', source: { workload: 'shop.db', port: 0 }, rule: null, icmp: { type: 8 } },
    protocol: 'ICMP',
  });
  assert.deepEqual(await masked('source,source.ip'), { source: { ...DB, port: 0 } });
});

test('the fields of --field-mask are those of the API', () => {
  const file = new URL('../../analytics/openapi.json', import.meta.url);
  const { Flow, Endpoint } = JSON.parse(readFileSync(file, 'utf8')).components.schemas;
  assert.deepEqual(Object.keys(FLOW_FIELDS), Object.keys(Flow.properties));
  assert.deepEqual(FLOW_FIELDS.source, Object.keys(Endpoint.properties));
});

test('--silent-errors: no word of what goes wrong, but its exit status', async () => {
  const away = await weir('observe --silent-errors', { env: { WEIR_ANALYTICS_URL: 'http://127.0.0.1:9' } });
  assert.deepEqual(away, { code: 3, out: '', err: '' });
  assert.deepEqual(await weir('observe -s --since yesterday --input-file -', { stdin: LINES }), {
    ...{ code: 2, out: '', err: '' },
  });
});
