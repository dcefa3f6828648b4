// SPDX-License-Identifier: Apache-2.0
/** What audited and staged policies would do, judged beside what is enforced. */
import { weir_drop_reason as DROP, weir_workload_flags as FLAG, weir_identity } from '../../gen/index.ts';
import { allowedBy, connect, connected } from '../lib/connections.ts';
import type { Case } from '../lib/scenario.ts';
import { CLOSED, PEER } from '../lib/world.ts';

const TCP = 6;
const CIDR = weir_identity.IDENTITY_SCOPE_CIDR;
const IPBLOCK = weir_identity.IDENTITY_SCOPE_IPBLOCK;

const AUDITED = CLOSED | FLAG.WORKLOAD_AUDITED;
const PENDING = CLOSED | FLAG.WORKLOAD_PENDING;
const web = { egress: true, identity: PEER.identity, protocol: TCP, port: 80, id: 1 } as const;

/** What would be, told beside what is. */
export const views: Case[] = [
  {
    name: 'audited policies would refuse: it goes on, and names the rule that would',
    policy: [
      { egress: true, id: 1 },
      { ...web, view: 'audited', deny: true, id: 5 },
      { ...web, view: 'audited', port: 81, id: 6 },
      { egress: true, view: 'audited', tier: 'Default', deny: true, id: 7 },
    ],
    flags: AUDITED,
    steps: [
      connect(80).passes({ flows: [{ verdict: 'audit', rule: 5, reason: 0, pending: '-' }] }),
      connect(81).passes(allowedBy(1)),
      connect(82).passes({ flows: [{ verdict: 'audit', rule: 7 }] }),
      connected(80).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'staged policies are asked beside what is enforced, whatever that says',
    policy: [
      { ...web },
      { ...web, view: 'pending', deny: true, id: 8 },
      { ...web, view: 'pending', port: 81, id: 9 },
      { egress: true, view: 'pending', tier: 'Default', deny: true, id: 10 },
    ],
    flags: PENDING,
    steps: [
      connect(80).passes({ flows: [{ verdict: 'forwarded', rule: 1, pending: 'dropped', pendingRule: 8 }] }),
      connect(81).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ verdict: 'dropped', pending: 'forwarded', pendingRule: 9 }],
      }),
      connect(82).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ verdict: 'dropped', pending: 'dropped', pendingRule: 10 }],
      }),
      connected(80).drops(DROP.DROP_POLICY_DENIED, { flows: [{ pending: 'forwarded', pendingRule: 0 }] }),
    ],
  },
  {
    name: 'a view has its own tiers: a pass goes past its default deny to Baseline',
    policy: [
      { egress: true, id: 1 },
      { ...web, view: 'pending', tier: 'Admin', rank: 2, id: 11 },
      { egress: true, view: 'pending', identity: PEER.identity, pass: true, id: 12 },
      { ...web, view: 'pending', tier: 'Baseline', port: 81, rank: 2, deny: true, id: 13 },
      { egress: true, view: 'pending', tier: 'Default', deny: true, id: 14 },
    ],
    flags: PENDING | FLAG.WORKLOAD_TIERS,
    steps: [
      connect(80).passes({ flows: [{ pending: 'forwarded', pendingRule: 11 }] }),
      connect(81).passes({ flows: [{ pending: 'dropped', pendingRule: 13 }] }),
      connect(82).passes({ flows: [{ pending: 'forwarded', pendingRule: 0 }] }),
      connect(80, '198.51.100.1').passes({ flows: [{ pending: 'dropped', pendingRule: 14 }] }),
    ],
  },
  {
    name: 'a view knows twins, and is not asked without its flag',
    policy: [
      { egress: true, id: 1 },
      { egress: true, view: 'audited', identity: IPBLOCK | 1, deny: true, id: 15 },
      { egress: true, view: 'pending', deny: true, id: 16 },
    ],
    flags: AUDITED | FLAG.WORKLOAD_IPBLOCK,
    setup: (world) => world.cidr('10.2.0.0/16', CIDR | 1),
    steps: [connect(80).passes({ flows: [{ verdict: 'audit', rule: 15, pending: '-' }] })],
  },
];
