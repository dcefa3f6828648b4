// SPDX-License-Identifier: Apache-2.0
/** Finds a clang that can build for BPF. Debian's names first, then whatever `clang` is; WEIR_CLANG overrides both. */
import { spawnSync } from 'node:child_process';
import { weirError } from '@weir/errors';

const CANDIDATES = ['clang-19', 'clang-20', 'clang-18', 'clang-17', 'clang-16', 'clang'];

/** btf_decl_tag on maps needs clang 14; older than 16 was never tried. */
export const findClang = (env: NodeJS.ProcessEnv = process.env): string => {
  const names = env.WEIR_CLANG ? [env.WEIR_CLANG] : CANDIDATES;
  const found = names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
  if (found !== undefined) return found;
  throw weirError('NOT_FOUND', `no clang to compile BPF programs with (tried ${names.join(', ')})`, {
    field: 'WEIR_CLANG',
    value: env.WEIR_CLANG,
    fix: 'apt-get install clang-19 libbpf-dev, or name a clang in WEIR_CLANG',
  });
};

const MULTIARCH: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/** Where Debian keeps asm/types.h, which clang does not look for when the target is bpf. */
export const multiarchInclude = (arch: NodeJS.Architecture = process.arch): string =>
  `/usr/include/${MULTIARCH[arch] ?? `${arch}-linux-gnu`}`;
