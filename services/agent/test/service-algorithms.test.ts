// SPDX-License-Identifier: Apache-2.0
/** Services where the fewest connections decide, those that a host leaves to its own backend, and those of the inside. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { weir_service_flags as FLAG } from '@weir/bpf';
import {
  BackendState,
  FrontendType,
  HostSchema,
  ServiceAlgorithm,
  ServiceSettingsSchema,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { ServicesApplier } from '../src/apply/services.ts';
import { type DesiredServices, ServicePlanner } from '../src/plan/services.ts';
import { emptyState, memoryKernel } from '../src/sim/memory-kernel.ts';
import { type ServiceBody as Body, serviceEntry } from './support/entries.ts';

const TCP = 6;
const VIP = '10.96.0.1';
const KEY = `${VIP} 80 6`;
const HOSTS = ['h1', 'h2', 'h3'].map((id, i) =>
  create(HostSchema, { id, name: id, underlayIp4: `192.168.0.${i + 1}`, labels: {} }),
);
const backendAt = (number: number, hostId: string) => ({
  ...{ number, address: `10.0.0.${number}`, port: 8080, protocol: TCP, weight: 100 },
  ...{ state: BackendState.ACTIVE, hostId },
});
const WEB: Body = {
  ...{ id: 'shop.web', number: 7 },
  frontends: [{ number: 1, type: FrontendType.CLUSTER_IP, address: VIP, port: 80, protocol: TCP }],
  backends: [backendAt(1, 'h1'), backendAt(2, 'h2'), backendAt(3, 'h3')],
};

const planned = (body: Body): DesiredServices | undefined => {
  const planner = new ServicePlanner('h1');
  planner.put(serviceEntry(body));
  assert.deepEqual(planner.errors(), []);
  return planner.compute(HOSTS, ['192.168.0.1']);
};
/** Numbers of the backends that the frontend leads to. */
const seen = (desired: DesiredServices | undefined): string => {
  const value = desired?.frontends.get(KEY)?.value;
  return value ? (desired?.tables.get(value.table)?.backends.join() ?? '') : 'none';
};

describe('where the fewest connections decide', () => {
  const least = (weight: number): Body => ({
    ...WEB,
    algorithm: ServiceAlgorithm.LEAST_CONNECTIONS,
    backends: WEB.backends?.map((backend, i) => ({ ...backend, weight: i === 0 ? weight : 100 })) ?? [],
  });

  it('the frontend says so, and the table has the weights', async () => {
    const value = planned(least(300))?.frontends.get(KEY)?.value;
    assert.equal((value?.flags ?? 0) & FLAG.SERVICE_LEAST, FLAG.SERVICE_LEAST);
    assert.equal((planned(WEB)?.frontends.get(KEY)?.value.flags ?? 0) & FLAG.SERVICE_LEAST, 0);
    const planner = new ServicePlanner('h1');
    planner.put(serviceEntry(least(300)));
    const state = emptyState();
    const applier = new ServicesApplier(memoryKernel(state).services);
    await applier.apply(planner.compute(HOSTS, []));
    const weights = () => [...(state.services?.members.get(value?.table ?? 0) ?? [])];
    assert.deepEqual(weights(), [
      [1, 300],
      [2, 100],
      [3, 100],
    ]);
    const before = state.writes;
    planner.put(serviceEntry(least(50)));
    await applier.apply(planner.compute(HOSTS, []));
    assert.deepEqual([weights()[0], state.writes - before], [[1, 50], 1]);
    planner.put(serviceEntry(WEB));
    await applier.apply(planner.compute(HOSTS, []));
    assert.deepEqual(weights(), []);
  });
});

describe('a host that hands everything to its own backend', () => {
  const UNDERLAY: Readonly<Record<string, string>> = { h1: '192.168.0.1', h2: '192.168.0.2', h3: '192.168.0.3' };
  const delegating = (...hosts: string[]): Body => ({
    ...{ ...WEB, delegateIfLocal: true },
    backends: hosts.map((host, i) => ({ ...backendAt(i + 1, host), address: UNDERLAY[host] ?? '' })),
  });

  it('has nothing of the service while that backend serves', () => {
    assert.equal(seen(planned(delegating('h1', 'h2'))), 'none');
    assert.equal(seen(planned(delegating('h2', 'h3'))), '1,2', 'other hosts balance');
    const [first, ...rest] = delegating('h1', 'h2').backends ?? [];
    assert.ok(first);
    const gone = { ...first, state: BackendState.QUARANTINED };
    assert.equal(seen(planned({ ...delegating(), backends: [gone, ...rest] })), '2');
  });

  it('is none when its backend is a workload, which would not know the address', () => {
    const workload = { ...delegating(), backends: [backendAt(1, 'h1'), backendAt(2, 'h2')] };
    assert.equal(seen(planned(workload)), '1,2');
  });
});

it('clients outside get what is of the inside only where the network says so', () => {
  const planner = new ServicePlanner('h1');
  planner.put(serviceEntry(WEB));
  for (const externalClusterIps of [false, true, false]) {
    planner.setSettings(create(ServiceSettingsSchema, { externalClusterIps }));
    assert.equal(
      planner.compute(HOSTS, [])?.frontends.get(KEY)?.value.flags,
      externalClusterIps ? FLAG.SERVICE_ROUTABLE : 0,
    );
  }
});
