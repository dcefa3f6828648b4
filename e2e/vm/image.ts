// SPDX-License-Identifier: Apache-2.0
/**
 * What QEMU boots, made once a kernel and kept in the cache: the kernel as an uncompressed ELF file (under emulation the
 * kernel's own decompression would take ten seconds) and a small initramfs that mounts the machine's root.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { weirError } from '@weir/errors';
import { CACHE, type GuestKernel } from './kernels.ts';

export interface BootImage {
  readonly kernel: string;
  readonly initramfs: string;
}

const HERE = import.meta.dirname;
const BUSYBOX = '/bin/busybox';
/** All that it takes to reach the root file system and to answer; the rest comes from there. */
const MODULES = ['virtio_pci', 'virtio_console', 'virtio_rng', 'virtio_net', '9pnet_virtio', '9p', 'overlay'];
const MAX_IMAGE_BYTES = 1 << 30;

const unxz = (data: Uint8Array): Buffer =>
  execFileSync('xz', ['-dc', '--single-stream'], { input: data, maxBuffer: MAX_IMAGE_BYTES });

/** By its first bytes; kernels and modules come in all three. */
const decompress = (data: Buffer): Buffer => {
  if (data.readUInt32BE(0) === 0xfd377a58) return unxz(data);
  if (data.readUInt32LE(0) === 0xfd2fb528) return zstdDecompressSync(data);
  if (data.readUInt16BE(0) === 0x1f8b) return gunzipSync(data);
  return data;
};

/** The payload of a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). */
const elfOf = (image: Buffer): Buffer => {
  const setupSectors = image[0x1f1] || 4;
  const begin = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  // its last 4 bytes are its unpacked size
  const elf = decompress(image.subarray(begin, begin + image.readUInt32LE(0x24c) - 4));
  if (elf.readUInt32BE(0) !== 0x7f454c46) throw new Error('its payload is no ELF file');
  return elf;
};

/** Files of a module and of what it needs, in the order in which they must be loaded. */
const filesOf = (dependencies: readonly string[], module: string): string[] => {
  const pattern = new RegExp(`/${module.replaceAll(/[-_]/g, '[-_]')}\\.ko[^:/]*:`);
  const line = dependencies.find((l) => pattern.test(l));
  if (line === undefined) return []; // built in
  const [file = '', needs = ''] = line.split(':');
  return [...needs.trim().split(/\s+/).filter(Boolean).reverse(), file];
};

const initramfs = (kernel: GuestKernel, dir: string): Buffer => {
  for (const sub of ['bin', 'mods', 'proc', 'sys', 'dev', 'lower', 'upper', 'root'])
    mkdirSync(join(dir, sub), { recursive: true });
  copyFileSync(BUSYBOX, join(dir, 'bin/busybox'));
  copyFileSync(join(HERE, 'guest/init.sh'), join(dir, 'init'));
  const dependencies = readFileSync(join(kernel.modules, 'modules.dep'), 'utf8').split('\n');
  const files = [...new Set(MODULES.flatMap((module) => filesOf(dependencies, module)))];
  const names = files.map((file) => basename(file).replace(/\.ko.*/, '.ko'));
  files.forEach((file, i) => {
    writeFileSync(join(dir, 'mods', names[i] as string), decompress(readFileSync(join(kernel.modules, file))));
  });
  writeFileSync(join(dir, 'mods/order'), `${names.join('\n')}\n`);
  execFileSync('chmod', ['-R', '+x', join(dir, 'init'), join(dir, 'bin')]);
  return archive(dir);
};

/** A folder as an archive that the kernel unpacks; several may follow each other. */
export const archive = (dir: string): Buffer =>
  execFileSync('bash', ['-c', 'find . | cpio -o -H newc --quiet'], { cwd: dir, maxBuffer: MAX_IMAGE_BYTES });

const stampOf = (...files: string[]): string =>
  files
    .map((file) => statSync(file))
    .map(({ size, mtimeMs }) => `${size.toString(36)}.${Math.round(mtimeMs).toString(36)}`)
    .join('-');

export const bootImage = (kernel: GuestKernel): BootImage => {
  const dir = join(CACHE, 'boot');
  mkdirSync(dir, { recursive: true });
  const made = (name: string, make: () => Buffer): string => {
    const path = join(dir, name);
    if (existsSync(path)) return path;
    const unfinished = `${path}.${process.pid}`;
    try {
      writeFileSync(unfinished, make());
    } catch (error) {
      throw weirError('INTERNAL', `no boot image of ${kernel.image}: ${(error as Error).message}`, {
        field: 'kernel',
        value: kernel.release,
      });
    }
    renameSync(unfinished, path);
    return path;
  };
  const scratch = mkdtempSync(join(dir, 'initramfs-'));
  try {
    const { release, image, modules } = kernel;
    const modulesStamp = stampOf(join(modules, 'modules.dep'), join(HERE, 'guest/init.sh'), join(HERE, 'image.ts'));
    return {
      kernel: made(`vmlinux-${release}-${stampOf(image)}`, () => elfOf(readFileSync(image))),
      initramfs: made(`initramfs-${release}-${modulesStamp}.cpio`, () => initramfs(kernel, scratch)),
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};
