// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { weir_workload_flags as flag } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { Planner } from '../src/plan/planner.ts';
import {
  hostEntry,
  identityEntry,
  labelledHostEntry,
  networkEntry,
  prefilterEntry,
  removal,
  workloadEntry,
} from './support/entries.ts';

const planner = (...entries: ConfigEntry[]): Planner => {
  const made = new Planner({ host: 'h1', allowHost: true });
  made.setFacts({ addresses: ['192.168.0.1'], configurationComplete: true });
  for (const entry of entries) made.change(entry);
  return made;
};
const H1 = hostEntry('h1', '192.168.0.1', '10.1.0.0/24');
const H2 = hostEntry('h2', '192.168.0.2', '10.2.0.0/24', 'fd00:2::/64');
const uplinksOf = (...entries: ConfigEntry[]) => planner(...entries).compute().uplinks;

describe('uplinks', () => {
  it('are left alone without a document that asks for something', () => {
    assert.equal(uplinksOf(H1, H2), undefined);
    assert.equal(uplinksOf(H1, networkEntry({ routing: 2 })), undefined);
    assert.equal(uplinksOf(H1, networkEntry({ masquerade: { nonMasqueradeCidrs: ['10.0.0.0/8'] } })), undefined);
  });

  it('the fleet, link-local and multicast are never masqueraded, unless asked for', () => {
    const plain = uplinksOf(
      H1,
      H2,
      networkEntry({ masquerade: { ipv4: true, nonMasqueradeCidrs: ['172.16.9.9/12'] } }),
    );
    assert.deepEqual(
      [...(plain?.unmasqueraded ?? [])].sort(),
      [
        ...['10.1.0.0/24', '10.2.0.0/24', 'fd00:2::/64', '172.16.0.0/12', '192.168.0.2/32'],
        ...['169.254.0.0/16', 'fe80::/10', '224.0.0.0/4', '255.255.255.255/32', 'ff00::/8'],
      ].sort(),
    );
    assert.deepEqual([plain?.masquerade4, plain?.masquerade6, plain?.prefer], [true, false, ['192.168.0.1']]);
    const all = uplinksOf(
      ...[H1, H2],
      networkEntry({
        masquerade: { ipv4: true, ipv6: true, linkLocalIpv4: true, linkLocalIpv6: true, remoteNodes: true },
      }),
    );
    for (const prefix of ['169.254.0.0/16', 'fe80::/10', '192.168.0.2/32']) assert.ok(!all?.unmasqueraded.has(prefix));
  });

  it('a host that joins or leaves changes what is masqueraded', () => {
    const plan = planner(H1, networkEntry({ masquerade: { ipv4: true } }));
    assert.ok(!plan.compute().uplinks?.unmasqueraded.has('10.2.0.0/24'));
    plan.change(H2);
    assert.ok(plan.compute().uplinks?.unmasqueraded.has('10.2.0.0/24'));
    plan.change(removal('host', 'h2'));
    assert.ok(!plan.compute().uplinks?.unmasqueraded.has('10.2.0.0/24'));
    plan.change(removal('network', 'fleet'));
    assert.equal(plan.compute().uplinks, undefined);
  });

  it('VLANs and interfaces', () => {
    const made = uplinksOf(
      networkEntry({ vlanBypass: [0, 7], masquerade: { ipv6: true, interfaces: ['eth+', 'bond0'] } }),
    );
    assert.deepEqual(
      [[...(made?.vlans ?? [])], made?.interfaces],
      [
        [0, 7],
        ['eth+', 'bond0'],
      ],
    );
  });

  it('NAT64 alone is something to do', () => {
    assert.equal(uplinksOf(H1, networkEntry({ nat64: { prefix: '' } })), undefined);
    const made = uplinksOf(H1, networkEntry({ nat64: { prefix: '0064:ff9b::/96' } }));
    assert.deepEqual([made?.nat64, made?.masquerade4, made?.prefer], ['64:ff9b::/96', false, ['192.168.0.1']]);
  });

  it('prefilters for this host, by its labels, as one set', () => {
    const here = labelledHostEntry('h1', { 'weir.io/zone': 'edge', tier: 'front' });
    const everywhere = prefilterEntry('one', { cidrs: ['192.0.2.7', '2001:db8::/32'] });
    const edge = prefilterEntry('two', {
      cidrs: ['198.51.100.0/24', '192.0.2.7/32'],
      hosts: {
        matchLabels: { 'weir.io/zone': 'edge' },
        matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['back'] }],
      },
    });
    const core = prefilterEntry('three', {
      cidrs: ['203.0.113.0/24'],
      hosts: { matchLabels: { 'weir.io/zone': 'core' } },
    });
    assert.deepEqual(
      [...(uplinksOf(here, everywhere, edge, core)?.prefilter ?? [])].sort(),
      ['192.0.2.7/32', '198.51.100.0/24', '2001:db8::/32'].sort(),
    );
    assert.equal(uplinksOf(here, core), undefined);
    assert.equal(uplinksOf(H1, networkEntry({ vlanBypass: [1] }))?.prefilter, undefined);
  });

  it('what cannot be read is said, and what was there before stays', () => {
    const plan = planner(networkEntry({ masquerade: { ipv4: true, nonMasqueradeCidrs: ['203.0.113.0/24'] } }));
    plan.change(
      networkEntry({
        masquerade: { ipv4: true, nonMasqueradeCidrs: ['nonsense'], interfaces: ['a/b'] },
        vlanBypass: [5000],
        nat64: { prefix: '64:ff9b::/64' },
      }),
    );
    plan.change(
      prefilterEntry('odd', { cidrs: ['300.1.1.1'], hosts: { matchExpressions: [{ key: 'a', operator: 'Is' }] } }),
    );
    const { uplinks, errors } = plan.compute();
    assert.ok(uplinks?.unmasqueraded.has('203.0.113.0/24'));
    const messages = errors.map(({ message }) => message).join('\n');
    for (const word of [
      'non_masquerade_cidrs',
      'nonsense',
      'interfaces',
      'a/b',
      'vlan_bypass',
      '5000',
      'nat64.prefix',
      'cidrs',
      '300.1.1.1',
      'operator "Is"',
    ])
      assert.ok(messages.includes(word), word);
  });
});

