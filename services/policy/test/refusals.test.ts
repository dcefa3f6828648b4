// SPDX-License-Identifier: Apache-2.0
/** Bad input: each answer names place, value and fix, and nothing has changed. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Harness, networkPolicy, type ProblemAnswer, startHarness, WEB } from './support/harness.ts';

let harness: Harness;
before(async () => {
  harness = await startHarness();
  await harness.apply(networkPolicy('web', WEB));
});
after(() => harness.stop());

const state = async () => JSON.stringify((await harness.call('GET', '/v1/policies')).body);
let held: string | undefined;
afterEach(async () => {
  const now = await state();
  held ??= now;
  assert.equal(now, held, 'nothing has changed');
});

interface Case {
  readonly name: string;
  readonly text: string;
  readonly path: RegExp;
  readonly says: RegExp;
  readonly line: number;
  readonly column?: number;
}

const CASES: readonly Case[] = [
  {
    name: 'broken YAML',
    text: 'apiVersion: networking.k8s.io/v1\nkind: [NetworkPolicy\n',
    path: /^/,
    says: /./,
    line: 3,
  },
  {
    name: 'broken JSON',
    text: '{"apiVersion": "networking.k8s.io/v1",\n "kind": "NetworkPolicy" 1}',
    path: /^/,
    says: /./,
    line: 2,
  },
  {
    name: 'unknown field',
    text: networkPolicy('bad', 'podSelector: {}\ningres: []'),
    path: /spec\.ingres$/,
    says: /ingres/,
    line: 8,
  },
  {
    name: 'bad CIDR',
    text: networkPolicy('bad', 'podSelector: {}\ningress:\n  - from: [ { ipBlock: { cidr: 10.0.0.0/33 } } ]'),
    path: /spec\.ingress\[0\]\.from\[0\]\.ipBlock\.cidr$/,
    says: /10\.0\.0\.0\/33/,
    line: 9,
  },
  {
    name: 'port 70000',
    text: networkPolicy('bad', 'podSelector: {}\ningress:\n  - ports: [ { port: 70000 } ]'),
    path: /spec\.ingress\[0\]\.ports\[0\]\.port$/,
    says: /70000/,
    line: 9,
    column: 24,
  },
  {
    name: 'no name',
    text: 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {}\nspec: {podSelector: {}}\n',
    path: /metadata/,
    says: /name/,
    line: 3,
  },
  {
    name: 'another kind',
    text: 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n',
    path: /kind/,
    says: /Pod/,
    line: 2,
  },
  {
    name: 'the same key twice in one object',
    text: networkPolicy('bad', 'podSelector: {}\npodSelector: {}'),
    path: /^/,
    says: /./,
    line: 8,
  },
  {
    name: 'the same document twice',
    text: `${networkPolicy('x', WEB)}---\n${networkPolicy('x', WEB)}`,
    path: /^/,
    says: /same kind, namespace and name/,
    line: 16,
  },
  { name: 'nothing', text: '# nothing here\n', path: /^/, says: /no policy document/, line: 1 },
];

describe('refused with 422', () => {
  for (const { name, text, path, says, line, column } of CASES) {
    test(name, async () => {
      for (const url of ['/v1/policies', '/v1/policies?dry_run=true', '/v1/policies/diff']) {
        const { status, body, headers }: ProblemAnswer = await harness.call('POST', url, { body: text });
        assert.equal(status, 422, JSON.stringify(body));
        assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
        assert.equal(body.code, 'INVALID_ARGUMENT');
        const issue = body.errors?.[0];
        assert.ok(issue, JSON.stringify(body));
        assert.match(issue.path, path);
        assert.match(`${issue.path} ${issue.message} ${issue.value}`, says);
        assert.equal(issue.line, line);
        assert.equal(body.line, line);
        assert.ok((issue.column ?? 0) >= 1);
        if (column !== undefined) assert.equal(issue.column, column);
      }
    });
  }

  test('one bad document of three names the document', async () => {
    const text = [
      networkPolicy('a', WEB),
      networkPolicy('bad', 'podSelector: {}\ningres: []'),
      networkPolicy('c', WEB),
    ].join('---\n');
    const { status, body }: ProblemAnswer = await harness.apply(text);
    assert.equal(status, 422);
    assert.equal(body.errors?.[0]?.document, 'NetworkPolicy/prod/bad');
    assert.equal(body.errors?.[0]?.line, 23);
  });
});

describe('refused otherwise', () => {
  test('10 MB: 413', async () => {
    const { status, body }: ProblemAnswer = await harness.apply(
      `# ${'x'.repeat(10 * 1024 * 1024)}\n${networkPolicy('big', WEB)}`,
    );
    assert.equal(status, 413);
    assert.equal(body.code, 'TOO_LARGE');
    assert.ok(body.fix);
  });

  test('an empty body, and one of a type that is no document', async () => {
    for (const options of [{ body: '' }, { body: 'x', type: 'image/png' }, {}]) {
      const { status } = await harness.call('POST', '/v1/policies', options);
      assert.ok(status >= 400 && status < 500, `${status}`);
    }
  });

  test('an alias bomb is not unfolded', async () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) =>
        `l${level}: &l${level} [${Array(10)
          .fill(level === 0 ? 'x' : `*l${level - 1}`)
          .join(', ')}]`,
    );
    const startedAt = performance.now();
    const { status } = await harness.apply(`${levels.join('\n')}\n${networkPolicy('bomb', WEB)}`);
    assert.equal(status, 422);
    assert.ok(performance.now() - startedAt < 20_000, 'unfolded, it would be a thousand million values');
  });

  test('paths that are no policy', async () => {
    for (const path of [
      '/v1/policies/Nothing/-/x',
      '/v1/policies/NetworkPolicy/prod/nope',
      '/v1/policies/NetworkPolicy/..%2F..%2Fx/y',
    ]) {
      assert.equal((await harness.call('GET', path)).status, 404, path);
    }
    assert.equal((await harness.call('GET', '/v1/revisions/abc')).status, 422);
    assert.equal((await harness.call('GET', '/v1/revisions/1?wait_s=100000')).status, 422);
    assert.equal((await harness.call('GET', '/v1/rules/0')).status, 422);
    assert.equal((await harness.call('GET', '/v1/rules?ids=1&kind=NetworkPolicy')).status, 422);
    assert.equal((await harness.call('GET', '/v1/rules?ids=')).status, 422);
  });
});
