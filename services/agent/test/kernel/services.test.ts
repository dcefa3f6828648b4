// SPDX-License-Identifier: Apache-2.0
/** Services from documents into the real kernel and out to sockets: changes, an agent that dies, what somebody takes away. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Asking } from '@weir/bpf/testing/asking';
import { ensureBpffs, openPinnedLink, openPinnedMap } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { BackendState, FrontendType } from '@weir/proto/weir/bus/v1/config_pb.js';
import { listServices } from '../../src/api/services.ts';
import { KernelServices, socketLinksDirOf } from '../../src/apply/kernel/services.ts';
import { ServicesApplier } from '../../src/apply/services.ts';
import { ServicePlanner } from '../../src/plan/services.ts';
import { type ServiceBody as Body, serviceEntry } from '../support/entries.ts';

const PORTS = [9001, 9002, 9003];
const VIP = { ip4: '198.51.100.1', ip6: '2001:db8:5::1' } as const;
const TCP = 6;
const UDP = 17;
const { ACTIVE, TERMINATING, TERMINATING_NOT_SERVING, QUARANTINED } = BackendState;

/** Of what programs remember of clients. */
import { serviceEntries } from '../../src/plan/service-room.ts';

const ROOM = { maxServiceSockets: 1024, maxServiceClients: 1024 };

const web = (states: readonly BackendState[]): Body => ({
  ...{ id: 'shop.web', number: 1 },
  frontends: [VIP.ip4, VIP.ip6].map((address, i) => ({
    ...{ number: i + 1, type: FrontendType.CLUSTER_IP, address, port: 80, protocol: TCP },
  })),
  backends: ['127.0.0.1', '::1'].flatMap((address, f) =>
    states.map((state, i) => ({
      ...{ number: f * 10 + i + 1, address, port: PORTS[i] ?? 0, protocol: TCP, weight: 100, state },
    })),
  ),
});

