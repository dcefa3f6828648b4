// SPDX-License-Identifier: Apache-2.0
/** Tells agents up to where their events are safe. Sent when that moves and again with each heartbeat: one may be lost. */
import { type Bus, type EventKind, subjects } from '@weir/bus';

export interface HostWatermark {
  readonly host: string;
  readonly boot: number;
  readonly seq: number;
}

export const publishWatermarks = (
  { nc }: Pick<Bus, 'nc'>,
  kind: EventKind,
  watermarks: readonly HostWatermark[],
): void => {
  if (nc.isClosed()) return;
  for (const { host, boot, seq } of watermarks) {
    if (seq === 0) continue;
    const body = subjects.wm.encode({ boot: BigInt(boot), seq: BigInt(seq), kind });
    nc.publish(subjects.wm.build({ host }), body);
  }
};
