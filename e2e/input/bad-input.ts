// SPDX-License-Identifier: Apache-2.0
/**
 * Bad input through the public doors of a fleet that has no policy: each answer names field, value and fix, and nothing has
 * changed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Problem } from '@weir/errors';
import { ApiError, callApi } from '@weir/infra/api';
import type { Fleet } from '@weir/infra/fleet';

const policy = (spec: string): string => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: bad, namespace: default }
spec:
${spec}
`;

const CASES: readonly { name: string; text: string; status: number; says: RegExp; line?: number }[] = [
  {
    name: 'broken YAML',
    text: 'apiVersion: networking.k8s.io/v1\nkind: [NetworkPolicy\n',
    status: 422,
    says: /./,
    line: 3,
  },
  { name: 'unknown field', text: policy('  podSelector: {}\n  ingres: []'), status: 422, says: /ingres/, line: 6 },
  {
    name: 'bad CIDR',
    text: policy('  podSelector: {}\n  ingress:\n    - from: [ { ipBlock: { cidr: 10.0.0.0/33 } } ]'),
    status: 422,
    says: /10\.0\.0\.0\/33/,
    line: 7,
  },
  {
    name: 'port 70000',
    text: policy('  podSelector: {}\n  ingress:\n    - ports: [ { port: 70000 } ]'),
    status: 422,
    says: /70000/,
    line: 7,
  },
];

/** Within a describe(). */
export const badInput = (fleetOf: () => Fleet): void => {
  let fleet: Fleet;
  const dir = mkdtempSync(join(tmpdir(), 'weir-input-'));

  before(() => {
    fleet = fleetOf();
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const post = async (text: string): Promise<Problem> => {
    try {
      await callApi(`${fleet.control.urls.policy}/v1/policies`, { raw: { type: 'application/yaml', text } });
    } catch (error) {
      assert.ok(error instanceof ApiError, String(error));
      return error.problem;
    }
    assert.fail('accepted');
  };
  const policies = async (): Promise<unknown[]> =>
    (await callApi<{ items: unknown[] }>(`${fleet.control.urls.policy}/v1/policies`)).items;

  const cli = (...words: string[]) =>
    spawnSync(process.execPath, [new URL('../../services/cli/src/main.ts', import.meta.url).pathname, ...words], {
      encoding: 'utf8',
      env: { ...process.env, ...fleet.control.cliEnv },
    });

  for (const { name, text, status, says, line } of CASES) {
    test(`${name}: refused with its place`, async () => {
      const problem = await post(text);
      assert.equal(problem.status, status);
      const issue = problem.errors?.[0];
      assert.ok(issue, JSON.stringify(problem));
      assert.match(`${issue.path} ${issue.message} ${issue.value}`, says);
      assert.equal(issue.line, line);
      assert.ok((issue.column ?? 0) >= 1);
      assert.deepEqual(await policies(), []);
    });
  }

  test('one bad document of several: none is applied', async () => {
    const fine = policy('  podSelector: {}').replace('name: bad', 'name: fine');
    const problem = await post(`${fine}---\n${CASES[1]?.text}`);
    assert.equal(problem.status, 422);
    assert.deepEqual(await policies(), []);
  });

  test('a document of 10 MB is refused as too large', async () => {
    const problem = await post(`# ${'x'.repeat(10 * 1024 * 1024)}\n${policy('  podSelector: {}')}`);
    assert.equal(problem.status, 413);
    assert.equal(problem.code, 'TOO_LARGE');
    assert.deepEqual(await policies(), []);
  });

  test('an unknown host is named, with what to do', async () => {
    await assert.rejects(
      callApi(`${fleet.control.urls.inventory}/v1/workloads`, { body: { name: 'w', host: 'nowhere' } }),
      (error) => {
        assert.ok(error instanceof ApiError);
        assert.equal(error.problem.status, 422);
        assert.equal(error.problem.field, 'host');
        assert.equal(error.problem.value, 'nowhere');
        assert.ok(error.problem.fix);
        return true;
      },
    );
  });

  test('a policy that selects nothing is applied with a warning', async () => {
    const file = join(dir, 'nothing.yaml');
    writeFileSync(
      file,
      policy('  podSelector: { matchLabels: { app: nobody } }').replace('name: bad', 'name: nothing'),
    );
    const result = cli('apply', '-f', file);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout + result.stderr, /selects no/i);
    await callApi(`${fleet.control.urls.policy}/v1/policies/NetworkPolicy/default/nothing`, { method: 'DELETE' });
  });

  test('the CLI points at line and column of the file and ends with status 1', async () => {
    const file = join(dir, 'bad.yaml');
    writeFileSync(file, CASES[3]?.text ?? '');
    const result = cli('apply', '-f', file);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /bad\.yaml:7:\d+/);
    assert.match(result.stderr, /70000/);
  });
};
