// SPDX-License-Identifier: Apache-2.0
/** Documents that put a service on somebody else's address: what the planner makes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrontendType } from '@weir/proto/weir/bus/v1/config_pb.js';
import { addressesOfServers } from '../src/plan/service-addresses.ts';
import { ServicePlanner } from '../src/plan/services.ts';
import { fullHostEntry, removal, serviceEntry } from './support/entries.ts';

const CONTROL = addressesOfServers('nats://192.0.2.200:4222, [2001:db8::200]:4222,nats://bus.example:4222');
const bodyOf = (underlayIp4: string) => {
  const { body } = fullHostEntry({ id: 'h2', underlayIp4 }).document;
  assert.ok(body.case === 'host');
  return body.value;
};
const service = (type: FrontendType, address: string) =>
  serviceEntry({
    ...{ id: 'blue.thief', number: 5 },
    frontends: [{ number: 9, type, address, port: 443, protocol: 6 }],
    backends: [{ number: 1, address: address.includes(':') ? 'fd00::1' : '10.1.0.1', port: 443, protocol: 6 }],
  });

test('what no service may have is refused with field and value, whatever its type', () => {
  assert.deepEqual([...CONTROL], ['192.0.2.200', '2001:db8::200']);
  for (const address of [
    '127.0.0.1',
    '::1',
    '169.254.169.254',
    'fe80::1',
    '224.0.0.1',
    'ff02::1',
    '0.0.0.0',
    ...CONTROL,
  ]) {
    for (const type of [FrontendType.EXTERNAL_IP, FrontendType.HOST_PORT, FrontendType.LOCAL_REDIRECT]) {
      const planner = new ServicePlanner('h1', CONTROL);
      planner.put(service(type, address));
      assert.match(planner.errors()[0]?.message ?? '', /frontends\[0\]\.address "/, address);
      assert.equal(planner.compute([], [])?.frontends.size ?? 0, 0, address);
    }
  }
});

test('an address that becomes a host’s is no service’s any more, until the host is gone', () => {
  const planner = new ServicePlanner('h1');
  planner.put(service(FrontendType.EXTERNAL_IP, '203.0.113.9'));
  const count = (...hosts: string[]): number => {
    planner.changed();
    const planned = planner.compute(hosts.map(bodyOf), ['192.0.2.1']);
    return [...(planned?.frontends.values() ?? [])].filter(({ key }) => key.address === '203.0.113.9').length;
  };
  assert.deepEqual([count(), planner.errors().length], [1, 0]);
  assert.deepEqual([count('203.0.113.9'), planner.errors().length], [0, 1]);
  assert.match(planner.errors()[0]?.message ?? '', /is the address of a host/);
  assert.deepEqual([count('203.0.113.8'), planner.errors().length], [1, 0]);
  assert.deepEqual([count('203.0.113.9'), planner.errors().length], [0, 1]);
  planner.remove(removal('service', 'blue.thief').subject);
  assert.deepEqual([count('203.0.113.9'), planner.errors().length], [0, 0]);
  planner.put(service(FrontendType.EXTERNAL_IP, '192.0.2.1'));
  assert.deepEqual([count(), planner.errors().length], [0, 1], 'of this host too');
});
