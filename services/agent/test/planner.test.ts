// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { weir_workload_flags as flag, weir_identity } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { cidrOfAddress, parseIp } from '@weir/net';
import fc from 'fast-check';
import type { Desired } from '../src/plan/desired.ts';
import { prefixText } from '../src/plan/ipcache.ts';
import { linkName } from '../src/plan/names.ts';
import { CidrIds, LocalIds } from '../src/plan/numbers.ts';
import { Planner } from '../src/plan/planner.ts';
import { cnp, hostEntry, identityEntry, knp, policyEntry, removal, workloadEntry } from './support/entries.ts';
import { judgeTable, type Probe } from './support/judge-table.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const WEB = identityEntry(1001, 'k8s:app=web', PROD);
const DB = identityEntry(1002, 'k8s:app=db', PROD);

const planner = (...entries: ConfigEntry[]): Planner => {
  const made = new Planner({ host: 'h1', allowHost: true });
  made.setFacts({ addresses: ['192.168.0.1'], configurationComplete: true });
  for (const entry of entries) made.change(entry);
  return made;
};

const identityAt = (plan: Planner, ip: string): number | undefined => {
  const { addr, bits128 } = cidrOfAddress(parseIp(ip));
  return plan.ipcache.get(prefixText(addr, bits128))?.identity;
};

const judge = (desired: Desired, id: string, probe: Partial<Probe>): string => {
  const policy = desired.workloads.get(id)?.policy;
  return judgeTable(policy?.flags ?? 0, policy?.table, { egress: false, identity: 0, protocol: 6, port: 80, ...probe });
};

describe('workloads', () => {
  const db = workloadEntry('prod.db', 1002);

  it('of this host are desired with wiring, of others only as addresses', () => {
    const plan = planner(WEB, DB, db, workloadEntry('prod.web', 1001, { host: 'h2', ip4: '10.2.0.2', ip6: 'fd00::2' }));
    const { workloads, errors } = plan.compute();
    assert.deepEqual([...workloads.keys()], ['prod.db']);
    const wiring = workloads.get('prod.db')?.wiring;
    assert.match(wiring?.ifname ?? '', /^wr[0-9a-f]{8}$/);
    assert.match(wiring?.mac ?? '', /^02:/);
    assert.equal(identityAt(plan, '10.2.0.2'), 1001);
    assert.equal(identityAt(plan, 'fd00::2'), 1001);
    assert.deepEqual(errors, []);
  });

  it('without policy are open, with the host always allowed in', () => {
    const { workloads } = planner(DB, db).compute();
    const policy = workloads.get('prod.db')?.policy;
    assert.equal(policy?.flags, flag.WORKLOAD_READY | flag.WORKLOAD_ALLOW_HOST);
    assert.equal(policy?.enabled, 'none');
  });

  it('are closed while the configuration is not whole, or their identity not known', () => {
    const plan = new Planner({ host: 'h1', allowHost: true });
    plan.change(DB);
    plan.change(db);
    assert.equal(plan.compute().workloads.get('prod.db')?.waiting, 'not-ready');
    plan.setFacts({ addresses: [], configurationComplete: true });
    assert.ok(plan.compute().workloads.get('prod.db')?.policy);
    plan.change(removal('identity', '1002'));
    assert.equal(plan.compute().workloads.get('prod.db')?.waiting, 'waiting-for-identity');
    assert.equal(plan.compute().workloads.get('prod.db')?.policy, undefined);
  });

  for (const [what, init, message] of [
    ['an address that is none', { ip4: '10.1.0.256' }, /ip4 "10.1.0.256" is not an IP address/],
    ['IPv6 where IPv4 belongs', { ip4: 'fd00::1' }, /is not IPv4/],
    ['no address', { ip4: '' }, /has no address/],
    ['a relative namespace', { netns: 'x/y' }, /not an absolute path/],
  ] as const) {
    it(`with ${what} are refused by name`, () => {
      const { workloads, errors } = planner(DB, workloadEntry('prod.db', 1002, init)).compute();
      assert.equal(workloads.size, 0);
      assert.equal(errors.length, 1);
      assert.match(errors[0]?.message ?? '', message);
      assert.match(errors[0]?.subject ?? '', /^weir.v1.cfg.workload\./);
    });
  }

  it('without a namespace say so', () => {
    const { workloads } = planner(DB, workloadEntry('prod.db', 1002, { netns: '' })).compute();
    assert.equal(workloads.get('prod.db')?.message, 'it names no network namespace');
  });
});

