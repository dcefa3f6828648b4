// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ThrottledWorkload } from '../src/platform.ts';
import { QUIET_MS, type ThrottleReport, ThrottleWatch } from '../src/report/throttles.ts';

const AT_MS = 1_000_000;

const throttled = (more: Partial<ThrottledWorkload>): ThrottledWorkload => ({
  ...{ ifindex: 7, localId: 3, episodes: 1n, startedMs: AT_MS, lastMs: AT_MS },
  ...{ events: 5n, packets: 6n, bytes: 7n, reasons: { policy_denied: 5n } },
  ...more,
});

it('tells once when throttling begins and once when it is over, each time anew', async () => {
  let now: readonly ThrottledWorkload[] = [];
  const told: string[] = [];
  const tell = (what: string) => (report: ThrottleReport) => told.push(`${what} ${report.workload} ${report.episodes}`);
  const watch = new ThrottleWatch({
    platform: { throttles: async () => now },
    workloadOf: (ifindex) => (ifindex === 7 ? { id: 'w-web', localId: 3 } : undefined),
    onStart: tell('start'),
    onStop: tell('stop'),
  });
  await watch.read(AT_MS);
  assert.equal(watch.reports.length, 0);

  now = [throttled({})];
  await watch.read(AT_MS + 1);
  await watch.read(AT_MS + QUIET_MS);
  assert.deepEqual(told, ['start w-web 1']);
  assert.equal(watch.reports[0]?.endedMs, 0n);
  assert.deepEqual(watch.reports[0]?.reasons, { policy_denied: 5n });

  await watch.read(AT_MS + QUIET_MS + 1);
  await watch.read(AT_MS + QUIET_MS + 2);
  assert.deepEqual(told, ['start w-web 1', 'stop w-web 1']);
  assert.equal(watch.reports[0]?.endedMs, BigInt(AT_MS));

  const later = AT_MS + 60_000;
  now = [throttled({ episodes: 2n, startedMs: later, lastMs: later })];
  await watch.read(later + 1);
  assert.deepEqual(told.slice(2), ['start w-web 2']);
});

it('knows a workload that is gone by what its events said', async () => {
  const watch = new ThrottleWatch({
    platform: { throttles: async () => [throttled({ ifindex: 8 })] },
    workloadOf: () => undefined,
    onStart: () => {},
    onStop: () => {},
  });
  await watch.read(AT_MS);
  assert.deepEqual(
    watch.reports.map(({ workload, localId }) => [workload, localId]),
    [['', 3]],
  );
});
