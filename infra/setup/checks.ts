// SPDX-License-Identifier: Apache-2.0
/** What must hold of the sources besides passing tests. Each check is one command or one look at the files. */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

export interface CheckResult {
  readonly ok: boolean;
  /** What to show when it is not. */
  readonly output: string;
}

export interface Check {
  readonly name: string;
  readonly fix: string;
  run(): CheckResult;
}

/** Nothing here reports to anybody. */
const QUIET = { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' };
const MAX_OUTPUT_BYTES = 64 << 20;

const command = (program: string, args: readonly string[], cwd = '.'): CheckResult => {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...QUIET },
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return { ok: status === 0, output: error === undefined ? `${stdout}${stderr}` : error.message };
};

const NOT_OURS = [
  '**/node_modules/**',
  '**/gen/**',
  'bpf/obj/**',
  'bpf/loader/build/**',
  'e2e/bench/build/**',
  '.weir/**',
];
const sources = (...patterns: string[]): string[] => globSync(patterns, { exclude: NOT_OURS }).sort();

const C_SOURCES = '{bpf,infra,e2e}/**/*.{c,h,cc}';
const CODE = ['{bpf,services,infra,e2e}/**/*.{ts,mjs,sh}', C_SOURCES, '.ci/run', 'proto/*.sh'];
/** One idea a file; what is longer holds two. */
const MAX_LINES = 400;
/** The whole kernel/user contract is one file by design. */
const MAY_BE_LONG = ['bpf/include/abi.h'];

const everyFile = (files: readonly string[], complaint: (text: string) => string | undefined): CheckResult => {
  const complaints = files.flatMap((file) => {
    const said = complaint(readFileSync(file, 'utf8'));
    return said === undefined ? [] : [`${file}: ${said}`];
  });
  return { ok: complaints.length === 0, output: complaints.join('\n') };
};

const DEPENDENCIES = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;
type Manifest = Partial<Record<(typeof DEPENDENCIES)[number], Record<string, string>>>;

/** Each package.json of ours asks for what package-lock.json thinks that it asks for. */
const lockfileIsInStep = (): CheckResult => {
  const lock: { packages: Record<string, Manifest> } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const complaints = sources('package.json', '{bpf,services,infra,e2e,proto}/**/package.json').flatMap((file) => {
    const wanted: Manifest = JSON.parse(readFileSync(file, 'utf8'));
    const locked = lock.packages[file === 'package.json' ? '' : dirname(file)];
    const differ = DEPENDENCIES.filter((kind) => !isDeepStrictEqual({ ...wanted[kind] }, { ...locked?.[kind] }));
    return differ.length === 0 ? [] : [`${file}: ${differ.join(', ')} differ from package-lock.json`];
  });
  return { ok: complaints.length === 0, output: complaints.join('\n') };
};

/** Generated again into an empty directory, the protobuf types are those in proto/gen. */
const protobufIsFresh = (): CheckResult => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-proto-'));
  try {
    const generated = command('buf', ['generate', '-o', dir], 'proto');
    return generated.ok ? command('diff', ['-r', '-q', join(dir, 'gen'), 'proto/gen']) : generated;
  } finally {
    rmSync(dir, { recursive: true });
  }
};

/** Who has the messages of before understands today's, and the file that says so knows all of today's. */
const protobufIsCompatible = (): CheckResult => {
  const breaking = command('buf', ['breaking', '--against', 'baseline.binpb'], 'proto');
  if (!breaking.ok) return breaking;
  const dir = mkdtempSync(join(tmpdir(), 'weir-proto-'));
  try {
    const image = join(dir, 'image.binpb');
    const built = command('buf', ['build', '--exclude-source-info', '-o', image], 'proto');
    return built.ok ? command('cmp', [image, 'proto/baseline.binpb']) : built;
  } finally {
    rmSync(dir, { recursive: true });
  }
};

export const CHECKS: readonly Check[] = [
  { name: 'format and lint', fix: 'biome check --write .', run: () => command('biome', ['ci', '--colors=off', '.']) },
  { name: 'types', fix: 'repair what tsc names', run: () => command('tsc', ['--noEmit', '-p', 'tsconfig.json']) },
  {
    name: 'who imports whom',
    fix: 'name the dependency in package.json; tags are in turbo.json',
    run: () => command('turbo', ['boundaries', '--no-color']),
  },
  {
    name: 'lockfile',
    fix: 'npm install --package-lock-only --ignore-scripts, and commit package-lock.json',
    run: lockfileIsInStep,
  },
  {
    name: 'generated codecs',
    fix: 'npm run build, and commit bpf/gen',
    run: () => command('node', ['bpf/codegen/main.ts', '--check']),
  },
  {
    name: 'documents made of code',
    fix: 'node infra/setup/docs.ts, and commit infra/docs',
    run: () => command('node', ['infra/setup/docs.ts', '--check']),
  },
  { name: 'protobuf lint', fix: 'repair what buf names', run: () => command('buf', ['lint'], 'proto') },
  { name: 'protobuf types', fix: 'npm run build', run: protobufIsFresh },
  {
    name: 'protobuf compatibility',
    fix: 'add instead of changing, then npm run build and commit proto/baseline.binpb; proto/README.md has what to do when a break is meant',
    run: protobufIsCompatible,
  },
  {
    name: 'format of C',
    fix: `clang-format-19 -i ${C_SOURCES}`,
    run: () => command('clang-format-19', ['--dry-run', '--Werror', ...sources(C_SOURCES)]),
  },
  {
    name: 'license headers',
    fix: 'begin the file with an SPDX-License-Identifier comment',
    run: () =>
      everyFile(sources(...CODE), (text) => {
        return text.slice(0, 200).includes('SPDX-License-Identifier: ') ? undefined : 'has no SPDX-License-Identifier';
      }),
  },
  {
    name: 'length of files',
    fix: `split it: at most ${MAX_LINES} lines, one idea`,
    run: () =>
      everyFile(
        sources(...CODE).filter((file) => !MAY_BE_LONG.includes(file)),
        (text) => {
          const lines = text.split('\n').length - 1;
          return lines > MAX_LINES ? `has ${lines} lines` : undefined;
        },
      ),
  },
];

/** Runs all of them, a line each; returns the names of those that failed. */
export const runChecks = (checks: readonly Check[]): string[] =>
  checks.flatMap(({ name, fix, run }) => {
    const started = performance.now();
    const { ok, output } = run();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`check: ${name} ${ok ? 'ok' : 'FAILED'} (${seconds} s)\n`);
    if (!ok) process.stdout.write(`${output.trimEnd()}\n  fix: ${fix}\n`);
    return ok ? [] : [name];
  });