describe('source check', () => {
  it('is on unless the document takes it away', () => {
    const flagsOf = (anySource: boolean) =>
      planner(identityEntry(1001, 'k8s:app=web'), workloadEntry('prod.web', 1001, { anySource }))
        .compute()
        .workloads.get('prod.web')?.policy?.flags ?? 0;
    assert.equal(flagsOf(false) & flag.WORKLOAD_NO_SOURCE_CHECK, 0);
    assert.equal(flagsOf(true) & flag.WORKLOAD_NO_SOURCE_CHECK, flag.WORKLOAD_NO_SOURCE_CHECK);
  });
});

describe('bandwidth', () => {
  const WEB = identityEntry(1001, 'k8s:app=web');

  it('is a rate in bytes and a flag; without one neither', () => {
    const limitedTo = (egressBitsPerSecond: bigint, ingressBitsPerSecond: bigint) =>
      planner(WEB, workloadEntry('prod.web', 1001, { egressBitsPerSecond, ingressBitsPerSecond }))
        .compute()
        .workloads.get('prod.web');
    const none = limitedTo(0n, 0n);
    assert.equal(none?.bandwidth, undefined);
    assert.equal((none?.policy?.flags ?? 0) & flag.WORKLOAD_LIMITED, 0);
    const some = limitedTo(10_000_000n, 3n);
    assert.deepEqual(some?.bandwidth, { egress: 1_250_000, ingress: 1 });
    assert.equal((some?.policy?.flags ?? 0) & flag.WORKLOAD_LIMITED, flag.WORKLOAD_LIMITED);
  });
});
