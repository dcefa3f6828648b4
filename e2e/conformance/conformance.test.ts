// SPDX-License-Identifier: Apache-2.0
/** The runner as a command: its own cases in every mode that needs no fleet, and how it treats what is wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isWeirError } from '@weir/errors';
import { needKernel } from '@weir/loader/testing';
import { parseDocuments } from '@weir/policy-engine';
import { readFile } from './read/file.ts';

const HERE = import.meta.dirname;
const CASES = globSync(join(HERE, 'cases/*.json')).sort();
const scratch = mkdtempSync(join(tmpdir(), 'weir-conformance-'));
after(() => rmSync(scratch, { recursive: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const runner = (...args: string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(HERE, 'main.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const taken = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      taken.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      taken.stderr += text;
    });
    child.on('close', (status) => resolve({ status, ...taken }));
  });

const told = (error: Error): string => `${error.message}\n${isWeirError(error) ? error.facts.fix : ''}`;

let files = 0;
const file = (content: unknown): string => {
  const path = join(scratch, `${files++}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const pods = [1, 2].map((n) => ({ ns: 'x', name: `p${n}`, labels: { n: `${n}` }, ip4: `10.0.0.${n}` }));
const matrix = (rows: readonly string[], more: object = {}, policy: object = {}) => ({
  name: 'a case',
  layout: { namespaces: { x: { labels: {} } }, pods },
  steps: [
    {
      actions: [
        {
          createPolicy: {
            apiVersion: 'networking.k8s.io/v1',
            kind: 'NetworkPolicy',
            metadata: { name: 'p', namespace: 'x' },
            spec: { podSelector: { matchLabels: { n: '1' } }, ingress: [] },
            ...policy,
          },
        },
      ],
      endpoints: ['x/p1', 'x/p2'],
      expect: [{ protocol: 'TCP', port: 80, rows }],
    },
  ],
  ...more,
});

test('there are cases enough, of all formats', () => {
  const all = CASES.flatMap((path) => JSON.parse(readFileSync(path, 'utf8')).cases ?? []);
  assert.ok(all.length >= 600, `${all.length} cases`);
  for (const [field, least] of [
    ['steps', 100],
    ['flows', 100],
    ['pattern', 15],
  ] as const) {
    assert.ok(all.filter((one) => one[field] !== undefined).length >= least, `fewer than ${least} cases with ${field}`);
  }
});

/** Every document of a case, whatever brings it. */
const documentsIn = (value: unknown): object[] => {
  if (Array.isArray(value)) return value.flatMap(documentsIn);
  if (typeof value !== 'object' || value === null) return [];
  return 'apiVersion' in value && 'kind' in value ? [value] : Object.values(value).flatMap(documentsIn);
};

/** What a document means, without where it was written. */
const meaning = (document: unknown): unknown =>
  JSON.parse(
    JSON.stringify(document, (key, part) => (['line', 'column', 'position'].includes(key) ? undefined : part)),
  );

test('every accepted document prints back to an equal one', () => {
  const texts = new Set(
    CASES.flatMap((path) => documentsIn(JSON.parse(readFileSync(path, 'utf8')).cases)).map((one) =>
      JSON.stringify(one),
    ),
  );
  let printed = 0;
  for (const text of texts) {
    const { documents, issues } = parseDocuments(text);
    if (issues.length > 0) continue;
    const again = parseDocuments(JSON.stringify(documents[0]?.json));
    assert.deepEqual([again.issues, meaning(again.documents)], [[], meaning(documents)], text);
    printed++;
  }
  assert.ok(printed >= 500, `${printed} different ones were printed`);
});

test('our own cases in engine mode', async () => {
  const { status, stdout, stderr } = await runner(...CASES);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^cells 1\d{4}, wrong 0, skipped 5 \(2 flows of kind http are not enforced yet; .*dns.*\)\n$/);
});

test('our own cases in maps mode', { skip: needKernel() }, async () => {
  const { status, stdout, stderr } = await runner(...CASES, '--mode', 'maps');
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^cells 1\d{4}, wrong 0, skipped 5 /);
});

test('random cases agree with the rules read one by one, in engine mode', async () => {
  const { status, stdout } = await runner('--random', '60', '--seed', '7');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^random 60, seed 7\ncells 2\d{4}, wrong 0, skipped 0\n$/);
});

test('random cases agree with the rules read one by one, in maps mode', { skip: needKernel() }, async () => {
  const { status, stdout } = await runner('--random', '30', '--seed', '70000', '--mode', 'maps');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /, wrong 0, skipped 0\n$/);
});

test('a wrong expectation is found, explained, reported and replayed', async () => {
  const report = join(scratch, 'report.json');
  const { status, stdout } = await runner(file({ cases: [matrix(['*1', '1*'])] }), '--json', report);
  assert.equal(status, 1);
  assert.match(stdout, /a case, step 1: x\/p2 -> x\/p1 TCP\/80 IPv4: wanted allow, got drop\n/);
  assert.match(stdout, /ingress of x\/p1: refused, because no rule allows it; default deny by .*NetworkPolicy\/x\/p/);
  assert.match(stdout, /\ncells 2, wrong 1, skipped 0\n$/);
  const [mismatch] = JSON.parse(readFileSync(report, 'utf8')).report.mismatches;
  assert.equal(mismatch.wanted, 'allow');
  const again = await runner(report);
  assert.equal(again.status, 1);
  assert.match(again.stdout, /cells 2, wrong 1, skipped 0\n$/);
});

