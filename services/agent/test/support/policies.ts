// SPDX-License-Identifier: Apache-2.0
import { weir_workload_flags as flag } from '@weir/bpf';
import { buildPolicyTable } from '@weir/bpf/policy-table';
import type { PolicyEntry } from '@weir/policy-engine';
import fc from 'fast-check';
import { dependsOf } from '../../src/plan/lockdown.ts';
import type { DesiredWorkload, WorkloadPolicy } from '../../src/plan/model.ts';
import { hostMac, linkName, workloadMac } from '../../src/plan/names.ts';
import { LOCKDOWN_FLAGS } from '../../src/plan/transition.ts';

const l4 = fc.oneof(
  fc.constant({ protocol: 0, port: 0, portPrefixBits: 0 }),
  fc.record({ protocol: fc.constantFrom(6, 17), port: fc.constant(0), portPrefixBits: fc.constant(0) }),
  fc.record({ protocol: fc.constantFrom(6, 17), port: fc.constantFrom(80, 443), portPrefixBits: fc.constant(16) }),
  fc.record({ protocol: fc.constant(6), port: fc.constant(80), portPrefixBits: fc.constant(12) }),
);

const entry: fc.Arbitrary<PolicyEntry> = fc
  .tuple(
    l4,
    fc.record({
      egress: fc.boolean(),
      identity: fc.constantFrom(0, 2, 300, 301),
      ruleId: fc.integer({ min: 1, max: 99 }),
    }),
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom('allow', 'deny').map((verdict) => ({ tier: 'Normal', verdict, rank: 0 })),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          tier: fc.constantFrom('Admin', 'Baseline'),
          verdict: fc.constantFrom('allow', 'deny', 'pass'),
          rank: fc.integer({ min: 1, max: 9 }),
        }),
      },
    ),
  )
  .map(([place, rest, strength]) => ({ ...place, ...rest, ...strength }) as PolicyEntry);

export const policyOf = (entries: readonly PolicyEntry[], ingress: boolean, egress: boolean): WorkloadPolicy => ({
  table: buildPolicyTable(entries, { ingress, egress }),
  flags:
    flag.WORKLOAD_READY |
    flag.WORKLOAD_ALLOW_HOST |
    (ingress ? flag.WORKLOAD_ENFORCE_INGRESS : 0) |
    (egress ? flag.WORKLOAD_ENFORCE_EGRESS : 0) |
    (entries.some(({ tier }) => tier !== 'Normal') ? flag.WORKLOAD_TIERS : 0),
  defaultRuleIngress: ingress ? 7 : 0,
  defaultRuleEgress: egress ? 8 : 0,
  entries: entries.length,
  enabled: ingress ? (egress ? 'both' : 'ingress') : egress ? 'egress' : 'none',
  lockdown: '',
  unjudged: '',
  depends: dependsOf(entries),
});

const uniqueKeys = (entries: readonly PolicyEntry[]): PolicyEntry[] => [
  ...new Map(
    entries.map((e) => [
      `${e.egress} ${e.tier} ${e.identity} ${e.protocol} ${e.portPrefixBits ? e.port : 0} ${e.portPrefixBits}`,
      e,
    ]),
  ).values(),
];

export const anyPolicy: fc.Arbitrary<WorkloadPolicy> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .tuple(fc.array(entry, { maxLength: 8 }), fc.boolean(), fc.boolean())
      .map(([entries, ingress, egress]) => policyOf(uniqueKeys(entries), ingress, egress)),
  },
  { weight: 1, arbitrary: fc.constant({ ...policyOf([], true, true), flags: LOCKDOWN_FLAGS, lockdown: 'too large' }) },
);

export const desiredWorkload = (id: string, policy: WorkloadPolicy | undefined, identity = 300): DesiredWorkload => ({
  id,
  localId: 1,
  identity,
  wiring: {
    workloadId: id,
    ifname: linkName(id),
    netns: `/run/netns/${id}`,
    cgroup: '',
    ip4: '10.1.0.2',
    ip6: 'fd00::2',
    mac: workloadMac(id),
    hostMac: hostMac(id),
  },
  policy,
  waiting: policy ? '' : 'not-ready',
  message: '',
});
