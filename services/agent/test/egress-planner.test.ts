// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { weir_workload_flags as flag } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { egressNumbers } from '../src/plan/egress.ts';
import { Planner } from '../src/plan/planner.ts';
import {
  dualHostEntry,
  egressGatewayEntry,
  identityEntry,
  labelledHostEntry,
  removal,
  workloadEntry,
} from './support/entries.ts';

const HOSTS = ['h1', 'h2', 'h3'].map((id, i) =>
  dualHostEntry(id, `192.168.0.${i + 1}`, '', `10.${i + 1}.0.0/24`, `fd0${i + 1}::/64`),
);
const WEB = 1001;
const DB = 1002;
const BASE = [
  ...HOSTS,
  identityEntry(WEB, 'k8s:app=web'),
  identityEntry(DB, 'k8s:app=db'),
  workloadEntry('web', WEB, { ip4: '10.1.0.2', ip6: 'fd01::2' }),
  workloadEntry('db', DB, { ip4: '10.1.0.3' }),
  workloadEntry('far', WEB, { host: 'h2', ip4: '10.2.0.2' }),
];
const named = (...hosts: string[]) => ({ matchExpressions: [{ key: 'name', operator: 'In', values: hosts }] });
const by = (...hosts: string[]) => ({ hosts: named(...hosts), interface: 'eth0' });
const OUT = {
  workloads: [{ matchLabels: { 'k8s:app': 'web' } }],
  destinationCidrs: ['0.0.0.0/0'],
  gateways: [by('h2', 'h3')],
};
interface Change {
  readonly workloads?: {
    matchLabels?: Record<string, string>;
    hosts?: { matchExpressions: { key: string; operator: string; values: string[] }[] };
  }[];
  readonly destinationCidrs?: string[];
  readonly excludedCidrs?: string[];
  readonly gateways?: { hosts: ReturnType<typeof named>; interface?: string; egressIp?: string }[];
}
const document = (name: string, change: Change = {}): ConfigEntry => egressGatewayEntry(name, { ...OUT, ...change });

const planner = (host: string, ...entries: ConfigEntry[]): Planner => {
  const made = new Planner({ host, allowHost: true });
  for (const entry of [...BASE, ...entries]) made.change(entry);
  facts(made);
  return made;
};
const facts = (plan: Planner, ...unreachable: string[]): void =>
  plan.setFacts({
    ...{ addresses: [], subnets: [], nowMs: 0, configurationComplete: true },
    unreachable: new Set(unreachable),
  });
const egressOf = (plan: Planner) => {
  const { egress } = plan.compute();
  assert.ok(egress);
  return egress;
};
/** Which host a destination of that source leaves by at this moment; undefined: as if there were no gateway. */
const leavesBy = (plan: Planner, source: string, prefix: string): string | undefined => {
  const { sources, sets, groups, gateways } = egressOf(plan);
  const group = sets.get(sources.get(source) ?? -1)?.get(prefix);
  if (!group) return undefined;
  return gateways.get(groups.get(group)?.chosen ?? 0)?.host ?? 'nobody';
};