describe('services in the kernel', { skip: needKernel() }, () => {
  const dir = `/sys/fs/bpf/weir-services-${process.pid}`;
  let asking: Asking;
  let planner: ServicePlanner;
  let kernel: KernelServices;
  let applier: ServicesApplier;

  const start = (): void => {
    const maxEntries = { conntrack: 1024, events: 1 << 16, ...serviceEntries(ROOM) };
    kernel = new KernelServices({
      bpffsDir: dir,
      cgroup: asking.cgroup,
      hostNetns: asking.netns,
      maxEntries,
    });
    applier = new ServicesApplier(kernel);
  };
  const apply = async (): Promise<void> => assert.deepEqual(await applier.apply(planner.compute([], [])), []);
  const tell = async (...bodies: Body[]): Promise<void> => {
    for (const body of bodies) planner.put(serviceEntry(body));
    await apply();
  };
  const served = async (address: string, times = 40): Promise<string[]> => {
    const seen = new Set<string>();
    for (let i = 0; i < times; i++) {
      const { served: by, error } = await asking.ask('tcp', address, 80);
      seen.add(by ?? error ?? '');
    }
    return [...seen].sort();
  };

  before(async () => {
    await ensureBpffs(dir);
    asking = await Asking.open(PORTS, []);
    planner = new ServicePlanner('h1');
    start();
  });
  after(async () => {
    await kernel.end();
    await asking.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Id of the map in which the workloads' programs find what sockets asked for. */
  const shownToFlows = (): number | undefined => {
    const asked = openPinnedMap(join(dir, 'asked_sockets'));
    const id = asked.lookupInnerId(Buffer.alloc(4));
    asked.close();
    return id;
  };

  it('nothing is there before there is a service', async () => {
    await apply();
    assert.deepEqual(readdirSync(dir), []);
    assert.deepEqual(await served(VIP.ip4, 1), ['ENETUNREACH']);
  });

  it('LB-03 both families by the service; LB-11 terminating backends when there is no other; LB-12 none: refused', async () => {
    await tell(web([ACTIVE, ACTIVE, ACTIVE]));
    assert.ok(shownToFlows());
    for (const address of Object.values(VIP)) {
      assert.equal((await asking.ask('tcp', address, 80)).peer, `${address} 80`);
      assert.deepEqual(await served(address), ['9001', '9002', '9003']);
    }
    await tell(web([ACTIVE, TERMINATING]));
    const shown = listServices(await kernel.peek(), (number) => planner.nameOf(number), 2);
    assert.deepEqual(shown, {
      ...{ frontends: 4, backends: 4 },
      items: [
        {
          ...{ service: null, address: VIP.ip4, port: 0, protocol: 'ANY', scope: 'any', flags: ['wildcard'] },
          ...{ affinity_timeout_s: 0, active: [], terminating: [] },
        },
        {
          ...{ service: 'shop.web', address: VIP.ip4, port: 80, protocol: 'TCP', scope: 'any', flags: [] },
          ...{ affinity_timeout_s: 0, active: ['127.0.0.1:9001'], terminating: ['127.0.0.1:9002'] },
        },
      ],
    });
    for (const address of Object.values(VIP)) assert.deepEqual(await served(address, 20), ['9001']);
    await tell(web([TERMINATING]));
    for (const address of Object.values(VIP)) assert.deepEqual(await served(address, 3), ['9001']);
    await tell(web([]));
    for (const address of Object.values(VIP)) assert.deepEqual(await served(address, 3), ['ECONNREFUSED']);
    await tell(web([ACTIVE, ACTIVE, ACTIVE]));
  });

  it('LB-11 sockets of a backend that left are closed, those of one that is terminating or quarantined are not', async () => {
    const both = (states: readonly BackendState[]): Body[] => {
      const tcp = web(states);
      const udp = {
        ...{ id: 'shop.dns', number: 2 },
        frontends:
          tcp.frontends?.map((one) => ({ ...one, number: Number(one.number) + 4, port: 53, protocol: UDP })) ?? [],
        backends: tcp.backends?.map((one) => ({ ...one, number: Number(one.number) + 100, protocol: UDP })) ?? [],
      };
      return [tcp, udp];
    };
    await tell(...both([ACTIVE]));
    const kept: number[] = [];
    for (const address of Object.values(VIP)) {
      for (const udp of [false, true]) {
        const { kept: id, error } = await asking.ask('keep', address, udp ? 53 : 80, { udp });
        assert.equal(error, undefined);
        kept.push(id ?? 0);
      }
    }
    const states = async (): Promise<(string | undefined)[]> =>
      Promise.all(kept.map(async (of) => (await asking.ask('kept', '', 0, { of })).state));
    for (const state of [TERMINATING, TERMINATING_NOT_SERVING, QUARANTINED]) {
      await tell(...both([state, ACTIVE]));
      assert.deepEqual(await states(), ['open', 'open', 'open', 'open']);
    }
    const gone = both([QUARANTINED, ACTIVE]).map((body) => ({
      ...body,
      backends: body.backends?.filter(({ port }) => port !== PORTS[0]) ?? [],
    }));
    await tell(...gone);
    const until = performance.now() + 5_000;
    while ((await states()).includes('open') && performance.now() < until) await sleep(10);
    assert.deepEqual(await states(), ['ECONNABORTED', 'ECONNABORTED', 'ECONNABORTED', 'ECONNABORTED']);
    planner.remove(serviceEntry({ id: 'shop.dns' }).subject);
    await tell(web([ACTIVE, ACTIVE, ACTIVE]));
  });

  it('the agent is gone: all goes on; the next one changes nothing that is right', async () => {
    kernel.close();
    assert.deepEqual(await served(VIP.ip4), ['9001', '9002', '9003']);
    start();
    await apply();
    const writes: string[] = [];
    const watched = new Proxy(kernel, {
      get: (target, name: keyof KernelServices) =>
        /^(write|remove)/.test(name)
          ? async (items: unknown): Promise<void> => {
              if (!Array.isArray(items) || items.length > 0) writes.push(name);
            }
          : target[name].bind(target),
    });
    await new ServicesApplier(watched).apply(planner.compute([], []));
    assert.deepEqual(writes, []);
    assert.deepEqual(await served(VIP.ip6), ['9001', '9002', '9003']);
  });

  it('what somebody takes away is said and put back', async () => {
    assert.deepEqual(await kernel.inspect(), []);
    openPinnedLink(join(socketLinksDirOf(dir), 'connect4')).detach();
    rmSync(join(dir, 'backends'));
    assert.deepEqual(await served(VIP.ip4, 1), ['ENETUNREACH']);
    const problems = await kernel.inspect();
    assert.equal(problems.length, 2);
    assert.match(problems.join(), /pin of map 'backends' was removed.*service_connect4 at sockets was unpinned/);
    assert.ok(existsSync(join(dir, 'backends')));
    assert.deepEqual(await kernel.inspect(), []);
    assert.deepEqual(await served(VIP.ip4, 20), ['9001', '9002', '9003']);
  });

  it('ten thousand services, and one backend of one', async (t) => {
    const many = (i: number, count: number): Body => ({
      ...{ id: `s.${i}`, number: i + 10 },
      frontends: [
        {
          ...{ number: i + 10, type: FrontendType.EXTERNAL_IP, port: 80, protocol: TCP },
          address: `10.96.${i >> 8}.${i & 255}`,
        },
      ],
      backends: Array.from({ length: count }, (_, k) => ({
        ...{ number: i * 4 + 100 + k, address: '127.0.0.1', port: PORTS[k] ?? 0, protocol: TCP, state: ACTIVE },
      })),
    });
    for (let i = 0; i < 10_000; i++) planner.put(serviceEntry(many(i, 2)));
    const planMs = performance.now();
    const desired = planner.compute([], []);
    const writeMs = performance.now();
    await applier.apply(desired);
    const oneMs = performance.now();
    await tell(many(4321, 3));
    const endMs = performance.now();
    const ms = (from: number, to: number): string => `${(to - from).toFixed(1)} ms`;
    t.diagnostic(
      `10,000 services: plan ${ms(planMs, writeMs)}, write ${ms(writeMs, oneMs)}; one backend ${ms(oneMs, endMs)}`,
    );
    assert.deepEqual(await served('10.96.16.225'), ['9001', '9002', '9003']);
    assert.deepEqual(await served('10.96.39.15', 20), ['9001', '9002']);
    for (let i = 0; i < 10_000; i++) planner.remove(serviceEntry(many(i, 2)).subject);
    await apply();
    assert.deepEqual(await served('10.96.39.15', 1), ['ENETUNREACH']);
    assert.deepEqual(await served(VIP.ip6, 20), ['9001', '9002', '9003']);
    const held = await kernel.read();
    assert.deepEqual([held.frontends.size, held.slots.size, held.backends.size], [4, 2, 6]);
  });

  it('more sockets and clients than are remembered: the LRU lets go, and all are served', async (t) => {
    const asked = 1_500;
    const sticky = (i: number): Body => ({
      ...{ id: `f.${i}`, number: i + 10, affinityTimeoutS: 600 },
      frontends: [
        {
          ...{ number: i + 10, type: FrontendType.EXTERNAL_IP, port: 53, protocol: UDP },
          address: `10.98.${i >> 8}.${i & 255}`,
        },
      ],
      backends: [{ number: i + 100, address: '127.0.0.1', port: PORTS[0] ?? 0, protocol: UDP, state: ACTIVE }],
    });
    await tell(...Array.from({ length: asked }, (_, i) => sticky(i)));
    const before = await kernel.count();
    for (let i = 0; i < asked; i++) {
      const { served: by, error } = await asking.ask('udp', `10.98.${i >> 8}.${i & 255}`, 53);
      assert.equal(by, '9001', error);
    }
    const after = await kernel.count();
    t.diagnostic(`${asked} asked; remembered: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`);
    for (const [kind, max] of [
      ['sockets', ROOM.maxServiceSockets] as const,
      ['clients', ROOM.maxServiceClients] as const,
    ]) {
      const there = after?.[kind] ?? 0;
      assert.ok(there <= max && there > max * 0.75, `${kind}: ${there} of ${max}`);
    }
    for (let i = 0; i < asked; i++) planner.remove(serviceEntry(sticky(i)).subject);
    await apply();
    assert.deepEqual(await served(VIP.ip4, 20), ['9001', '9002', '9003']);
  });

  it('with the last service programs and maps go', async () => {
    planner.remove(serviceEntry(web([])).subject);
    await apply();
    assert.equal(existsSync(socketLinksDirOf(dir)), false);
    assert.equal(existsSync(join(dir, 'services')), false);
    assert.equal(shownToFlows(), undefined);
    assert.deepEqual(await served(VIP.ip4, 1), ['ENETUNREACH']);
  });
});
