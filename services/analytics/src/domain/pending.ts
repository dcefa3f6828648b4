// SPDX-License-Identifier: Apache-2.0
/**
 * The column flows.pending: what staged policies would do, in one int4, because each column costs time at every COPY. 0: none are
 * staged for the workload; n: forwarded by rule n - 1; -n: dropped by it; rule 0 is none. The layout is also in the view flow_records
 * and in the column's comment.
 */
import { Verdict } from '@weir/proto/weir/flow/v1/flow_pb.js';

const { FORWARDED, DROPPED } = Verdict;

export interface Pending {
  /** Number of weir.flow.v1.Verdict; 0: no policy is staged. */
  readonly pendingVerdict: number;
  /** 0: no rule would decide. */
  readonly pendingRuleId: number;
}

/** Rule numbers end one before int4 does: the last one cannot be told from the one before it. */
const LAST = 0x7fff_fffe;

export const packPending = ({ pendingVerdict, pendingRuleId }: Pending): number => {
  const rule = Math.min(pendingRuleId, LAST) + 1;
  if (pendingVerdict === FORWARDED) return rule;
  return pendingVerdict === DROPPED ? -rule : 0;
};

export const unpackPending = (pending: number): Pending => ({
  pendingVerdict: pending === 0 ? 0 : pending > 0 ? FORWARDED : DROPPED,
  pendingRuleId: pending === 0 ? 0 : Math.abs(pending) - 1,
});