describe('egress gateways, planned', () => {
  it('without a document there is nothing, and nothing is left of one', () => {
    const plan = planner('h1');
    assert.equal(plan.compute().egress, undefined);
    assert.equal(plan.compute().overlay.device, undefined);
    plan.change(document('out'));
    const { egress, overlay, workloads } = plan.compute();
    assert.deepEqual([...(egress?.sources.keys() ?? [])].sort(), ['10.1.0.2', 'fd01::2']);
    assert.deepEqual([...overlay.numbers.keys()].sort(), ['h2', 'h3'], 'reached by tunnel, natively too');
    const flags = (id: string) => (workloads.get(id)?.policy?.flags ?? 0) & flag.WORKLOAD_EGRESS;
    assert.deepEqual([flags('web'), flags('db')], [flag.WORKLOAD_EGRESS, 0]);
    plan.change(removal('egressGateway', 'out'));
    const after = plan.compute();
    assert.deepEqual([after.egress, after.overlay.device, after.uplinks], [undefined, undefined, undefined]);
  });

  it('the first host that is alive is chosen, in the order of their names', () => {
    const plan = planner('h1', document('out'));
    assert.equal(leavesBy(plan, '10.1.0.2', '0.0.0.0/0'), 'h2');
    facts(plan, 'h2');
    assert.equal(leavesBy(plan, '10.1.0.2', '0.0.0.0/0'), 'h3');
    facts(plan, 'h2', 'h3');
    assert.equal(leavesBy(plan, '10.1.0.2', '0.0.0.0/0'), 'nobody');
    facts(plan, 'h3');
    assert.equal(leavesBy(plan, '10.1.0.2', '0.0.0.0/0'), 'h2');
    assert.deepEqual([...plan.egress.plan.watched].sort(), ['h2', 'h3']);
  });

  it('a host that nobody selects chooses nobody; a gateway knows whom it serves and by which way', () => {
    const plan = planner('h3', document('out', { gateways: [{ hosts: named('h3'), egressIp: '192.168.0.33' }] }));
    const { sources, groups, gateways } = egressOf(plan);
    assert.deepEqual([...sources.keys()].sort(), ['10.1.0.2', '10.2.0.2', 'fd01::2']);
    const [{ own, chosen } = assert.fail('no group')] = groups.values();
    assert.equal(own, chosen);
    assert.deepEqual(gateways.get(own)?.way, { interface: '', egressIp: '192.168.0.33' });
    assert.deepEqual([gateways.get(own)?.tunnel, [...plan.egress.plan.watched]], [0, []]);
    assert.deepEqual(plan.compute().uplinks?.ways, [{ interface: '', egressIp: '192.168.0.33' }]);
    assert.equal(egressOf(planner('h1', document('out', { gateways: [by('h2')] }))).sources.has('10.2.0.2'), false);
  });

  it('workloads of certain hosts only', () => {
    const onH2 = { ...OUT.workloads[0], hosts: named('h2') };
    const gateways = [by('h3')];
    const sources = (host: string, ...workloads: (typeof onH2)[]) =>
      [...egressOf(planner(host, document('out', { workloads, gateways }))).sources.keys()].sort();
    assert.deepEqual(sources('h1', onH2), []);
    assert.deepEqual(sources('h3', onH2), ['10.2.0.2']);
    assert.deepEqual(sources('h3', onH2, { matchLabels: { 'k8s:app': 'db' }, hosts: named('h1') }), [
      ...['10.1.0.3', '10.2.0.2'],
    ]);
    const plan = planner('h3', document('out', { workloads: [onH2], gateways }));
    plan.compute();
    plan.change(labelledHostEntry('h2', {}));
    assert.deepEqual([...egressOf(plan).sources.keys()], [], 'a host that is not meant any more');
    plan.change(
      document('out', { workloads: [{ hosts: { matchExpressions: [{ key: 'a', operator: 'Near', values: [] }] } }] }),
    );
    assert.match(plan.compute().errors[0]?.message ?? '', /workloads\[0\]\.hosts: operator "Near"/);
  });

  it('of several documents the longest destination counts, then the first name; what one excludes another may have', () => {
    const plan = planner(
      'h1',
      document('b', { gateways: [by('h2')], excludedCidrs: ['203.0.113.0/24'] }),
      document('c', { gateways: [by('h3')], destinationCidrs: ['0.0.0.0/0', '198.51.100.0/24'] }),
      document('d', { gateways: [by('h2')], destinationCidrs: ['198.51.100.0/24'] }),
    );
    assert.equal(leavesBy(plan, '10.1.0.2', '0.0.0.0/0'), 'h2');
    assert.equal(leavesBy(plan, '10.1.0.2', '203.0.113.0/24'), 'h3');
    assert.equal(leavesBy(plan, '10.1.0.2', '198.51.100.0/24'), 'h3');
    plan.change(removal('egressGateway', 'c'));
    assert.equal(leavesBy(plan, '10.1.0.2', '203.0.113.0/24'), undefined);
    assert.equal(leavesBy(plan, '10.1.0.2', '198.51.100.0/24'), 'h2');
    assert.equal(leavesBy(plan, '10.1.0.2', '224.0.0.0/4'), undefined, 'multicast stays on its link');
  });

  it('a set is never changed: another content has another number', () => {
    const plan = planner('h1', document('out'));
    const before = egressOf(plan);
    plan.change(document('out', { destinationCidrs: ['198.51.100.0/24'] }));
    const after = egressOf(plan);
    const [was, is] = [before.sources.get('10.1.0.2'), after.sources.get('10.1.0.2')];
    assert.notEqual(was, is);
    plan.change(document('out'));
    assert.equal(egressOf(plan).sources.get('10.1.0.2'), was);
    assert.deepEqual(egressOf(plan).sets.get(was as number), before.sets.get(was as number));
  });

  it('numbers outlive the agent, so that conntrack’s mean the same gateways', () => {
    const plan = planner('h1', document('out'));
    const { gateways } = egressOf(plan);
    const state = {
      egressGroups: plan.egress.numbers.groups.takeChange() ?? assert.fail(),
      egressGateways: plan.egress.numbers.gateways.takeChange() ?? assert.fail(),
    };
    const next = new Planner({ host: 'h1', allowHost: true, egressNumbers: egressNumbers(state) });
    for (const entry of [...BASE, document('an earlier name'), document('out')]) next.change(entry);
    facts(next);
    const again = egressOf(next).gateways;
    for (const [number, { host }] of gateways) assert.equal(again.get(number)?.host, host);
  });

  it('what a workload is pinned to of several hops does not depend on the order of documents', () => {
    const gateways = [by('h2'), by('h3')];
    const ids = Array.from({ length: 40 }, (_, i) => `w${i}`);
    const workloads = ids.map((id, i) => workloadEntry(id, WEB, { ip4: `10.1.0.${100 + i}` }));
    const chosen = (...entries: ConfigEntry[]) => {
      const plan = planner('h1', ...entries);
      return ids.map((_, i) => leavesBy(plan, `10.1.0.${100 + i}`, '0.0.0.0/0'));
    };
    const first = chosen(document('out', { gateways }), ...workloads);
    assert.deepEqual(chosen(...[...workloads].reverse(), document('out', { gateways })), first);
    assert.deepEqual([...new Set(first)].sort(), ['h2', 'h3']);
  });

  it('a document that cannot be read leaves what was before it, and names the field', () => {
    const plan = planner('h1', document('out'));
    plan.change(document('out', { destinationCidrs: ['10.0.0.0/40'], gateways: [{ hosts: named('h2') }] }));
    assert.equal(leavesBy(plan, '10.1.0.2', '0.0.0.0/0'), 'h2');
    const [error] = plan.compute().errors;
    assert.match(
      error?.message ?? '',
      /destination_cidrs: .*10\.0\.0\.0\/40.*gateways\[0\]: give interface or egress_ip/,
    );
  });
});
