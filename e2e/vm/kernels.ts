// SPDX-License-Identifier: Apache-2.0
/**
 * Kernels to boot a guest with. A kernel package is never installed (its scripts would make an initramfs and ask a boot
 * loader): it is downloaded from Debian and unpacked into a cache below node_modules, once.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { weirError } from '@weir/errors';

export interface GuestKernel {
  /** As `uname -r` says. */
  readonly release: string;
  /** Compressed image. */
  readonly image: string;
  /** Folder with the modules, and modules.dep. */
  readonly modules: string;
}

export const CACHE = new URL('../../node_modules/.cache/weir-vm', import.meta.url).pathname;
const ROOTS = join(CACHE, 'kernels');

/** The oldest kernel that is supported, and Debian 12's own. */
export const OLDEST = '6.1';

/** Newer ones that are run too once they are on this machine or in the cache. */
export const NEWER = ['6.12'] as const;

/** Where Debian has which kernel: a release's lists are the machine's own when it has that release. */
const SUITES: Readonly<Record<string, string>> = { '6.1': 'bookworm', '6.12': 'trixie' };
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Big, and of no use without hardware. */
const NOT_UNPACKED = ['drivers/gpu', 'drivers/media', 'drivers/net/wireless', 'drivers/net/ethernet', 'sound'];

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });

const listed = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);

/** Kernels of an unpacked package, or of the machine itself (`/`). */
export const kernelsIn = (root: string): GuestKernel[] => {
  const trees = [join(root, 'lib/modules'), join(root, 'usr/lib/modules')];
  const releases = new Set(trees.flatMap(listed));
  return [...releases].flatMap((release) => {
    const modules = trees.map((tree) => join(tree, release)).find((dir) => existsSync(join(dir, 'kernel')));
    const image = [join(root, 'boot', `vmlinuz-${release}`), join(modules ?? '', 'vmlinuz')].find(existsSync);
    // Debian's cloud flavour has no 9p
    return modules && image && !release.includes('-cloud-') ? [{ release, image, modules }] : [];
  });
};

const isOf = (version: string, release: string): boolean => release === version || release.startsWith(`${version}.`);

const present = (): GuestKernel[] => [
  ...listed(ROOTS).flatMap((name) => kernelsIn(join(ROOTS, name))),
  ...kernelsIn('/').filter(({ modules }) => existsSync(join(modules, 'modules.dep'))),
];

/** Without a look at Debian. */
export const isPresent = (version: string): boolean => present().some(({ release }) => isOf(version, release));

/** `apt-get` and `apt-cache` with lists of their own for a release that the machine does not have. */
const aptOptions = (suite: string): string[] => {
  const common = ['-o', 'APT::Sandbox::User=root', '-q'];
  if (run('apt-cache', 'policy').includes(`n=${suite},`)) return common;
  const dir = join(CACHE, `apt-${suite}`);
  for (const sub of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(
    join(dir, 'sources.list'),
    `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\ndeb [signed-by=${KEYRING}] http://deb.debian.org/debian-security ${suite}-security main\n`,
  );
  return [
    ...common,
    ...['-o', `Dir::Etc::sourcelist=${join(dir, 'sources.list')}`, '-o', 'Dir::Etc::sourceparts=/dev/null'],
    ...['-o', `Dir::State::lists=${join(dir, 'lists')}`, '-o', `Dir::Cache=${join(dir, 'cache')}`],
  ];
};

/** Package that Debian's `linux-image-amd64` stands for today. */
const newestPackage = (options: readonly string[]): string | undefined =>
  run('apt-cache', ...options, 'depends', 'linux-image-amd64').match(/Depends: (linux-image-\d\S+)/)?.[1];

const download = (suite: string, dir: string): string => {
  const options = aptOptions(suite);
  const attempt = (): string => {
    const name = newestPackage(options);
    if (name === undefined) throw new Error(`the package lists of ${suite} have no linux-image-amd64`);
    execFileSync('apt-get', [...options, 'download', name], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
    return join(dir, readdirSync(dir).find((file) => file.endsWith('.deb')) as string);
  };
  try {
    return attempt();
  } catch {
    run('apt-get', ...options, 'update'); // no lists yet, or of last month
    return attempt();
  }
};

const fetchKernel = (version: string): GuestKernel => {
  const suite = SUITES[version];
  if (suite === undefined) {
    throw weirError('INVALID_ARGUMENT', `no kernel ${version} is here, and Debian has none of that name`, {
      field: 'kernel',
      value: version,
      fix: `give ${Object.keys(SUITES).join(' or ')}, or the folder of an unpacked kernel package (dpkg -x)`,
    });
  }
  mkdirSync(ROOTS, { recursive: true });
  const dir = mkdtempSync(join(CACHE, 'unpacking-'));
  try {
    const root = join(dir, 'root');
    mkdirSync(root);
    const deb = download(suite, dir);
    const excluded = NOT_UNPACKED.map((path) => `--exclude='*/kernel/${path}'`).join(' ');
    run('bash', '-c', `set -o pipefail; dpkg-deb --fsys-tarfile '${deb}' | tar -x -C '${root}' ${excluded}`);
    const [kernel] = kernelsIn(root);
    if (!kernel) throw new Error(`${deb} has no kernel`);
    const base = kernel.modules.includes('/usr/lib/') ? join(root, 'usr') : root;
    run('depmod', '-b', base, kernel.release);
    const place = join(ROOTS, kernel.release);
    if (!existsSync(place)) renameSync(root, place);
    return kernelsIn(place)[0] as GuestKernel;
  } catch (error) {
    throw weirError('UNAVAILABLE', `kernel ${version} could not be fetched from Debian: ${(error as Error).message}`, {
      fix: 'look at what apt-get said above; or unpack a kernel package yourself and name its folder',
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

/**
 * The newest kernel of a version (`6.1`), a release (`6.1.0-56-amd64`) or in a folder (`/path`). What is not on this machine
 * is fetched from Debian. Throws INVALID_ARGUMENT or UNAVAILABLE with the fix.
 */
export const findKernel = (wanted: string = OLDEST): GuestKernel => {
  const found = (wanted.startsWith('/') ? kernelsIn(wanted) : present().filter(({ release }) => isOf(wanted, release)))
    .sort((a, b) => a.release.localeCompare(b.release, 'en', { numeric: true }))
    .at(-1);
  if (found) return found;
  if (wanted.startsWith('/')) {
    throw weirError('INVALID_ARGUMENT', `${wanted} holds no kernel`, {
      field: 'kernel',
      value: wanted,
      fix: 'give a folder that has boot/vmlinuz-* and lib/modules/*',
    });
  }
  return fetchKernel(wanted);
};
