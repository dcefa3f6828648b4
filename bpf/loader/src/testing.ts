// SPDX-License-Identifier: Apache-2.0
/** For tests that need the real kernel: `test('...', { skip: needKernel() }, ...)`. */
import { existsSync } from 'node:fs';
import { native } from './native.ts';

const missing = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'needs a kernel with BTF (/sys/kernel/btf/vmlinux)';
  try {
    native();
  } catch (error) {
    return `needs the native loader: ${(error as Error).message}`;
  }
  return undefined;
};

/** false, or why the test is skipped. With CI=true nothing is skipped silently: it throws. */
export const needKernel = (): string | false => {
  const reason = missing();
  if (reason === undefined) return false;
  if (process.env.CI === 'true') throw new Error(`CI runs every kernel test, but this machine ${reason}`);
  return reason;
};
