// SPDX-License-Identifier: Apache-2.0
/** Hosts' own policies, from heartbeats to both doors. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { subjects } from '@weir/bus';
import { HostFirewallService } from '@weir/proto/weir/inventory/v1/host_firewall_pb.js';
import { createRpcClient } from '@weir/rpc';
import { eventually, type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness({});
  for (const name of ['alpha', 'beta']) await weir.call('POST', '/v1/hosts', { name });
});
after(() => weir.stop());

const DOCUMENT = 'cfg.policy.FirewallPolicy.-.ssh@7';
const event = (sequence: number, act: string, more: object = {}) => ({
  ...{ sequence: BigInt(sequence), timeMs: BigInt(1_700_000_000_000 + sequence), act, by: 'agent', why: 'w' },
  documents: [DOCUMENT],
  ...more,
});

test('what hosts say of their own policies is kept, and their events outlive what hosts remember', async () => {
  const bus = { alpha: await weir.agent('alpha'), beta: await weir.agent('beta') };
  const say = (host: 'alpha' | 'beta', hostFirewall: object): void =>
    bus[host].nc.publish(subjects.hb.build({ host }), subjects.hb.encode({ boot: 1n, hostFirewall }));
  const untilMs = 1_700_000_060_000n;
  say('alpha', {
    ...{ state: 'pending', confirmedBy: 'bus', documents: [DOCUMENT], untilMs },
    events: [event(1, 'applied')],
  });
  say('beta', { state: 'none', confirmedBy: 'operator', events: [event(1, 'opened', { by: 'operator' })] });
  const { items } = await eventually('both hosts', async () => {
    const { body } = await weir.call('GET', '/v1/host-firewalls');
    return body.items.length === 2 ? body : undefined;
  });
  const { changed_at: _, ...alpha } = items[0];
  assert.deepEqual(alpha, {
    ...{ host: 'alpha', state: 'pending', confirmed_by: 'bus', documents: [DOCUMENT], last_good: [], why: null },
    until: new Date(Number(untilMs)).toISOString(),
  });
  assert.equal((await weir.call('GET', '/v1/host-firewalls/beta')).body.state, 'none');
  assert.equal((await weir.call('GET', '/v1/host-firewalls/gamma')).status, 404);

  // Told again, with one that is new, and without the first: nothing is doubled, nothing goes.
  say('alpha', {
    ...{ state: 'undone', confirmedBy: 'bus', lastGood: [DOCUMENT], why: 'the bus was not reached' },
    events: [event(1, 'applied'), event(2, 'undone')],
  });
  say('alpha', {
    ...{ state: 'undone', confirmedBy: 'bus', lastGood: [DOCUMENT], why: 'the bus was not reached' },
    events: [event(2, 'undone')],
  });
  await eventually('it is undone', async () => {
    const { body } = await weir.call('GET', '/v1/host-firewalls/alpha');
    return body.state === 'undone' && body.why === 'the bus was not reached' && body.until === null ? body : undefined;
  });
  const first = (await weir.call('GET', '/v1/host-firewall-events?limit=2')).body;
  const query = `limit=2&cursor=${encodeURIComponent(first.next_cursor)}`;
  const rest = (await weir.call('GET', `/v1/host-firewall-events?${query}`)).body;
  assert.deepEqual(
    [...first.items, ...rest.items].map((one) => [one.host, one.sequence, one.act, one.by]),
    [
      ['alpha', 2, 'undone', 'agent'],
      ['beta', 1, 'opened', 'operator'],
      ['alpha', 1, 'applied', 'agent'],
    ],
  );
  assert.equal(rest.next_cursor, null);
  assert.equal((await weir.call('GET', '/v1/host-firewall-events?host=beta')).body.items.length, 1);

  const client = createRpcClient(HostFirewallService, weir.app.grpc ?? '');
  const { hostFirewall } = await client.getHostFirewall({ host: 'alpha' });
  assert.deepEqual([hostFirewall?.state, hostFirewall?.lastGood], ['undone', [DOCUMENT]]);
  assert.equal((await client.listHostFirewalls({ limit: 1 })).hostFirewalls.length, 1);
  const { events } = await client.listHostFirewallEvents({ host: 'alpha' });
  assert.deepEqual(
    events.map(({ sequence, act }) => [sequence, act]),
    [
      [2n, 'undone'],
      [1n, 'applied'],
    ],
  );
  client.close();
});