describe('addresses', () => {
  it('of hosts are host or remote-node; the own ones whatever inventory knows', () => {
    const plan = planner(hostEntry('h1', '192.168.0.1', '10.1.0.0/24'), hostEntry('h2', '192.168.0.2', '10.2.0.0/24'));
    const { routes } = plan.compute();
    assert.equal(identityAt(plan, '192.168.0.1'), weir_identity.IDENTITY_HOST);
    assert.equal(identityAt(plan, '169.254.1.1'), weir_identity.IDENTITY_HOST);
    assert.equal(identityAt(plan, '192.168.0.2'), weir_identity.IDENTITY_REMOTE_NODE);
    assert.deepEqual(
      [...routes.values()],
      [
        { dst: '10.1.0.0/24', via: 'unreachable' },
        { dst: '10.2.0.0/24', via: '192.168.0.2' },
      ],
    );
    plan.setFacts({ addresses: ['172.16.0.9'], configurationComplete: true });
    assert.equal(identityAt(plan, '172.16.0.9'), weir_identity.IDENTITY_HOST);
    assert.equal(identityAt(plan, '192.168.0.1'), weir_identity.IDENTITY_HOST, 'inventory still says so');
  });

  it('of a pool that would cut off a host get no route, and the document is named', () => {
    for (const pool of ['0.0.0.0/0', '192.168.0.0/16', '192.168.0.1/32']) {
      const { routes, errors } = planner(hostEntry('h2', '192.168.0.2', pool)).compute();
      assert.equal(routes.size, 0);
      assert.match(errors[0]?.message ?? '', /holds an address of a host/);
      assert.match(errors[0]?.subject ?? '', /cfg\.host\.h2$/);
    }
  });

  it('whose identity has no labels here are init', () => {
    const plan = planner(workloadEntry('prod.x', 1777, { host: 'h2', ip4: '10.2.0.9' }));
    assert.equal(identityAt(plan, '10.2.0.9'), weir_identity.IDENTITY_INIT);
    plan.change(identityEntry(1777, 'k8s:app=x'));
    assert.equal(identityAt(plan, '10.2.0.9'), 1777);
    plan.change(removal('identity', '1777'));
    assert.equal(identityAt(plan, '10.2.0.9'), weir_identity.IDENTITY_INIT);
  });

  it('given again before they are taken away belong to the newer document, in either order', () => {
    const old = workloadEntry('prod.old', 1001, { host: 'h2', ip4: '10.2.0.9' });
    const young = workloadEntry('prod.young', 1002, { host: 'h2', ip4: '10.2.0.9' });
    const gone = removal('workload', 'prod.old');
    for (const order of [
      [old, young, gone],
      [young, old, gone],
    ]) {
      const plan = planner(WEB, DB, ...order);
      assert.equal(identityAt(plan, '10.2.0.9'), 1002);
    }
  });

  it('follow the underlay address of their host', () => {
    const plan = planner(
      WEB,
      workloadEntry('prod.web', 1001, { host: 'h2', ip4: '10.2.0.2' }),
      hostEntry('h2', '192.168.0.2'),
    );
    const { addr, bits128 } = cidrOfAddress(parseIp('10.2.0.2'));
    assert.equal(plan.ipcache.get(prefixText(addr, bits128))?.host4, 0xc0a80002);
    plan.change(hostEntry('h2', '192.168.0.77'));
    assert.equal(plan.ipcache.get(prefixText(addr, bits128))?.host4, 0xc0a8004d);
  });

  it('are written as differences; a changed identity asks for judging again, a new address does not', () => {
    const plan = planner(WEB, DB);
    plan.compute();
    plan.ipcache.written(plan.ipcache.delta());
    plan.change(workloadEntry('prod.web', 1001, { host: 'h2', ip4: '10.2.0.2' }));
    let delta = plan.ipcache.delta();
    assert.deepEqual([delta.puts.length, delta.deletes.length, delta.rejudge], [1, 0, false]);
    plan.ipcache.written(delta);
    plan.change(workloadEntry('prod.web', 1002, { host: 'h2', ip4: '10.2.0.2' }));
    delta = plan.ipcache.delta();
    assert.deepEqual([delta.puts.length, delta.deletes.length, delta.rejudge], [1, 0, true]);
    plan.ipcache.written(delta);
    plan.change(removal('workload', 'prod.web'));
    delta = plan.ipcache.delta();
    assert.deepEqual([delta.puts.length, delta.deletes.length, delta.rejudge], [0, 1, true]);
    plan.ipcache.written(delta);
    assert.deepEqual(plan.ipcache.delta(), { puts: [], deletes: [], rejudge: false });
  });
});

