// SPDX-License-Identifier: Apache-2.0
/**
 * Documents of services -> maps, and every state between two writes: a slot that a frontend counts names a backend that is
 * known and that was right before the change or is after it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { weir_service_flags as FLAG, weir_backend_flags } from '@weir/bpf';
import {
  BackendState,
  FrontendScope,
  FrontendType,
  HostSchema,
  NoBackendResponse,
  TrafficDistribution,
  TrafficPolicy,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import fc from 'fast-check';
import { type HeldServices, ServicesApplier } from '../src/apply/services.ts';
import { type DesiredServices, ServicePlanner } from '../src/plan/services.ts';
import { emptyState, memoryKernel } from '../src/sim/memory-kernel.ts';
import { type ServiceBody as Body, serviceEntry } from './support/entries.ts';

const TCP = 6;
const { BACKEND_LOCAL, BACKEND_DSR } = weir_backend_flags;
const VIP = '10.96.0.1';
const ZONE = 'topology.kubernetes.io/zone';
const hostOf = (id: string, underlayIp4: string, zone: string) =>
  create(HostSchema, { id, name: id, underlayIp4, labels: { [ZONE]: zone, rack: id } });
const HOSTS = [hostOf('h1', '192.168.0.1', 'a'), hostOf('h2', '192.168.0.2', 'a'), hostOf('h3', '192.168.0.3', 'b')];

const backendAt = (number: number, host: string, state = BackendState.ACTIVE, zone = host === 'h3' ? 'b' : 'a') => ({
  ...{ number, address: `10.0.0.${number}`, port: 8080, protocol: TCP, weight: 100 },
  ...{ state, hostId: host, zone },
});
const frontend = (change: Partial<NonNullable<Body['frontends']>[number]> = {}) => ({
  ...{ number: 1, type: FrontendType.CLUSTER_IP, address: VIP, port: 80, protocol: TCP },
  ...change,
});
const WEB: Body = {
  ...{ id: 'shop.web', number: 7, frontends: [frontend()] },
  backends: [backendAt(1, 'h1'), backendAt(2, 'h2'), backendAt(3, 'h3')],
};

const planned = (...bodies: Body[]): DesiredServices | undefined => {
  const planner = new ServicePlanner('h1');
  for (const body of bodies) planner.put(serviceEntry({ ...WEB, ...body }));
  assert.deepEqual(planner.errors(), []);
  return planner.compute(HOSTS, ['192.168.0.1']);
};
/** What a frontend leads to: numbers of the active backends, then those of terminating ones behind a bar. */
const seen = (desired: DesiredServices | undefined, key = `${VIP} 80 6`): string => {
  const value = desired?.frontends.get(key)?.value;
  if (!value) return 'none';
  const { backends = [] } = desired?.tables.get(value.table) ?? {};
  assert.equal(backends.length, value.active + value.terminating);
  const [active, terminating] = [backends.slice(0, value.active), backends.slice(value.active)];
  return terminating.length > 0 ? `${active.join()}|${terminating.join()}` : active.join();
};
const flagsOf = (desired: DesiredServices | undefined, key = `${VIP} 80 6`): number =>
  desired?.frontends.get(key)?.value.flags ?? 0;

