// SPDX-License-Identifier: Apache-2.0
/** status and get: what they print, to the letter, and how they end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { against, listing, nobodyAt, type Routes, weir } from './harness.ts';

const seconds = (ago: number): string => new Date(Date.now() - ago * 1000).toISOString();
const host = (id: string, more: object = {}) => ({
  id,
  name: id,
  state: 'alive',
  workloads_ready: 2,
  workloads_total: 2,
  realised: { policy: 7, inventory: 9 },
  last_seen_at: seconds(3),
  underlay_ip4: '192.0.2.1',
  underlay_ip6: null,
  kernel: '6.18.0',
  pools: ['10.0.1.0/24', 'fd00:1::/64'],
  flows: { produced: 1200, lost_ring: 0, lost_spool: 0 },
  ...more,
});
const HOSTS = [
  host('h1'),
  host('h2-in-the-cellar', { state: 'stale', last_seen_at: seconds(7_300), workloads_ready: 1, flows: null }),
];
const WORKLOADS = [
  {
    id: 'shop.web',
    name: 'web',
    namespace: 'shop',
    host: 'h1',
    state: 'ready',
    state_message: null,
    identity: 256,
    ip4: '10.0.1.2',
    ip6: 'fd00:1::2',
    policy_enabled: 'both',
    labels: { app: 'web', note: 'a\u001b[31mb' },
  },
];
const ACCOUNTS = {
  json: {
    items: [
      {
        ...{ host: 'h1', kind: 'flow', produced: 1200, stored: 1200, on_its_way: 0, gaps: [] },
        ...{ lost: { ring: 0, spool: 0, dead_letter: 0 }, watermark: { seq: 1200, age_s: 0 } },
      },
      {
        ...{ host: 'h2', kind: 'flow', produced: 1000, stored: 900, on_its_way: 65 },
        ...{ lost: { ring: 30, spool: 0, dead_letter: 5 }, watermark: { seq: 850, age_s: 12 } },
        gaps: [{ boot: Date.UTC(2026, 7, 1, 12), first: 851, last: 900 }],
      },
    ],
  },
};
const READY: Routes = { 'GET /readyz': { json: {} }, 'GET /v1/host-firewalls': listing([]) };

test('get hosts', async () => {
  const { code, out, asked } = await against({ 'GET /v1/hosts': listing(HOSTS) }, 'get hosts');
  assert.equal(code, 0);
  assert.equal(
    out.replace(/ \d+s {4}/, ' 3s    '),
    `NAME               STATE   WORKLOADS   POLICY-REVISION   SEEN   IPV4
h1                 alive   2/2         7                 3s     192.0.2.1
h2-in-the-cellar   stale   1/2         7                 2h     192.0.2.1`,
  );
  assert.equal(asked[0]?.url.search, '?limit=1000');
});

test('get workloads -o wide: what others wrote does not reach the terminal as it is', async () => {
  const { out, asked } = await against(
    { 'GET /v1/workloads': listing(WORKLOADS) },
    'get workloads -o wide -n shop --host h1 -l app=web -l tier=x',
  );
  assert.equal(
    out,
    `NAMESPACE   NAME   HOST   STATE   IDENTITY   IPV4       IPV6        POLICY   EGRESS-RATE   INGRESS-RATE   SOURCE-CHECK   CGROUP   LABELS                       MESSAGE
shop        web    h1     ready   256        10.0.1.2   fd00:1::2   both     -             -              -              -        app=web,note=a\\x1b[31mb   -`.replace(
      'LABELS                       MESSAGE',
      'LABELS                    MESSAGE',
    ),
  );
  assert.equal(asked[0]?.url.search, '?namespace=shop&host=h1&label=app%3Dweb&label=tier%3Dx&limit=1000');
});

test("json and yaml are the service's own objects, safe to look at", async () => {
  const item = { id: 'shop.web', labels: { note: 'x\u202ey\u009b2J\u{e0041}' } };
  const routes = { 'GET /v1/workloads/shop.web': { json: item }, 'GET /v1/workloads': listing([item]) };
  const json = await against(routes, 'get workload shop/web -o json');
  assert.equal(
    json.out,
    '{\n  "id": "shop.web",\n  "labels": {\n    "note": "x\\u202ey\\u009b2J\\udb40\\udc41"\n  }\n}',
  );
  assert.deepEqual(JSON.parse(json.out), item);
  const yaml = await against(routes, 'get workloads -o yaml');
  assert.equal(yaml.out, 'items:\n  - id: shop.web\n    labels:\n      note: "x\\u202ey\\u009b2J\\udb40\\udc41"');
  assert.deepEqual(parse(yaml.out.replace('\\udb40\\udc41', '\\U000e0041')), { items: [item] });
});

test('all pages are fetched', async () => {
  const routes: Routes = {
    'GET /v1/identities': (asked, response) => {
      const first = !asked.url.searchParams.has('cursor');
      const items = [
        { identity: first ? 1 : 256, labels: first ? ['reserved:host'] : ['k8s:app=web', 'k8s:x=y'], workloads: 0 },
      ];
      response.end(JSON.stringify({ items, next_cursor: first ? 'next' : null }));
    },
  };
  const { out } = await against(routes, 'get identities');
  assert.equal(
    out,
    'IDENTITY   WORKLOADS   LABELS\n1          0           reserved:host\n256        0           k8s:app=web,k8s:x=y',
  );
});

test('get policy: kind/namespace/name', async () => {
  const policy = {
    kind: 'NetworkPolicy',
    namespace: 'shop',
    name: 'web',
    revision: 4,
    rules: [{}, {}],
    updated_at: seconds(100),
  };
  const { out } = await against(
    { 'GET /v1/policies/NetworkPolicy/shop/web': { json: policy } },
    'get policy NetworkPolicy/shop/web',
  );
  assert.equal(
    out,
    'KIND            NAMESPACE   NAME   RULES   REVISION   AGE\nNetworkPolicy   shop        web    2       4          100s',
  );
});

test("what is not there: the service's words, status 1", async () => {
  const { code, out, err } = await against({}, 'get host h9');
  assert.deepEqual([code, out], [1, '']);
  assert.equal(err, 'error: there is no /v1/hosts/h9\n  fix: list what there is');
});

test('status of a fleet that is well', async () => {
  const routes = { ...READY, 'GET /v1/hosts': listing([host('h1'), host('h2')]), 'GET /v1/accounting': ACCOUNTS };
  const { code, out, asked } = await against(routes, 'status');
  assert.equal(code, 0);
  const url = `http://${asked[0]?.headers.host}`;
  assert.equal(
    out.replaceAll(/seen \d+s ago/g, 'seen 3s ago'),
    `inventory  ready   ${url}
policy     ready   ${url}
analytics  ready   ${url}
host h1    alive seen 3s ago, workloads 2/2 ready, policy revision 7
  flows 1200 produced = 1200 stored + 0 lost + 0 on their way; stored up to 1200, nothing waits
host h2    alive seen 3s ago, workloads 2/2 ready, policy revision 7
  flows 1000 produced = 900 stored + 35 lost (ring 30, dead letter 5) + 65 on their way; stored up to 850, waiting for 12s
  gap 851-900: 50 that are missing below what is stored, of the run begun 2026-08-01T12:00:00.000Z
all flows  2200 produced = 2100 stored + 35 lost (ring 30, dead letter 5) + 65 on their way
fleet      well`,
  );
});

test('status: a stale host is status 1, a service that is away status 3', async () => {
  const stale = await against(
    { ...READY, 'GET /v1/hosts': listing(HOSTS), 'GET /v1/accounting': ACCOUNTS },
    'status -o json',
  );
  assert.equal(stale.code, 1);
  assert.equal(JSON.parse(stale.out).well, false);
  const nobody = await nobodyAt();
  const away = await against({ ...READY, 'GET /v1/hosts': listing([host('h1')]) }, 'status', {
    env: { WEIR_ANALYTICS_URL: nobody },
  });
  assert.equal(away.code, 3);
  assert.ok(away.out.includes(`\nanalytics  error: analytics is not reachable at ${nobody} (ECONNREFUSED)`), away.out);
});

test('a service that is not there: status 3 and what to set', async () => {
  const nobody = await nobodyAt();
  const { code, err } = await weir('get hosts', { env: { WEIR_INVENTORY_URL: nobody } });
  assert.equal(code, 3);
  assert.equal(
    err,
    `error: inventory is not reachable at ${nobody} (ECONNREFUSED)\n  fix: start it, or set WEIR_INVENTORY_URL`,
  );
});

for (const [words, message] of [
  ['get nothing', /unknown command 'nothing'/],
  ['get hosts -o xml', /argument 'xml' is invalid. Allowed choices are table, wide, json, yaml/],
  ['gt hosts', /unknown command 'gt'/],
  ['apply', /required option '-f, --filename <path>' not specified/],
  ['observe --last 0', /give a whole number from 1/],
  ['observe --follow --until 5m', /--follow has no end/],
  ['delete', /name a policy/],
  ['delete web', /web is not kind\/namespace\/name/],
  ['explain --from a/b', /required option '--to <end>' not specified/],
  ['explain --from 10.0.0.1 --to 10.0.0.2 --port 70000', /--port: 70000 is not a number from 0 to 65535/],
  ['explain --from web --to 10.0.0.2', /web is neither an address nor namespace\/name/],
] as const) {
  test(`wrong usage is status 2: weir ${words}`, async () => {
    const { code, err, out } = await weir(words, { env: { WEIR_POLICY_URL: 'http://127.0.0.1:1' } });
    assert.equal(code, 2, err);
    assert.match(err, message);
    assert.equal(out, '');
  });
}

test('an address that is none: status 2 before anything is asked', async () => {
  const { code, err } = await weir('get hosts', { env: { WEIR_INVENTORY_URL: 'ftp://x' } });
  assert.deepEqual([code, err], [2, 'WEIR_INVENTORY_URL=ftp://x is not an http URL; such as http://127.0.0.1:7101']);
});

test('help and version are no failures', async () => {
  assert.equal((await weir('--help')).code, 0);
  assert.match((await weir('help observe')).out, /--from-workload/);
  assert.match((await weir('--version')).out, /^\d+\.\d+\.\d+$/);
});

test('an answer that is no problem document is shown, cut and escaped', async () => {
  const { code, err } = await against(
    { 'GET /v1/hosts': (_, response) => void response.writeHead(502).end(`<html>\u001b]0;x\u0007${'y'.repeat(500)}`) },
    'get hosts',
  );
  assert.equal(code, 1);
  assert.match(err, /^error: inventory answered 502: <html>\\x1b\]0;x\\x07y+…$/);
});