describe('policies', () => {
  const db = workloadEntry('prod.db', 1002);
  const fromWeb = policyEntry(
    knp('db', 'db', { ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 80 }] }] }),
  );

  it('compile for the workloads that they select, and only those again', () => {
    const plan = planner(WEB, DB, db, workloadEntry('prod.web', 1001, { ip4: '10.1.0.3' }), fromWeb);
    const first = plan.compute();
    assert.equal(judge(first, 'prod.db', { identity: 1001 }), 'allow');
    assert.equal(judge(first, 'prod.db', { identity: 1002 }), 'deny');
    assert.equal(judge(first, 'prod.web', { identity: 1002 }), 'allow');
    plan.change(policyEntry(knp('db', 'db', {})));
    const second = plan.compute();
    assert.equal(judge(second, 'prod.db', { identity: 1001 }), 'deny');
    assert.equal(
      second.workloads.get('prod.web')?.policy,
      first.workloads.get('prod.web')?.policy,
      'the very same object',
    );
  });

  it('see a new identity and new labels', () => {
    const plan = planner(DB, db, fromWeb);
    assert.equal(judge(plan.compute(), 'prod.db', { identity: 1001 }), 'deny');
    plan.change(WEB);
    assert.equal(judge(plan.compute(), 'prod.db', { identity: 1001 }), 'allow');
    plan.change(identityEntry(1001, 'k8s:app=other', PROD));
    assert.equal(judge(plan.compute(), 'prod.db', { identity: 1001 }), 'deny');
  });

  it('follow the labels of their own subject', () => {
    const plan = planner(WEB, DB, db, fromWeb);
    plan.compute();
    plan.change(identityEntry(1002, 'k8s:app=free', PROD));
    assert.equal(plan.compute().workloads.get('prod.db')?.policy?.enabled, 'none');
  });

  it('know named ports of the workload and of its peers', () => {
    const http = { name: 'http', port: 8080, protocol: 6 };
    const plan = planner(
      WEB,
      DB,
      workloadEntry('prod.db', 1002, { namedPorts: [http] }),
      workloadEntry('prod.web', 1001, { host: 'h2', ip4: '10.2.0.2', namedPorts: [{ ...http, port: 9090 }] }),
      policyEntry(
        knp('db', 'db', {
          policyTypes: ['Ingress', 'Egress'],
          ingress: [{ ports: [{ port: 'http' }] }],
          egress: [{ ports: [{ port: 'http' }] }],
        }),
      ),
    );
    let desired = plan.compute();
    assert.equal(judge(desired, 'prod.db', { identity: 1001, port: 8080 }), 'allow');
    assert.equal(judge(desired, 'prod.db', { identity: 1001, port: 9090 }), 'deny');
    assert.equal(judge(desired, 'prod.db', { egress: true, identity: 1001, port: 9090 }), 'allow');
    assert.equal(judge(desired, 'prod.db', { egress: true, identity: 1001, port: 8080 }), 'deny');
    plan.change(
      workloadEntry('prod.web', 1001, { host: 'h2', ip4: '10.2.0.2', namedPorts: [{ ...http, port: 7070 }] }),
    );
    desired = plan.compute();
    assert.equal(judge(desired, 'prod.db', { egress: true, identity: 1001, port: 9090 }), 'deny');
    assert.equal(judge(desired, 'prod.db', { egress: true, identity: 1001, port: 7070 }), 'allow');
  });

  it('that do not fit lock the workload down and say so', () => {
    const plan = new Planner({ host: 'h1', allowHost: true, maxEntries: 4 });
    plan.setFacts({ addresses: [], configurationComplete: true });
    for (const entry of [WEB, DB, db]) plan.change(entry);
    plan.change(policyEntry(knp('db', 'db', { ingress: [{ ports: [80, 81, 443, 8080].map((port) => ({ port })) }] })));
    const desired = plan.compute();
    const policy = desired.workloads.get('prod.db')?.policy;
    assert.ok((policy?.flags ?? 0) & flag.WORKLOAD_LOCKDOWN);
    assert.equal(judge(desired, 'prod.db', { identity: 1001 }), 'deny');
    assert.deepEqual(
      desired.errors.map(({ code }) => code),
      ['TOO_LARGE'],
    );
    assert.match(desired.errors[0]?.message ?? '', /prod.db is in lockdown/);
  });

  it('with more prefixes than fit lock down those that they select', () => {
    const plan = new Planner({ host: 'h1', allowHost: true, maxCidrs: 2 });
    plan.setFacts({ addresses: [], configurationComplete: true });
    for (const entry of [WEB, DB, db, workloadEntry('prod.web', 1001, { ip4: '10.1.0.3' })]) plan.change(entry);
    const block = (n: number) => ({ ipBlock: { cidr: `192.0.2.${n}/32` } });
    plan.change(policyEntry(knp('db', 'db', { ingress: [{ from: [1, 2, 3].map(block) }] })));
    const desired = plan.compute();
    assert.ok((desired.workloads.get('prod.db')?.policy?.flags ?? 0) & flag.WORKLOAD_LOCKDOWN);
    assert.equal(judge(desired, 'prod.web', { identity: 5 }), 'allow');
    assert.equal(desired.cidrs.size, 2);
  });
});