describe('services: plan', () => {
  it('states: active ones first, terminating ones behind, others not at all', () => {
    const { ACTIVE, TERMINATING, TERMINATING_NOT_SERVING, QUARANTINED, MAINTENANCE } = BackendState;
    const states = [TERMINATING, ACTIVE, QUARANTINED, MAINTENANCE, TERMINATING_NOT_SERVING, ACTIVE];
    const desired = planned({ backends: states.map((state, i) => backendAt(i + 1, 'h2', state)) });
    assert.equal(seen(desired), '2,6|1');
    const at = { address: '10.0.0.2', port: 8080, protocol: TCP };
    assert.deepEqual(desired?.backends.get(2), { ...at, flags: BACKEND_DSR, host: 0 });
  });

  it('backends: of this host, of another one by each way, of no host', () => {
    const backends = ['h1', 'h2', 'h3', ''].map((host, i) => backendAt(i + 1, host));
    const planner = new ServicePlanner('h1');
    planner.put(serviceEntry({ ...WEB, backends: [...backends, { ...backendAt(5, ''), address: '192.168.0.1' }] }));
    const tunnel = { remote: '192.168.0.2', local: '192.168.0.1', send: true, only: true, encrypted: false };
    const placed = (desired: DesiredServices | undefined) =>
      [...(desired?.backends.values() ?? [])].map(({ flags, host }) => [flags, host]);
    const here = [BACKEND_LOCAL, 0];
    const native = [BACKEND_DSR, 0];
    assert.deepEqual(placed(planner.compute(HOSTS, ['192.168.0.1'])), [here, native, native, [0, 0], here]);
    const by = { numbers: new Map([['h2', 9]]), tunnels: new Map([[9, tunnel]]) };
    planner.changed();
    const desired = planner.compute(HOSTS, ['192.168.0.1'], by);
    assert.deepEqual(placed(desired), [here, [0, 9], native, [0, 0], here]);
    desired?.take();
    planner.changed();
    planner.compute(HOSTS, ['192.168.0.1'], by);
    assert.equal(desired?.take().backends.size, 0, 'nothing is looked at when no way is another');
    planner.changed();
    const encrypted = { ...tunnel, send: false, encrypted: true };
    const last = planner.compute(HOSTS, ['192.168.0.1'], { ...by, tunnels: new Map([[9, encrypted]]) });
    assert.deepEqual(placed(last)[1], [0, 9]);
  });

  it('traffic policy: local from inside, from outside, both scopes apart', () => {
    const type = FrontendType.LOAD_BALANCER;
    const inside = planned({ frontends: [frontend()], internalTrafficPolicy: TrafficPolicy.LOCAL });
    assert.equal(seen(inside), '1');
    const outside = planned({ frontends: [frontend({ type })], externalTrafficPolicy: TrafficPolicy.LOCAL });
    assert.equal(seen(outside), '1');
    assert.equal(seen(outside, `${VIP} 80 6 internal`), '1,2,3');
    assert.ok(flagsOf(outside) & FLAG.SERVICE_TWO_SCOPES);
    const scoped = planned({ frontends: [frontend({ type, scope: FrontendScope.EXTERNAL })] });
    assert.ok(flagsOf(scoped) & FLAG.SERVICE_TWO_SCOPES);
    assert.equal(seen(scoped, `${VIP} 80 6 internal`), 'none');
    const none = planned({
      backends: [backendAt(2, 'h2')],
      ...{ internalTrafficPolicy: TrafficPolicy.LOCAL, noBackend: NoBackendResponse.DROP },
    });
    assert.equal(seen(none), '');
    assert.ok(flagsOf(none) & FLAG.SERVICE_NO_BACKEND_DROP);
  });

  it('distribution: the own zone, the own host, all when there is nobody', () => {
    const zone = { distribution: TrafficDistribution.PREFER_SAME_ZONE };
    const node = { distribution: TrafficDistribution.PREFER_SAME_NODE };
    assert.equal(seen(planned(zone)), '1,2');
    assert.equal(seen(planned({ ...zone, backends: [backendAt(3, 'h3')] })), '3');
    assert.equal(seen(planned(node)), '1');
    assert.equal(seen(planned({ ...node, backends: [backendAt(2, 'h2'), backendAt(3, 'h3')] })), '2,3');
  });

  it('NodePort at any address of both families, host port and redirect only with a backend here', () => {
    const port = { number: 2, address: '', port: 30_080, type: FrontendType.NODE_PORT };
    const v6 = { ...backendAt(9, 'h2'), address: 'fd01::9' };
    const desired = planned({ frontends: [frontend(port)], backends: [backendAt(1, 'h1'), v6] });
    assert.equal(seen(desired, '0.0.0.0 30080 6'), '1');
    assert.equal(seen(desired, ':: 30080 6'), '9');
    assert.deepEqual([...(desired?.nodeAddresses ?? [])].sort(), ['192.168.0.1', '192.168.0.2', '192.168.0.3']);
    const host = [frontend({ address: '', port: 81, type: FrontendType.HOST_PORT })];
    assert.equal(seen(planned({ frontends: host }), '192.168.0.1 81 6'), '1');
    assert.equal(seen(planned({ frontends: host, backends: [backendAt(2, 'h2')] }), '192.168.0.1 81 6'), 'none');
    const redirects = [frontend({ number: 5, type: FrontendType.LOCAL_REDIRECT })];
    const redirect = { id: 'shop.near', number: 9, backends: [backendAt(1, 'h1')], frontends: redirects };
    const internal = `${VIP} 80 6 internal`;
    const over = planned({}, redirect);
    assert.deepEqual([seen(over), seen(over, internal), flagsOf(over)], ['1,2,3', '1', FLAG.SERVICE_TWO_SCOPES]);
    const elsewhere = planned({}, { ...redirect, backends: [backendAt(2, 'h2')] });
    assert.deepEqual([seen(elsewhere), seen(elsewhere, internal), flagsOf(elsewhere)], ['1,2,3', 'none', 0]);
    assert.deepEqual([seen(planned(redirect)), flagsOf(planned(redirect))], ['1', FLAG.SERVICE_LOCAL_REDIRECT]);
    const skips = planned({ ...redirect, skipRedirectFromBackends: true });
    const flags = FLAG.SERVICE_LOCAL_REDIRECT | FLAG.SERVICE_SOURCE_RANGE;
    assert.deepEqual([[...(skips?.ranges ?? [])], flagsOf(skips)], [['9 10.0.0.1/32'], flags]);
  });

  it('port names lead to their backends; other hosts do not serve what is not for them', () => {
    const backends = [{ ...backendAt(1, 'h1'), portName: 'http' }, backendAt(2, 'h2')];
    assert.equal(seen(planned({ frontends: [frontend({ portName: 'http' })], backends })), '1');
    assert.equal(seen(planned({ hosts: { matchLabels: { rack: 'h2' } } })), 'none');
    assert.equal(seen(planned({ hosts: { matchLabels: { rack: 'h1' } } })), '1,2,3');
  });

  it('the rest of an address that is a service is refused, of others it is not', () => {
    assert.equal(flagsOf(planned({}), `${VIP} 0 0`), FLAG.SERVICE_WILDCARD);
    const external = planned({ frontends: [frontend({ type: FrontendType.EXTERNAL_IP })] });
    assert.equal(external?.frontends.has(`${VIP} 0 0`), false);
  });

  it('two services on one frontend: the lower number, until it goes', () => {
    const planner = new ServicePlanner('h1');
    const other = serviceEntry({
      ...WEB,
      ...{ id: 'shop.other', number: 3, frontends: [frontend({ number: 11 })] },
      backends: [backendAt(4, 'h2')],
    });
    planner.put(serviceEntry(WEB));
    planner.put(other);
    assert.equal(seen(planner.compute(HOSTS, [])), '4');
    planner.remove(other.subject);
    const desired = planner.compute(HOSTS, []);
    assert.equal(seen(desired), '1,2,3');
    assert.equal(desired?.backends.has(4), false);
  });

  it('many are planned with room for others in between, and come out the same', async () => {
    const bodies = Array.from({ length: 1_000 }, (_, i) => ({
      ...{ ...WEB, id: `shop.s${i}`, number: i + 10 },
      frontends: [frontend({ number: i + 10, port: i + 1 })],
    }));
    const planner = new ServicePlanner('h1');
    for (const body of bodies) planner.put(serviceEntry(body));
    let others = 0;
    const count = (): void => {
      others++;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    const prepared = planner.prepare(HOSTS, ['192.168.0.1'], { numbers: new Map(), tunnels: new Map() });
    // Told while it goes on.
    planner.remove(serviceEntry(bodies[999] ?? WEB).subject);
    planner.put(serviceEntry({ ...WEB, id: 'shop.s0', number: 10, frontends: [frontend({ number: 10, port: 5000 })] }));
    await prepared;
    clearImmediate(immediate);
    assert.ok(others > 3, `${others} turns`);
    const desired = planner.compute(HOSTS, ['192.168.0.1']);
    const [first, ...rest] = bodies.slice(0, 999);
    const atOnce = planned({ ...first, frontends: [frontend({ number: 10, port: 5000 })] }, ...rest);
    const sorted = <K, V>(map: ReadonlyMap<K, V> | undefined) =>
      [...(map ?? [])].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
    for (const part of ['frontends', 'tables', 'backends'] as const)
      assert.deepEqual(sorted<unknown, unknown>(desired?.[part]), sorted<unknown, unknown>(atOnce?.[part]), part);
  });

  it('what cannot be read is told by name, and what was before stays', () => {
    const planner = new ServicePlanner('h1');
    planner.put(serviceEntry(WEB));
    planner.put(serviceEntry({ ...WEB, frontends: [frontend({ port: 0, address: 'nowhere' })] }));
    const [error] = planner.errors();
    assert.match(error?.message ?? '', /frontends\[0\]\.port is 0.*frontends\[0\]\.address "nowhere"/);
    assert.equal(seen(planner.compute(HOSTS, [])), '1,2,3');
  });
});

/** Backends by frontend, as a program would find them. */
const reachable = ({ frontends, slots, backends }: HeldServices): Map<string, Set<number>> => {
  const found = new Map<string, Set<number>>();
  for (const [key, { value }] of frontends) {
    const of = new Set<number>();
    for (let slot = 0; slot < value.active + value.terminating; slot++) {
      const backend = slots.get(value.table)?.[slot];
      assert.ok(backend !== undefined, `${key}: slot ${slot} is empty`);
      assert.ok(backends.has(backend), `${key}: backend ${backend} is not known`);
      of.add(backend);
    }
    found.set(key, of);
  }
  return found;
};

const aService = fc
  .record({
    backends: fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom('h1', 'h2', 'h3'), fc.boolean()),
      {
        selector: ([number]) => number,
      },
    ),
    port: fc.integer({ min: 80, max: 82 }),
    isLocal: fc.boolean(),
    affinityTimeoutS: fc.constantFrom(0, 60),
  })
  .map(({ backends, port, isLocal, affinityTimeoutS }): Body => {
    const { ACTIVE, TERMINATING } = BackendState;
    return {
      ...{ number: port, affinityTimeoutS },
      frontends: [frontend({ number: port, port, type: FrontendType.LOAD_BALANCER })],
      backends: backends.map(([number, host, isActive]) => backendAt(number, host, isActive ? ACTIVE : TERMINATING)),
      externalTrafficPolicy: isLocal ? TrafficPolicy.LOCAL : TrafficPolicy.CLUSTER,
    };
  });

