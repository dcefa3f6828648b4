// SPDX-License-Identifier: Apache-2.0
/** The command: writes, checks, names what is stale, says what to do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { compileFixture, type Fixture } from './compile.ts';

const MAIN = resolve(import.meta.dirname, '../main.ts');
const ABI = resolve(import.meta.dirname, '../../include/abi.h');

const run = ({ objects, out }: Fixture, ...args: string[]): { status: number | null; stderr: string } => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, '--objects', objects, '--out', out, ...args], {
    encoding: 'utf8',
  });
  return { status, stderr };
};

const SOURCE = { abi: 'struct a { __u32 x; } *a; enum e { E_ONE = 1 } *e;' };

test('--check passes on what was just written and does not touch it', (t) => {
  const fixture = compileFixture(t, SOURCE);
  assert.equal(run(fixture).status, 0);
  const before = statSync(join(fixture.out, 'structs.ts')).mtimeMs;
  assert.deepEqual(run(fixture, '--check'), { status: 0, stderr: '' });
  assert.deepEqual(run(fixture), { status: 0, stderr: '' });
  assert.equal(statSync(join(fixture.out, 'structs.ts')).mtimeMs, before);
});

test('--check names changed, missing and superfluous files and exits 1', (t) => {
  const fixture = compileFixture(t, SOURCE);
  run(fixture);
  appendFileSync(join(fixture.out, 'structs.ts'), '// by hand\n');
  unlinkSync(join(fixture.out, 'enums.ts'));
  writeFileSync(join(fixture.out, 'old.ts'), '');
  const { status, stderr } = run(fixture, '--check');
  assert.equal(status, 1);
  assert.deepEqual(
    [...stderr.matchAll(/codegen: (\S+) is stale/g)].map(([, name]) => name),
    ['enums.ts', 'old.ts', 'structs.ts'],
  );
  assert.match(stderr, /npm run build/);
  assert.equal(run(fixture).status, 0);
  assert.ok(!readdirSync(fixture.out).includes('old.ts'));
  assert.equal(run(fixture, '--check').status, 0);
});

test('without objects it says what to run', (t) => {
  const fixture = compileFixture(t, {});
  const { status, stderr } = run(fixture);
  assert.equal(status, 1);
  assert.match(stderr, /no BPF objects in .*\n {2}fix: run npm run build/);
});

test('every struct and enum that abi.h declares is generated', async () => {
  const generated: Record<string, unknown> = await import('../../gen/index.ts');
  const declared = [...readFileSync(ABI, 'utf8').matchAll(/^(?:struct|enum) (\w+) \{/gm)].map(([, name]) => name ?? '');
  assert.ok(declared.length > 20);
  assert.deepEqual(
    declared.filter((name) => !(name in generated)),
    [],
    'name them in bpf/prog/abi.bpf.c',
  );
});
