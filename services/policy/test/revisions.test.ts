// SPDX-License-Identifier: Apache-2.0
/** Which host holds what: acknowledgements in, states out. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, configSubject, subjects } from '@weir/bus';
import { hostRevision } from '../src/domain/realisation.ts';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

let harness: Harness;
let h1: Bus;
let h2: Bus;
let port = 1_000;
before(async () => {
  harness = await startHarness();
  h1 = await harness.host('h1');
  h2 = await harness.host('h2');
});
after(() => harness.stop());

interface Revision {
  revision: number;
  hosts: { host: string; realised: number; state: string; error: string | null }[];
}
const at = async (revision: number, waitS = 0): Promise<Record<string, string>> => {
  const { status, body } = await harness.call<Revision>('GET', `/v1/revisions/${revision}?wait_s=${waitS}`);
  assert.equal(status, 200);
  return Object.fromEntries(body.hosts.map(({ host, state }) => [host, state]));
};
const change = async (): Promise<number> => {
  port += 1;
  return (await harness.apply(networkPolicy('web', WEB.replace('port: 80', `port: ${port}`)))).body.revision;
};
const until = async (what: () => Promise<boolean>): Promise<void> => {
  for (const deadline = Date.now() + 60_000; !(await what()); await sleep(10))
    assert.ok(Date.now() < deadline, String(what));
};
const beat = (bus: Bus, host: string): void =>
  bus.nc.publish(subjects.hb.build({ host }), subjects.hb.encode({ boot: 1n }));

test('hosts appear when inventory has them; unheard ones are away, heard ones pending', async () => {
  const revision = await change();
  assert.deepEqual(await at(revision), {});
  for (const id of ['h1', 'h2']) await harness.publish('host', id, { case: 'host', value: { id, name: id } });
  await until(async () => Object.keys(await at(revision)).length === 2);
  assert.deepEqual(await at(revision), { h1: 'away', h2: 'away' });
  beat(h1, 'h1');
  await until(async () => (await at(revision)).h1 === 'pending');
  // A host that is away holds nobody up.
  await harness.ack(h1, 'h1', BigInt(revision));
  assert.deepEqual(await at(revision, 10), { h1: 'realised', h2: 'away' });
});

test('waiting ends as soon as the last host that is alive has acknowledged', async () => {
  beat(h2, 'h2');
  const revision = await change();
  await until(async () => (await at(revision)).h2 === 'pending');
  await harness.ack(h1, 'h1', BigInt(revision));
  await until(async () => (await at(revision)).h1 === 'realised');
  const startedAt = performance.now();
  const waiting = at(revision, 20);
  await sleep(300);
  await harness.ack(h2, 'h2', BigInt(revision));
  assert.deepEqual(await waiting, { h1: 'realised', h2: 'realised' });
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= 300 && tookMs < 5_000, `${tookMs} ms`);
  const next = await change();
  const late = performance.now();
  assert.deepEqual(await at(next, 1), { h1: 'pending', h2: 'pending' });
  assert.ok(performance.now() - late >= 1_000);
});

test('a host that cannot take a document has failed, and says why', async () => {
  const revision = await change();
  await harness.ack(h1, 'h1', BigInt(revision));
  await harness.ack(h2, 'h2', BigInt(revision - 1), [
    {
      subject: configSubject('policy', 'NetworkPolicy/prod/web'),
      revision: BigInt(revision),
      code: 'INVALID_ARGUMENT',
      message: 'no such thing',
    },
  ]);
  await until(async () => (await at(revision)).h2 === 'failed');
  const { body } = await harness.call<Revision>('GET', `/v1/revisions/${revision}?wait_s=20`);
  assert.deepEqual(
    body.hosts.map(({ host, state, error }) => [host, state, error]),
    [
      ['h1', 'realised', null],
      ['h2', 'failed', 'no such thing'],
    ],
  );
  assert.equal((await at(revision - 1)).h2, 'realised', 'what was before still stands');
  await harness.ack(h2, 'h2', BigInt(revision));
  await until(async () => (await at(revision)).h2 === 'realised');
});

test('a revision that the host has not tried yet is pending, whatever failed before', async () => {
  const failing = await change();
  const key = 'NetworkPolicy/prod/web';
  const failure = {
    subject: configSubject('policy', key),
    revision: BigInt(failing),
    code: 'KERNEL',
    message: 'no room',
  };
  await harness.ack(h1, 'h1', BigInt(failing));
  await harness.ack(h2, 'h2', BigInt(failing - 1), [failure], BigInt(failing));
  await until(async () => (await at(failing)).h2 === 'failed');
  const { body } = await harness.call<{ revision: number }>('DELETE', `/v1/policies/${key}`);
  assert.ok(body.revision > failing);
  assert.equal((await at(body.revision)).h2, 'pending', 'it may be what takes the cause away');
  await harness.ack(h2, 'h2', BigInt(body.revision), [], BigInt(body.revision));
  await until(async () => (await at(body.revision)).h2 === 'realised');
});

test('the host is that of the subject, and junk on it changes nothing', async () => {
  const revision = await change();
  await harness.ack(h1, 'h1', BigInt(revision));
  await until(async () => (await at(revision)).h1 === 'realised');
  assert.equal((await at(revision)).h2, 'pending');
  await h1.js.publish(subjects.ack.build({ host: 'h1' }), new Uint8Array([0xff, 0xff, 0xff]));
  await harness.ack(h2, 'h2', BigInt(revision));
  assert.deepEqual(await at(revision, 10), { h1: 'realised', h2: 'realised' });
});

test('after a restart of the service what hosts had said is still known', async () => {
  const revision = await change();
  await harness.ack(h1, 'h1', BigInt(revision));
  await until(async () => (await at(revision)).h1 === 'realised');
  await harness.restart();
  assert.deepEqual(await at(revision), { h1: 'realised', h2: 'pending' });
});

test('rules of states', () => {
  const failure = (subject: string, revision: string, code = 'INVALID_ARGUMENT') => ({
    subject,
    revision,
    code,
    message: 'm',
  });
  const policy = 'weir.v1.cfg.policy.x';
  const workload = 'weir.v1.cfg.workload.x';
  const state = (...args: Parameters<typeof hostRevision>) => hostRevision(...args).state;
  assert.equal(state('h', 5n, undefined, true), 'pending');
  assert.equal(state('h', 5n, undefined, false), 'away');
  assert.equal(state('h', 5n, { realised: 5n, tried: null, errors: [] }, false), 'realised', 'it keeps what it has');
  assert.equal(state('h', 5n, { realised: 9n, tried: null, errors: [failure(policy, '5')] }, true), 'failed');
  assert.equal(state('h', 5n, { realised: 9n, tried: null, errors: [failure(policy, '6')] }, true), 'realised');
  assert.equal(state('h', 5n, { realised: 9n, tried: null, errors: [failure(workload, '1')] }, true), 'realised');
  assert.equal(
    state('h', 5n, { realised: 9n, tried: null, errors: [failure(workload, '1', 'TOO_LARGE')] }, true),
    'failed',
  );
  const failed = [failure(policy, '4')];
  assert.equal(state('h', 5n, { realised: 3n, tried: 4n, errors: failed }, true), 'pending');
  assert.equal(state('h', 5n, { realised: 3n, tried: 4n, errors: failed }, false), 'away');
  assert.equal(state('h', 5n, { realised: 3n, tried: 5n, errors: failed }, true), 'failed');
  assert.equal(state('h', 4n, { realised: 3n, tried: 4n, errors: failed }, true), 'failed');
});