describe('services: writes', () => {
  it('every state between two writes is whole, and the end is that of a host that knows only the end', async () => {
    const steps = fc.array(fc.array(aService, { maxLength: 4 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (changes, isDoubting) => {
        const planner = new ServicePlanner('h1');
        const state = emptyState();
        const applier = new ServicesApplier(memoryKernel(state).services);
        let before = new Map<string, Set<number>>();
        const known = new Set<string>();
        for (const services of changes) {
          const entries = new Map(
            services.map((body) => [body.number, serviceEntry({ ...body, id: `s.${body.number}` })]),
          );
          const subjects = new Set([...entries.values()].map(({ subject }) => subject));
          for (const subject of known) if (!subjects.has(subject)) planner.remove(subject);
          known.clear();
          for (const entry of entries.values()) planner.put(entry);
          for (const subject of subjects) known.add(subject);
          const desired = planner.compute(HOSTS, []);
          const wanted = (key: string): readonly number[] => {
            const value = desired?.frontends.get(key)?.value;
            return value ? (desired?.tables.get(value.table)?.backends ?? []) : [];
          };
          state.onServiceWrite = (held) => {
            for (const [key, backends] of reachable(held))
              for (const backend of backends)
                assert.ok(before.get(key)?.has(backend) || wanted(key).includes(backend), `${key}: ${backend}`);
          };
          if (isDoubting) applier.doubt();
          await applier.apply(desired);
          state.onServiceWrite = undefined;
          before = state.services ? reachable(state.services) : new Map();

          const fresh = emptyState();
          await new ServicesApplier(memoryKernel(fresh).services).apply(planner.compute(HOSTS, []));
          assert.deepEqual(plain(state.services), plain(fresh.services));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('one backend of ten thousand services: a handful of writes', async () => {
    const planner = new ServicePlanner('h1');
    const body = (i: number, count: number): Body => ({
      ...{
        id: `s.${i}`,
        number: i,
        frontends: [frontend({ number: i, address: `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}` })],
      },
      backends: Array.from({ length: count }, (_, k) => ({ ...backendAt(1, 'h2'), number: i * 4 + k, port: 1000 + k })),
    });
    for (let i = 1; i <= 10_000; i++) planner.put(serviceEntry(body(i, 2)));
    const state = emptyState();
    const applier = new ServicesApplier(memoryKernel(state).services);
    await applier.apply(planner.compute(HOSTS, []));
    assert.equal(state.services?.backends.size, 20_000);
    const writes = state.writes;
    planner.put(serviceEntry(body(77, 3)));
    await applier.apply(planner.compute(HOSTS, []));
    assert.ok(state.writes - writes <= 4, `${state.writes - writes} writes`);
  });
});

describe('services: room', () => {
  const body = (number: number, frontends: number, backends = 1): Body => ({
    ...{ id: `s.${number}`, number },
    frontends: Array.from({ length: frontends }, (_, i) => frontend({ number: number * 100 + i, port: i + 1 })).map(
      (one) => ({ ...one, type: FrontendType.EXTERNAL_IP, address: `10.97.0.${number}` }),
    ),
    backends: Array.from({ length: backends }, (_, i) => ({ ...backendAt(1, 'h2'), number: number * 100 + i })),
  });
  const first = (number: number): string => `10.97.0.${number} 1 6`;
  const isServed = (desired: DesiredServices | undefined, number: number): boolean =>
    desired?.frontends.has(first(number)) ?? false;
  /** Room for 60 frontends, 480 slots, 120 backends. */
  const of64 = (...bodies: Body[]) => {
    const planner = new ServicePlanner('h1', new Set(), 64);
    for (const one of bodies) planner.put(serviceEntry(one));
    return planner;
  };
  const refusals = (planner: ServicePlanner): string[] => planner.errors().map(({ message }) => message);

  it('what does not fit is told and left out; the oldest have room, and what becomes free is taken', () => {
    const planner = of64(body(3, 20), body(2, 20), body(1, 30));
    const desired = planner.compute(HOSTS, []);
    assert.deepEqual(
      [1, 2, 3].map((number) => isServed(desired, number)),
      [true, true, false],
    );
    assert.match(refusals(planner).join(), /^service s\.3 does not fit .*20 more frontends to 50 of 60.*MAX_SERVICES/);
    assert.equal(planner.errors()[0]?.code, 'TOO_LARGE');
    assert.deepEqual(planner.room.used, { frontends: 50, slots: 50, backends: 2, maglevTables: 0 });
    planner.remove(serviceEntry(body(2, 0)).subject);
    assert.ok(isServed(planner.compute(HOSTS, []), 3));
    assert.deepEqual(refusals(planner), []);
    assert.deepEqual(planner.room.used, { frontends: 50, slots: 50, backends: 2, maglevTables: 0 });
  });

  it('one that grows too large stays as it was; one that shrinks makes room in the same change', () => {
    const planner = of64(body(1, 30), body(2, 20));
    planner.compute(HOSTS, []);
    planner.put(serviceEntry(body(2, 40)));
    const desired = planner.compute(HOSTS, []);
    assert.ok(isServed(desired, 2));
    assert.equal(desired?.frontends.size, 50);
    assert.equal(refusals(planner).length, 1);
    planner.put(serviceEntry(body(1, 20)));
    assert.equal(planner.compute(HOSTS, [])?.frontends.size, 60);
    assert.deepEqual(refusals(planner), []);
  });

  it('backends and slots have a limit too, and nothing is left of who goes', () => {
    const planner = of64(body(1, 1, 100), body(2, 1, 30), body(3, 20, 15), body(4, 20, 5));
    planner.compute(HOSTS, []);
    assert.match(refusals(planner).join(' '), /s\.2 .*30 more backends to 115 of 120/);
    assert.match(refusals(planner).join(' '), /s\.4 .*100 more slots to 400 of 480/);
    assert.deepEqual(planner.room.used, { frontends: 21, slots: 400, backends: 115, maglevTables: 0 });
    for (const number of [1, 2, 3, 4]) planner.remove(serviceEntry(body(number, 0)).subject);
    planner.compute(HOSTS, []);
    assert.deepEqual(planner.room.used, { frontends: 0, slots: 0, backends: 0, maglevTables: 0 });
  });
});

/** Arrays with holes and maps in another order are the same. */
const plain = (held: HeldServices | undefined): unknown =>
  held && {
    frontends: [...held.frontends].sort(([a], [b]) => (a < b ? -1 : 1)),
    slots: [...held.slots]
      .map(([table, slots]) => [table, slots.filter((backend) => backend !== undefined)])
      .sort(byNumber),
    members: [...held.members].map(([table, members]) => [table, [...members].sort()]).sort(byNumber),
    backends: [...held.backends].sort(byNumber),
    nodeAddresses: [...held.nodeAddresses].sort(),
    nodePorts: held.nodePorts,
  };
const byNumber = (a: readonly unknown[], b: readonly unknown[]): number => Number(a[0]) - Number(b[0]);
