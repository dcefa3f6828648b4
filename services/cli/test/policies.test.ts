// SPDX-License-Identifier: Apache-2.0
/** apply, diff, delete and explain: files in, what changed out, refusals at the file's own lines. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { against, listing, type Routes, weir } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-cli-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

const policy = (name: string): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: shop}\nspec:\n  podSelector: {}\n`;
const a = file('a.yaml', `# a comment\n${policy('a')}`);
const b = file('b.yml', policy('b').trimEnd());

const applied = (warnings: readonly object[] = []): Routes => ({
  'POST /v1/policies': {
    json: {
      results: [
        { key: 'NetworkPolicy/shop/a', action: 'created', revision: 5, warnings },
        { key: 'NetworkPolicy/shop/b', action: 'unchanged', revision: 2, warnings: [] },
      ],
      revision: 5,
    },
  },
});

test('apply sends all files as one request and says what became of each', async () => {
  const { code, out, err, asked } = await against(applied(), `apply -f ${a} -f ${b}`);
  assert.deepEqual([code, out, err], [0, 'NetworkPolicy/shop/a created\nNetworkPolicy/shop/b unchanged', '']);
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.headers['content-type'], 'application/vnd.weir.documents+json');
  assert.deepEqual(JSON.parse(asked[0]?.body ?? ''), {
    documents: `# a comment\n${policy('a')}---\n${policy('b')}`,
    sources: [
      { file: a, first_line: 1 },
      { file: b, first_line: 8 },
    ],
  });
});

test('apply of a folder, of standard input, and dry', async () => {
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'folder', '2.json'), '{"b": 1}');
  writeFileSync(join(dir, 'folder', '1.yaml'), 'a: 1\n');
  writeFileSync(join(dir, 'folder', 'README.md'), 'no policy');
  const folder = await against(applied(), `apply -f ${join(dir, 'folder')} --dry-run`);
  assert.deepEqual(JSON.parse(folder.asked[0]?.body ?? ''), {
    documents: 'a: 1\n---\n{"b": 1}\n',
    sources: [
      { file: join(dir, 'folder', '1.yaml'), first_line: 1 },
      { file: join(dir, 'folder', '2.json'), first_line: 3 },
    ],
  });
  assert.equal(folder.asked[0]?.url.search, '?dry_run=true');
  assert.match(folder.out, /NetworkPolicy\/shop\/a created \(dry run\)/);
  const stdin = await against(applied(), 'apply -f -', { stdin: policy('a') });
  assert.equal(stdin.asked[0]?.headers['content-type'], 'application/yaml');
  assert.equal(stdin.asked[0]?.body, policy('a'));
});

const refused = (errors: readonly object[]): Routes => ({
  'POST /v1/policies': {
    status: 422,
    json: { status: 422, code: 'INVALID_ARGUMENT', title: 'x', detail: 'wrong', errors },
  },
});

test('a refusal points at the file, line and column, names value and fix; status 1', async () => {
  const { code, out, err } = await against(
    refused([
      {
        path: 'spec.ingres',
        message: 'unknown field "ingres"',
        fix: 'did you mean "ingress"?',
        line: 6,
        column: 3,
        document: 'NetworkPolicy/shop/a',
      },
      {
        path: 'spec.podSelector',
        message: 'must be an object, not text',
        value: 'a\u001b[2J',
        fix: 'write the fields',
        line: 11,
        column: 16,
      },
    ]),
    `apply -f ${a} -f ${b}`,
  );
  assert.deepEqual([code, out], [1, '']);
  assert.equal(
    err,
    `${a}:6:3: spec.ingres: unknown field "ingres"
  fix: did you mean "ingress"?
${b}:4:16: spec.podSelector: must be an object, not text (value "a\\u001b[2J")
  fix: write the fields`,
  );
});

test('warnings do not fail; they point at the file too', async () => {
  const warning = { code: 'selects-nothing', message: 'selects no workload', path: 'spec', line: 5, column: 1 };
  const { code, err } = await against(applied([warning]), `apply -f ${a} -f ${b}`);
  assert.deepEqual([code, err], [0, `${a}:5:1: spec: warning: selects no workload`]);
});

test('apply --wait: until no host is pending', async () => {
  let turn = 0;
  const states = [
    [
      { host: 'h1', state: 'realised' },
      { host: 'h2', state: 'pending' },
    ],
    [
      { host: 'h1', state: 'realised' },
      { host: 'h2', state: 'realised' },
      { host: 'h3', state: 'away' },
    ],
  ];
  const routes: Routes = {
    ...applied(),
    'GET /v1/revisions/5': (_, response) => void response.end(JSON.stringify({ revision: 5, hosts: states[turn++] })),
  };
  const { code, out } = await against(routes, `apply -f ${a} --wait`);
  assert.equal(code, 0);
  assert.match(out, /revision 5 is in the kernel of 2 hosts: h1, h2$/);
  assert.equal(turn, 2);
});

test('apply --wait: a host that could not is named; status 1', async () => {
  const routes: Routes = {
    ...applied(),
    'GET /v1/revisions/5': { json: { revision: 5, hosts: [{ host: 'h2', state: 'failed', error: 'map full' }] } },
  };
  const { code, err } = await against(routes, `apply -f ${a} --wait`);
  assert.deepEqual([code, err], [1, 'error: h2 could not realise revision 5: map full']);
});

test('files that cannot be read', async () => {
  const { code, err } = await weir(`apply -f ${join(dir, 'none.yaml')}`);
  assert.equal(code, 1);
  assert.match(err, /^error: .*none\.yaml can't be read: ENOENT/);
});

const DIFF: Routes = {
  'POST /v1/policies/diff': {
    json: {
      results: [
        { key: 'x', action: 'unchanged', diff: '' },
        { key: 'NetworkPolicy/shop/a', action: 'configured', diff: '--- a\n+++ a\n spec:\n-  x: 1\n+  x: 2\n' },
      ],
    },
  },
};

test('diff: status 1 when something would change, colours only for people', async () => {
  const plain = await against(DIFF, `diff -f ${a}`);
  assert.deepEqual([plain.code, plain.out], [1, '--- a\n+++ a\n spec:\n-  x: 1\n+  x: 2']);
  const coloured = await against(DIFF, `diff -f ${a}`, { colours: true });
  assert.ok(coloured.out.includes('\u001b[32m+  x: 2\u001b[39m'));
  const same = await against(
    { 'POST /v1/policies/diff': { json: { results: [{ key: 'x', action: 'unchanged', diff: '' }] } } },
    `diff -f ${a}`,
  );
  assert.deepEqual([same.code, same.out], [0, '']);
});

const DELETED: Routes = {
  'DELETE /v1/policies/NetworkPolicy/shop/a': { json: {} },
  'DELETE /v1/policies/CiliumClusterwideNetworkPolicy/-/fence': { json: {} },
};

test('delete: what can go goes, what is not there is said at the end', async () => {
  const { code, out, err } = await against(
    DELETED,
    'delete NetworkPolicy/shop/gone NetworkPolicy/shop/a CiliumClusterwideNetworkPolicy/fence',
  );
  assert.equal(code, 1);
  assert.equal(out, 'NetworkPolicy/shop/a deleted\nCiliumClusterwideNetworkPolicy/fence deleted');
  assert.equal(err, 'error: there is no /v1/policies/NetworkPolicy/shop/gone\n  fix: list what there is');
  assert.equal((await against(DELETED, 'delete NetworkPolicy/shop/gone --ignore-not-found')).code, 0);
});

test('delete -f takes the keys from the documents', async () => {
  const { code, out } = await against(DELETED, `delete -f ${a}`);
  assert.deepEqual([code, out], [0, 'NetworkPolicy/shop/a deleted']);
  const broken = file('broken.yaml', 'kind: NetworkPolicy\n');
  const { code: failed, err } = await weir(`delete -f ${broken}`);
  assert.equal(failed, 1);
  assert.match(err, new RegExp(`^${broken}:1:1: apiVersion: apiVersion is required`));
});

const FLEET: Routes = {
  'GET /v1/workloads/shop.web': {
    json: { name: 'web', namespace: 'shop', identity: 256, ip4: '10.0.0.1', ip6: null, ports: [] },
  },
  'GET /v1/workloads/shop.db': {
    json: {
      name: 'db',
      namespace: 'shop',
      identity: 257,
      ip4: '10.0.0.2',
      ip6: null,
      ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
    },
  },
  'GET /v1/workloads': listing([
    { name: 'db', namespace: 'shop', identity: 257, ip4: '10.0.0.2', ip6: null, ports: [] },
  ]),
  'GET /v1/identities': listing([
    { identity: 256, labels: ['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=shop'] },
    { identity: 257, labels: ['k8s:app=db', 'k8s:io.kubernetes.pod.namespace=shop'] },
  ]),
  'GET /v1/policies': listing([
    {
      key: 'NetworkPolicy/shop/db',
      document: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'db', namespace: 'shop' },
        spec: {
          podSelector: { matchLabels: { app: 'db' } },
          ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 'sql' }] }],
        },
      },
      rules: [{ path: 'spec.ingress[0]', id: 17 }],
    },
  ]),
};

test('explain: why a flow passes, or not; status 1 when it does not', async () => {
  const allowed = await against(FLEET, 'explain --from shop/web --to shop/db --port 5432');
  assert.equal(allowed.code, 0, allowed.err);
  assert.equal(
    allowed.out,
    `shop/web -> shop/db TCP/5432: allowed
  egress of shop/web: allowed, because no policy restricts its egress
  ingress of shop/db: allowed by spec.ingress[0] of NetworkPolicy/shop/db
    1. NetworkPolicy/shop/db restricts its ingress: spec.ingress[0]: allows it`,
  );
  const other = await against(FLEET, 'explain --from shop/web --to 10.0.0.2 --port 80 -o json');
  assert.equal(other.code, 1);
  assert.equal(JSON.parse(other.out).ingress.reason, 'default-deny');
});

test('explain -f: as if the documents had been applied', async () => {
  const candidate = file('db.yaml', policy('db').replace('podSelector: {}', 'podSelector: {}\n  ingress: [{}]'));
  const { code, out } = await against(
    FLEET,
    `explain --from 192.0.2.1 --to shop/db --port 8 --protocol icmp -f ${candidate}`,
  );
  assert.equal(code, 0);
  assert.match(out, /^192\.0\.2\.1 -> shop\/db ICMP type 8: allowed$/m);
  assert.ok(out.includes(`allowed by spec.ingress[0] of NetworkPolicy/shop/db, ${candidate}:6\n`), out);
  // Of several files, the second's own lines.
  const both = await against(FLEET, `explain --from 192.0.2.1 --to shop/db --port 80 -f ${a} -f ${candidate} -o json`);
  const [, step] = JSON.parse(both.out).steps.ingress;
  assert.deepEqual([JSON.parse(both.out).ingress.rule.file, step.says, step.rule.file], [candidate, 'nothing', a]);
});

test('a service that is too busy for a moment is asked again; one that says a longer time, or that is away, is not', async () => {
  const busy = (code: string, retryAfterS: number, times: number): Routes => {
    let refusals = 0;
    return {
      'POST /v1/policies': (_asked, response) => {
        const refuse = refusals < times;
        refusals += 1;
        const problem = { status: 503, code, title: 'Busy', detail: 'the service is busy', fix: 'try again later' };
        response.writeHead(refuse ? 503 : 200, {
          'content-type': 'application/json',
          ...(refuse ? { 'retry-after': String(retryAfterS) } : {}),
        });
        response.end(JSON.stringify(refuse ? problem : { results: [], revision: 5 }));
      },
    };
  };
  const outcome = async (code: string, retryAfterS: number, times: number): Promise<readonly number[]> => {
    const { code: exit, asked } = await against(busy(code, retryAfterS, times), `apply -f ${a}`);
    return [exit, asked.length];
  };
  assert.deepEqual(await outcome('OVERLOADED', 0, 2), [0, 3]);
  assert.deepEqual(await outcome('OVERLOADED', 0, 100), [1, 5]);
  assert.deepEqual(await outcome('OVERLOADED', 60, 1), [1, 1]);
  assert.deepEqual(await outcome('UNAVAILABLE', 0, 1), [1, 1]);
});
