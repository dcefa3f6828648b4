// SPDX-License-Identifier: Apache-2.0
/** What the service knows of the fleet is the same whether it was told at once or document by document. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ConfigEntry, configEntry, configSubject } from '@weir/bus';
import { ConfigDocumentSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { Fleet } from '../src/domain/fleet.ts';

type Body = NonNullable<MessageInitShape<typeof ConfigDocumentSchema>['body']>;

const entry = (kind: 'host' | 'workload' | 'identity', key: string, body?: Body): ConfigEntry => {
  const subject = configSubject(kind, key);
  const document = create(ConfigDocumentSchema, { subject, publisher: 'inventory', ...(body ? { body } : {}) });
  return configEntry(document, new Uint8Array(0)) as ConfigEntry;
};
const host = (id: string) => entry('host', id, { case: 'host', value: { id } });
const workload = (id: string, identity: number) => entry('workload', id, { case: 'workload', value: { id, identity } });
const identity = (number: number, ...labels: string[]) =>
  entry('identity', String(number), { case: 'identity', value: { identity: number, labels } });
const told = (fleet: Fleet) => ({ hosts: fleet.hosts(), identities: [...(fleet.identities() ?? [])].sort() });

test('an identity is known while a workload has it and its labels are there; hosts come and go', () => {
  const fleet = new Fleet();
  assert.equal(fleet.identities(), undefined, 'nothing was told');
  fleet.reset([host('b'), host('a'), identity(300, 'k8s:app=a'), workload('n.w1', 300), workload('n.w2', 301)]);
  assert.deepEqual(told(fleet), { hosts: ['a', 'b'], identities: [[300, ['k8s:app=a']]] });
  fleet.change(identity(301, 'k8s:app=b'));
  assert.deepEqual(told(fleet).identities.length, 2);
  fleet.change(workload('n.w2', 300));
  assert.deepEqual(told(fleet).identities, [[300, ['k8s:app=a']]], 'nobody has 301 any more');
  fleet.change(entry('workload', 'n.w1'));
  assert.deepEqual(told(fleet).identities, [[300, ['k8s:app=a']]], 'n.w2 has 300 still');
  fleet.change(workload('n.w2', 301));
  assert.deepEqual(told(fleet).identities, [[301, ['k8s:app=b']]]);
  fleet.change(entry('host', 'b'));
  assert.deepEqual(told(fleet).hosts, ['a']);
  fleet.reset([host('c'), workload('n.w3', 300), identity(300, 'k8s:app=c')]);
  assert.deepEqual(told(fleet), { hosts: ['c'], identities: [[300, ['k8s:app=c']]] });
});
