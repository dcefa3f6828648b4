// SPDX-License-Identifier: Apache-2.0
/**
 * Exits 0 when node_modules is exactly what package-lock.json says for this machine, so that nothing need be installed:
 * npm leaves a hidden lockfile of what it put there. Plain JavaScript, because it runs before Node 24 is there.
 */
import { existsSync, readFileSync } from 'node:fs';

/** Entries of a lockfile that are installed packages; the others are the workspaces themselves. */
const packagesOf = (file) =>
  Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages).filter(([path]) => path.includes('node_modules/'));

const forThisMachine = ({ os, cpu }) =>
  (os === undefined || os.includes(process.platform)) && (cpu === undefined || cpu.includes(process.arch));

const same = (wanted, found) =>
  found !== undefined &&
  wanted.version === found.version &&
  wanted.link === found.link &&
  (wanted.integrity === undefined || wanted.integrity === found.integrity);

const differences = () => {
  if (!existsSync('node_modules/.package-lock.json')) return ['node_modules is not there'];
  const wanted = new Map(packagesOf('package-lock.json'));
  const found = new Map(packagesOf('node_modules/.package-lock.json'));
  const missing = [...wanted]
    .filter(([, entry]) => forThisMachine(entry))
    .filter(([path, entry]) => !same(entry, found.get(path)) || !existsSync(path))
    .map(([path, { version }]) => `${path} is not ${version ?? 'linked'}, as package-lock.json says`);
  const more = [...found.keys()]
    .filter((path) => !wanted.has(path))
    .map((path) => `${path} is not in package-lock.json`);
  return [...missing, ...more];
};

const found = differences();
if (process.argv.includes('--verbose')) for (const difference of found) console.error(difference);
if (process.argv.includes('--verbose') && found.length > 0)
  console.error('fix: npm install, and commit package-lock.json');
process.exitCode = found.length === 0 ? 0 : 1;
