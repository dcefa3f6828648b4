// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the addon with node-gyp against the headers of the pinned Node, which come with its npm package: no
 * download. Skips when no input changed. The finished file is moved into place, so running processes keep theirs.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const build = join(here, 'build');
const addon = join(build, 'Release', 'weir_loader.node');
const stamp = join(build, 'inputs.sha256');
const lock = join(build, 'lock');

const nodedir = dirname(require.resolve(`node-linux-${process.arch}/package.json`));
const nodeGyp = join(dirname(require.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');

const inputs = (): string => {
  const hash = createHash('sha256');
  const files = [
    'binding.gyp',
    'build.ts',
    '../include/abi.h',
    ...readdirSync(join(here, 'native'))
      .sort()
      .map((name) => `native/${name}`),
  ];
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(here, file)))
      .update('\0');
  for (const pkg of [join(nodedir, 'package.json'), require.resolve('node-addon-api/package.json')])
    hash.update(readFileSync(pkg));
  return hash.digest('hex');
};

/** Two builds in one folder would tread on each other: the second waits, then finds nothing to do. */
const locked = async (work: () => void): Promise<void> => {
  for (let waitedMs = 0; ; waitedMs += 200) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, 'pid'), String(process.pid));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const pid = existsSync(join(lock, 'pid')) ? Number(readFileSync(join(lock, 'pid'), 'utf8')) : Number.NaN;
      const alive = Number.isNaN(pid) ? waitedMs < 2000 : existsSync(`/proc/${pid}`);
      if (!alive) rmSync(lock, { recursive: true, force: true });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  try {
    work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
};

const upToDate = (): boolean => existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs();

mkdirSync(join(build, 'Release'), { recursive: true });
if (upToDate()) process.exit(0);
await locked(() => {
  if (upToDate()) return;
  const digest = inputs();
  const args = [nodeGyp, 'configure', 'build', `--nodedir=${nodedir}`, '--jobs=2', '--loglevel=error', '--release'];
  execFileSync(process.execPath, args, {
    cwd: here,
    stdio: ['ignore', process.env.WEIR_VERBOSE ? 'inherit' : 'ignore', 'inherit'],
    // make sees only the pinned node first on the path, whichever started this script
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
  });
  copyFileSync(join(build, 'Release', 'weir_loader_stage.node'), `${addon}.next`);
  renameSync(`${addon}.next`, addon);
  writeFileSync(stamp, digest);
});
