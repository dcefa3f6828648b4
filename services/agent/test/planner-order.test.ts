// SPDX-License-Identifier: Apache-2.0
/** The planner is level-triggered: what it wants depends on the documents, not on the order in which they came. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { policyRows } from '@weir/bpf/policy-table';
import type { ConfigEntry } from '@weir/bus';
import { cidrOfAddress, parseIp } from '@weir/net';
import fc from 'fast-check';
import type { Desired } from '../src/plan/desired.ts';
import { prefixText } from '../src/plan/ipcache.ts';
import { Planner } from '../src/plan/planner.ts';
import { hostEntry, identityEntry, knp, policyEntry, removal, workloadEntry } from './support/entries.ts';
import { judgeTable, type Probe } from './support/judge-table.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const _WEB = identityEntry(1001, 'k8s:app=web', PROD);
const _DB = identityEntry(1002, 'k8s:app=db', PROD);

const planner = (...entries: ConfigEntry[]): Planner => {
  const made = new Planner({ host: 'h1', allowHost: true });
  made.setFacts({ addresses: ['192.168.0.1'], configurationComplete: true });
  for (const entry of entries) made.change(entry);
  return made;
};

const _identityAt = (plan: Planner, ip: string): number | undefined => {
  const { addr, bits128 } = cidrOfAddress(parseIp(ip));
  return plan.ipcache.get(prefixText(addr, bits128))?.identity;
};

const _judge = (desired: Desired, id: string, probe: Partial<Probe>): string => {
  const policy = desired.workloads.get(id)?.policy;
  return judgeTable(policy?.flags ?? 0, policy?.table, { egress: false, identity: 0, protocol: 6, port: 80, ...probe });
};

describe('the planner', () => {
  const HOSTS = ['h1', 'h2'];
  const LABELS = ['web', 'db'];
  const change: fc.Arbitrary<() => ConfigEntry> = fc.oneof(
    fc.tuple(fc.nat(3), fc.constantFrom(...HOSTS), fc.nat(2), fc.nat(4)).map(
      ([n, host, identity, ip]) =>
        () =>
          workloadEntry(`prod.w${n}`, 1001 + identity, { host, ip4: `10.1.0.${ip}` }),
    ),
    fc.nat(3).map((n) => () => removal('workload', `prod.w${n}`)),
    fc.tuple(fc.nat(2), fc.constantFrom(...LABELS)).map(
      ([n, app]) =>
        () =>
          identityEntry(1001 + n, `k8s:app=${app}`, PROD),
    ),
    fc.nat(2).map((n) => () => removal('identity', String(1001 + n))),
    fc.tuple(fc.nat(2), fc.constantFrom(...LABELS), fc.constantFrom(...LABELS), fc.nat(3)).map(
      ([n, app, from, net]) =>
        () =>
          policyEntry(
            knp(`p${n}`, app, {
              ingress: [
                { from: [{ podSelector: { matchLabels: { app: from } } }, { ipBlock: { cidr: `192.0.${net}.0/24` } }] },
              ],
            }),
          ),
    ),
    fc.nat(2).map((n) => () => removal('policy', `NetworkPolicy/prod/p${n}`)),
    fc.tuple(fc.constantFrom(...HOSTS), fc.nat(2)).map(
      ([id, n]) =>
        () =>
          hostEntry(id, `192.168.0.${n}`, `10.${n}.0.0/24`),
    ),
    fc.constantFrom(...HOSTS).map((id) => () => removal('host', id)),
  );

  /** What can be compared: numbers of prefixes replaced by the prefixes. */
  const shown = (plan: Planner): unknown => {
    const desired = plan.compute();
    const names = new Map([...plan.cidrIds.all].map(([prefix, identity]) => [identity & 0xffffff, prefix]));
    const name = (identity: number): string | number =>
      identity >>> 24 ? `${identity >>> 24} ${names.get(identity & 0xffffff)}` : identity;
    const rows = (id: string) => {
      const policy = desired.workloads.get(id)?.policy;
      return (
        policy &&
        policyRows(policy.table)
          .map((row) => JSON.stringify({ ...row, identity: name(row.identity), packets: 0, bytes: 0 }))
          .sort()
      );
    };
    return {
      workloads: [...desired.workloads.values()]
        .map(({ id, identity, wiring, waiting, policy }) => ({
          id,
          identity,
          wiring,
          waiting,
          flags: policy?.flags,
          rows: rows(id),
        }))
        .sort((a, b) => a.id.localeCompare(b.id)),
      cidrs: [...desired.cidrs.keys()].sort(),
      routes: [...desired.routes.values()].sort((a, b) => a.dst.localeCompare(b.dst)),
      ipcache: [...plan.ipcache.entries()].map(([key, { identity, host4 }]) => [key, identity, host4]).sort(),
      errors: desired.errors.map(({ subject }) => subject).sort(),
    };
  };

  it('gives the same whether documents came one by one or all at once', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const step = planner();
        const live = new Map<string, ConfigEntry>();
        for (const [i, make] of changes.entries()) {
          const entry = make();
          step.change(entry);
          if (entry.removed) live.delete(entry.subject);
          else live.set(entry.subject, entry);
          if (i % 3 === 0) step.compute();
        }
        step.compute();
        step.collect();
        const whole = planner();
        whole.reset([...live.values()].reverse());
        assert.deepEqual(shown(step), shown(whole));
        step.reset([...live.values()]);
        assert.deepEqual(shown(step), shown(whole));
      }),
      { numRuns: 200 },
    );
  });
});