describe('prefixes', () => {
  const db = workloadEntry('prod.db', 1002);
  const toCidr = (name: string, ...cidrs: string[]) => policyEntry(cnp(name, 'db', { egress: [{ toCIDR: cidrs }] }));

  it('of policies that select nobody here have no number', () => {
    const plan = planner(WEB, DB, db, policyEntry(cnp('x', 'elsewhere', { egress: [{ toCIDR: ['192.0.2.0/24'] }] })));
    assert.equal(plan.compute().cidrs.size, 0);
  });

  it('are those of a group in place of its name, now and whenever it changes', () => {
    const group = (...externalCIDRs: string[]) =>
      policyEntry({
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumCIDRGroup',
        metadata: { name: 'offices' },
        spec: { externalCIDRs },
      } as Parameters<typeof policyEntry>[0]);
    const named = policyEntry(cnp('a', 'db', { ingress: [{ fromCIDRSet: [{ cidrGroupRef: 'offices' }] }] }));
    const plan = planner(WEB, DB, db, named);
    assert.equal(plan.compute().cidrs.size, 0);
    plan.change(group('192.0.2.0/24'));
    const known = plan.compute();
    const identity = known.cidrs.get('192.0.2.0/24') ?? 0;
    assert.equal(judge(known, 'prod.db', { identity }), 'allow');
    plan.change(group('198.51.100.0/24'));
    assert.deepEqual([...plan.compute().cidrs.keys()], ['198.51.100.0/24']);
    plan.change(removal('policy', 'CiliumCIDRGroup/-/offices'));
    assert.equal(plan.compute().cidrs.size, 0);
    assert.equal(judge(plan.compute(), 'prod.db', { identity }), 'deny');
  });

  it('keep their number, and leave the cidrs map before the tables forget them', () => {
    const plan = planner(WEB, DB, db, toCidr('a', '192.0.2.0/24'), toCidr('b', '192.0.2.128/25'));
    const wide = plan.compute().cidrs.get('192.0.2.0/24') ?? 0;
    const narrow = plan.compute().cidrs.get('192.0.2.128/25') ?? 0;
    assert.equal(wide >>> 24, 1);
    plan.change(removal('policy', 'CiliumNetworkPolicy/prod/b'));
    const after = plan.compute();
    assert.deepEqual([...after.cidrs], [['192.0.2.0/24', wide]]);
    assert.equal(judge(after, 'prod.db', { egress: true, identity: narrow }), 'allow', 'inside the wide one');
    plan.collect();
    const collected = plan.compute();
    assert.equal(judge(collected, 'prod.db', { egress: true, identity: narrow }), 'deny');
    assert.equal(judge(collected, 'prod.db', { egress: true, identity: wide }), 'allow');
  });

  it('get the numbers that an earlier agent gave them', () => {
    const plan = new Planner({ host: 'h1', allowHost: true });
    plan.cidrIds.adopt('192.0.2.0/24', 0x01000063);
    plan.setFacts({ addresses: [], configurationComplete: true });
    for (const entry of [DB, db, toCidr('a', '192.0.2.0/24', '198.51.100.0/24')]) plan.change(entry);
    const { cidrs } = plan.compute();
    assert.equal(cidrs.get('192.0.2.0/24'), 0x01000063);
    assert.notEqual(cidrs.get('198.51.100.0/24'), 0x01000063);
  });

  it('never share a number, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(fc.subarray(['a', 'b', 'c', 'd', 'e', 'f']), { maxLength: 20 }), (steps) => {
        const ids = new CidrIds();
        for (const [i, wanted] of steps.entries()) {
          ids.want(new Set(wanted));
          if (i % 3 === 2) ids.collect();
          assert.equal(new Set(ids.all.values()).size, ids.all.size);
          assert.deepEqual([...ids.installed.keys()].sort(), [...wanted].sort());
        }
      }),
    );
  });
});

describe('numbers of workloads', () => {
  it('stay, come back from the kernel when the file is lost, and are not used again', () => {
    const ids = new LocalIds();
    assert.deepEqual([ids.of('a'), ids.of('b'), ids.of('a')], [1, 2, 1]);
    const kept = new LocalIds(ids.takeChange());
    assert.equal(ids.takeChange(), undefined);
    kept.release('a');
    assert.deepEqual([kept.of('b'), kept.of('c')], [2, 3]);
    const lost = new LocalIds();
    lost.adopt(linkName('prod.db'), 7);
    assert.equal(lost.of('prod.db'), 7);
    assert.ok([...Array(9)].map((_, i) => lost.of(`w${i}`)).every((id) => id > 7));
  });
});
