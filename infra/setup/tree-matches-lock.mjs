// SPDX-License-Identifier: Apache-2.0
/**
 * Exits 0 when node_modules is what package-lock.json says, so that nothing need be installed: `npm install` leaves
 * a hidden lockfile of what it put there. Plain JavaScript, because it runs before Node 24 is there.
 */
import { existsSync, readFileSync } from 'node:fs';

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;

const forThisMachine = ({ os, cpu }) =>
  (os === undefined || os.includes(process.platform)) && (cpu === undefined || cpu.includes(process.arch));

const same = (wanted, found) =>
  found !== undefined &&
  wanted.version === found.version &&
  wanted.resolved === found.resolved &&
  wanted.integrity === found.integrity;

const matches = () => {
  if (!existsSync('node_modules/.package-lock.json')) return false;
  const found = packagesOf('node_modules/.package-lock.json');
  return Object.entries(packagesOf('package-lock.json'))
    .filter(([path, entry]) => path.includes('node_modules/') && forThisMachine(entry))
    .every(([path, entry]) => same(entry, found[path]) && existsSync(path));
};

process.exitCode = matches() ? 0 : 1;