test('a wrong expectation is found by the kernel too', { skip: needKernel() }, async () => {
  const { status, stdout } = await runner(file({ cases: [matrix(['*0', '1*'])] }), '--mode', 'maps');
  assert.equal(status, 1);
  assert.match(stdout, /x\/p1 -> x\/p2 TCP\/80 IPv4: wanted drop, got allow/);
  assert.match(stdout, /cells 2, wrong 2, skipped 0/);
});

test('what is not enforced yet and what a tag leaves out is skipped and counted', async () => {
  const later = { kind: 'CiliumNetworkPolicy', apiVersion: 'cilium.io/v2' };
  const spec = { endpointSelector: {}, egress: [{ toFQDNs: [{ matchName: 'a.b' }] }] };
  const path = file({
    cases: [matrix(['*1', '1*'], { tags: ['slow'] }), matrix(['*1', '1*'], {}, { ...later, spec })],
  });
  const { status, stdout } = await runner(path, '--skip-tag', 'slow');
  assert.equal(status, 0, stdout);
  assert.equal(stdout, 'cells 0, wrong 0, skipped 4 (2 tag slow; 2 policies with toFQDNs are not enforced yet)\n');
});

test('a policy that is refused makes every cell of its case wrong', async () => {
  const { status, stdout } = await runner(file({ cases: [matrix(['*1', '1*'], {}, { spec: { podSelector: 1 } })] }));
  assert.equal(status, 1);
  assert.match(stdout, /NetworkPolicy\/x\/p was refused: spec\.podSelector/);
  assert.match(stdout, /cells 2, wrong 2, skipped 0/);
});

test('an invalid policy or pattern that is taken is wrong', async () => {
  const policy = matrix([]).steps[0]?.actions[0]?.createPolicy;
  const path = file({ cases: [], invalid: [{ name: 'good', policy, why: 'none' }, '*.example.com'] });
  const { status, stdout } = await runner(path);
  assert.equal(status, 1);
  assert.match(stdout, /good: wanted a refusal with the path of the field, got taken/);
  assert.match(stdout, /"\*\.example\.com": wanted a refusal, got taken/);
});

test('a filter takes the cases that it names', async () => {
  const path = file({ cases: [matrix(['*1', '0*'], { name: 'one' }), matrix(['*1', '0*'], { name: 'two' })] });
  assert.match((await runner(path, '--filter', 'two')).stdout, /^cells 2, wrong 0/);
  assert.match((await runner(path, '--filter', 'three')).stdout, /^cells 0, wrong 0/);
});

test('a bad file is refused with the path of the field, before anything runs', async () => {
  const flows = { meta: { world: { endpoints: { a: { labels: {}, ip4: '10.0.0.1' } } } } };
  const rows: [unknown, RegExp][] = [
    ['{', /cannot be read/],
    [{}, /cases: is missing/],
    [{ cases: [{}] }, /cases\[0\]: is in none of the formats/],
    [{ cases: [matrix(['*1'])] }, /cases\[0\]\.steps\[0\]\.expect\[0\]\.rows: has 1 rows for 2 endpoints/],
    [{ cases: [matrix(['*2', '1*'])] }, /rows\[0\]: must be 2 of 0, 1 and \*/],
    [
      { cases: [matrix(['*1', '1*'], { step: [], steps: undefined })] },
      /cases\[0\]\.step: is no field here\n.*write steps/,
    ],
    [{ cases: [matrix([], { steps: [{ actions: [{ deletePod: { namespace: 'x', pod: 'z' } }] }] })] }, /no pod x\/z/],
    [{ cases: [{ flows: [] }] }, /meta\.world: is missing/],
    [
      { ...flows, cases: [{ flows: [{ from: 'a', to: 'b', flow: 'tcp/80', expect: 'allow' }] }] },
      /flows\[0\]\.to: b is no/,
    ],
    [
      { ...flows, cases: [{ flows: [{ from: 'a', to: 'a', flow: 'tcp/80', expect: 'yes' }] }] },
      /expect: must be one of/,
    ],
    [
      { ...flows, cases: [{ flows: [{ from: 'a', to: 'a', flow: 'tcp/99999', expect: 'drop' }] }] },
      /must be tcp\/0 to/,
    ],
    [
      { ...flows, cases: [{ flows: [{ from: 'a', to: 'a', flow: 'tcp/80', expect: 'drop', view: 'staged' }] }] },
      /view: must be one of audited, pending/,
    ],
    [
      {
        cases: [
          matrix([], { layout: { pods, externals: [{ name: 'e', ip4: '192.0.2.1', labels: { role: 'edge' } }] } }),
        ],
      },
      /externals\[0\]\.labels: are of no use/,
    ],
    [{ cases: [{ pattern: 1 }] }, /cases\[0\]\.pattern: must be text/],
  ];
  for (const [content, said] of rows)
    assert.throws(
      () => readFile(file(content)),
      (error: Error) => said.test(told(error)),
    );
  const { status, stdout, stderr } = await runner(file({ cases: [matrix(['*1', '1*'])] }), file({ cases: [{}] }));
  assert.equal(status, 2, stderr);
  assert.equal(stdout, '');
});

test('a wrong command says what is right', async () => {
  const rows = [
    [[], /no case file was named/],
    [['a.json', '--mode', 'none'], /there is no mode none\n {2}fix: use one of engine, maps/],
    [['a.json', '--wrong'], /--wrong/],
  ] as const;
  const outcomes = await Promise.all(rows.map(([args]) => runner(...args)));
  for (const [at, { status, stderr }] of outcomes.entries()) {
    assert.equal(status, 2);
    assert.match(stderr, rows[at]?.[1] as RegExp);
  }
});
