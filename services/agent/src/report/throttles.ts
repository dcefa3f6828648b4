// SPDX-License-Identifier: Apache-2.0
/**
 * Which workloads report more than they may, and when that began and ended: told once each in the log and the metrics,
 * and with every heartbeat. What was held back is counted by the kernel, so an agent that starts in the middle knows.
 */
import type { Throttle as ThrottleMessage } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter } from '@weir/telemetry';
import type { Platform, ThrottledWorkload } from '../platform.ts';

export type ThrottleReport = Omit<ThrottleMessage, '$typeName' | '$unknown'>;

/** Quiet for so long: over. The kernel begins a new episode by the same measure (throttle_quiet_ns). */
export const QUIET_MS = 5_000;

export interface ThrottleWatchOptions {
  readonly platform: Pick<Platform, 'throttles'>;
  /** Fleet-wide id of the workload behind the interface; undefined: none. */
  readonly workloadOf: (ifindex: number) => { readonly id: string; readonly localId: number } | undefined;
  readonly onStart: (throttle: ThrottleReport) => void;
  readonly onStop: (throttle: ThrottleReport) => void;
}

export class ThrottleWatch {
  readonly #options: ThrottleWatchOptions;
  #reports: readonly ThrottleReport[] = [];
  /** By interface: the episode that was announced as begun, and as ended. */
  readonly #told = new Map<number, { begun: bigint; ended: bigint }>();

  constructor(options: ThrottleWatchOptions) {
    this.#options = options;
  }

  get reports(): readonly ThrottleReport[] {
    return this.#reports;
  }

  async read(nowMs = Date.now()): Promise<void> {
    const throttles = await this.#options.platform.throttles();
    this.#reports = throttles.map((throttle) => this.#reportOf(throttle, nowMs));
    for (const [at, { ifindex }] of throttles.entries()) this.#tell(ifindex, this.#reports[at] as ThrottleReport);
    const present = new Set(throttles.map(({ ifindex }) => ifindex));
    for (const ifindex of this.#told.keys()) if (!present.has(ifindex)) this.#told.delete(ifindex);
  }

  #reportOf(throttle: ThrottledWorkload, nowMs: number): ThrottleReport {
    const { ifindex, startedMs, lastMs, episodes, events, packets, bytes, reasons } = throttle;
    const workload = this.#options.workloadOf(ifindex);
    return {
      localId: workload?.localId ?? throttle.localId,
      workload: workload?.id ?? '',
      startedMs: BigInt(startedMs),
      endedMs: nowMs - lastMs > QUIET_MS ? BigInt(lastMs) : 0n,
      ...{ episodes, events, packets, bytes, reasons: { ...reasons } },
    };
  }

  #tell(ifindex: number, report: ThrottleReport): void {
    const told = this.#told.get(ifindex) ?? { begun: 0n, ended: 0n };
    this.#told.set(ifindex, told);
    if (told.begun !== report.episodes) {
      told.begun = report.episodes;
      counter('weir_agent_throttle_changes_total').add(1, { change: 'start' });
      this.#options.onStart(report);
    }
    if (report.endedMs !== 0n && told.ended !== report.episodes) {
      told.ended = report.episodes;
      counter('weir_agent_throttle_changes_total').add(1, { change: 'stop' });
      this.#options.onStop(report);
    }
  }
}
