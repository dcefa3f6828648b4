// SPDX-License-Identifier: Apache-2.0
/** What the kernel complained of since a moment; where its log can't be read, that is said instead. */
import { closeSync, constants, openSync, readSync } from 'node:fs';

const COMPLAINT = /WARNING:|BUG:|Oops|general protection fault|stack-out-of-bounds|soft lockup|rcu.*stall/;

export interface KernelLog {
  /** Lines that complain; undefined when the log can't be read. */
  complaints(): readonly string[] | undefined;
}

export const watchKernelLog = (): KernelLog => {
  let fd: number | undefined;
  try {
    fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return { complaints: () => undefined };
  }
  const lines = (): string[] => {
    const found: string[] = [];
    const record = Buffer.alloc(8192);
    for (;;) {
      try {
        const length = readSync(fd, record, 0, record.length, null);
        if (length === 0) return found;
        found.push(record.toString('utf8', 0, length));
      } catch (error) {
        // EPIPE: records were overwritten before they were read; the next read goes on behind them.
        if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return found;
      }
    }
  };
  lines();
  return {
    complaints: () => {
      const found = lines().filter((line) => COMPLAINT.test(line));
      closeSync(fd);
      return found;
    },
  };
};
