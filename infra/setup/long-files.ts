// SPDX-License-Identifier: Apache-2.0
/**
 * The order and the weight of test files: those that take long begin first, so that none of them ends alone. `npm test` says at its
 * end which files took longest.
 */

export const LONG_FILES: readonly string[] = [
  'e2e/vm/vm.test.ts',
  'e2e/faults/datapath.test.ts',
  'e2e/faults/pipeline.test.ts',
  'e2e/network/network.test.ts',
  'e2e/api/doors.test.ts',
  'services/agent/test/kernel/agent.test.ts',
  'services/analytics/test/faults.test.ts',
  'e2e/faults/outage.test.ts',
  'e2e/bench/churn.test.ts',
  'e2e/conformance/traffic/traffic.test.ts',
  'e2e/faults/fleet.test.ts',
  'e2e/security/pipeline.test.ts',
  'e2e/api/operations.test.ts',
];

const place = (file: string): number => {
  const at = LONG_FILES.indexOf(file);
  return at < 0 ? LONG_FILES.length : at;
};

/** To sort by: the long ones in the order above, then the others by name. */
export const longestFirst = (one: string, other: string): number => place(one) - place(other) || (one < other ? -1 : 1);

/** Of the slots of test.ts. The guests are emulated: they compute on every processor. */
export const slotsOf = (file: string): number => (file === 'e2e/vm/vm.test.ts' ? 2 : 1);
