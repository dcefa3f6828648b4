// SPDX-License-Identifier: Apache-2.0
/** Runs the kernel's walk over all connections (ct_sweep). */
import { sweep_ctx } from '@weir/bpf';
import type { BpfProgram } from '@weir/loader';
import type { SweepResult } from '../../platform.ts';

/** Reports what nobody reported and lets go what expired; of `endIfindex`, everything. Throws when the walk failed. */
export const sweepConnections = async (program: BpfProgram, endIfindex = 0): Promise<SweepResult> => {
  const none = { entries: 0n, reported: 0n, expired: 0n, deferred: 0n };
  const ctx = sweep_ctx.encode({ now_ns: 0n, flags: 0, failed: 0, ifindex: endIfindex, ...none });
  const { ctxOut } = await program.testRun({ ctx });
  const result = sweep_ctx.decode(ctxOut);
  if (result.failed) throw new Error('the walk over conntrack failed');
  return {
    entries: Number(result.entries),
    reported: Number(result.reported),
    expired: Number(result.expired),
    deferred: Number(result.deferred),
  };
};
