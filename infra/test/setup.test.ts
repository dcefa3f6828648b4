// SPDX-License-Identifier: Apache-2.0
/** The commands that everybody runs first: what they print, what they refuse, what they leave alone. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LONG_FILES, longestFirst } from '../setup/long-files.ts';

const SETUP = resolve(import.meta.dirname, '../setup');

/** A directory with these files, gone after the test. */
const directory = (t: TestContext, files: Readonly<Record<string, string>>): string => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-setup-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
};

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (cwd: string, env: NodeJS.ProcessEnv, command: string, ...args: string[]): Ran =>
  spawnSync(command, args, { cwd, env: { ...process.env, ...env }, encoding: 'utf8' });

const PASSES = "import { test } from 'node:test'; test('fine', () => {});";
const SKIPS = "import { test } from 'node:test'; test('needs a kernel', { skip: 'not root' }, () => {});";
const FAILS = "import { test } from 'node:test'; test('broken', () => { throw new Error('no'); });";

const npmTest = (cwd: string, env: NodeJS.ProcessEnv, ...args: string[]): Ran =>
  run(cwd, env, process.execPath, join(SETUP, 'test.ts'), ...args);

test("npm test ends with node:test's closing lines and its exit code", (t) => {
  const dir = directory(t, { 'e2e/a.test.ts': PASSES, 'e2e/b.test.ts': FAILS });
  const good = npmTest(dir, { CI: 'true' }, 'a.test');
  assert.equal(good.status, 0);
  assert.match(good.stdout, /✔ fine[\s\S]*ℹ tests 1\n[\s\S]*ℹ skipped 0\nℹ todo 0\nℹ duration_ms [\d.]+\n$/);
  const bad = npmTest(dir, {}, 'e2e');
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /ℹ fail 1\n/);
});

test('a skipped test passes by hand and fails CI, which says so before the closing lines', (t) => {
  const dir = directory(t, { 'e2e/a.test.ts': PASSES, 'e2e/s.test.ts': SKIPS });
  const byHand = npmTest(dir, { CI: '' }, 'e2e');
  assert.equal(byHand.status, 0);
  assert.match(byHand.stdout, /needs a kernel .*not root/);
  const inCi = npmTest(dir, { CI: 'true' }, 'e2e');
  assert.equal(inCi.status, 1);
  assert.match(inCi.stdout, /1 tests were skipped; with CI=true none may be\nℹ tests 2\n/);
});

test('long files begin first, and are there', () => {
  assert.deepEqual(['b', 'e2e/vm/vm.test.ts', 'a'].sort(longestFirst), ['e2e/vm/vm.test.ts', 'a', 'b']);
  assert.deepEqual(
    LONG_FILES.filter((file) => !existsSync(resolve(SETUP, '../..', file))),
    [],
  );
});

test('a word that no test file has is an error', (t) => {
  const { status, stderr } = npmTest(directory(t, { 'e2e/a.test.ts': PASSES }), {}, 'nowhere');
  assert.equal(status, 1);
  assert.match(stderr, /no test file's path contains nowhere/);
});

const lock = (version: string): string =>
  JSON.stringify({
    packages: {
      '': {},
      'node_modules/a': { version, integrity: 'x' },
      'node_modules/other-machine': { version: '1.0.0', cpu: ['pdp11'], optional: true },
    },
  });

test('node_modules is taken as it is only when it is what the lockfile says', (t) => {
  const matches = (files: Readonly<Record<string, string>>): boolean =>
    run(directory(t, files), {}, process.execPath, join(SETUP, 'tree-matches-lock.mjs')).status === 0;
  const hidden = JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0', integrity: 'x' } } });
  const installed = { 'node_modules/.package-lock.json': hidden, 'node_modules/a/package.json': '{}' };
  assert.ok(matches({ ...installed, 'package-lock.json': lock('1.0.0') }));
  assert.ok(!matches({ ...installed, 'package-lock.json': lock('1.0.1') }), 'another version');
  assert.ok(!matches({ 'package-lock.json': lock('1.0.0') }), 'nothing installed');
  assert.ok(
    !matches({ 'node_modules/.package-lock.json': hidden, 'package-lock.json': lock('1.0.0') }),
    'a folder is missing',
  );
});

/** Programs that stand in for the machine's, first on the path. */
const withPrograms = (t: TestContext, programs: Readonly<Record<string, string>>): { dir: string; PATH: string } => {
  const dir = directory(t, programs);
  for (const name of Object.keys(programs)) chmodSync(join(dir, name), 0o755);
  return { dir, PATH: `${dir}:${process.env.PATH}` };
};

test('missing Debian packages are installed once by root and named to everybody else', (t) => {
  const isRoot = process.getuid?.() === 0;
  const { dir, PATH } = withPrograms(t, {
    'dpkg-query': '#!/bin/sh\nprintf "installed %s\\n" clang-19 libbpf-dev make nats-server\n',
    'apt-get': `#!/bin/sh\necho "$@" >> "$(dirname "$0")/apt.log"\n`,
  });
  const { status, stderr, stdout } = run(SETUP, { PATH }, 'bash', join(SETUP, 'with-toolchain.sh'), 'echo', 'ran');
  if (!isRoot) {
    assert.equal(status, 1);
    assert.match(stderr, /fix: as root: apt-get update && apt-get install -y --no-install-recommends .*bpftool/);
    return;
  }
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'ran\n');
  const [update, install, more] = readFileSync(join(dir, 'apt.log'), 'utf8').split('\n');
  assert.equal(update, 'update -q');
  assert.match(install ?? '', /^install -q -y --no-install-recommends .*\bbpftool /);
  assert.doesNotMatch(install ?? '', /clang-19|nats-server/);
  assert.equal(more, '', 'nothing else was asked of apt');
});

test('the command runs with the pinned node, and its exit code is the outcome', () => {
  const script = join(SETUP, 'with-toolchain.sh');
  const { status, stdout } = run(
    SETUP,
    {},
    'bash',
    script,
    'node',
    '-e',
    'console.log(process.version); process.exit(7)',
  );
  assert.match(stdout, /^v24\./);
  assert.equal(status, 7);
});

test('an old node is refused with what to do', (t) => {
  const { PATH } = withPrograms(t, { node: '#!/bin/sh\necho 18\n' });
  const { status, stderr } = run(SETUP, { PATH }, 'bash', join(SETUP, 'with-toolchain.sh'), 'true');
  assert.equal(status, 1);
  assert.match(stderr, /node is version 18\n {2}fix: install Node 20 or newer/);
});
