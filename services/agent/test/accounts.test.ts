// SPDX-License-Identifier: Apache-2.0
/** What is lost before it can be an event, counted across agents of one kernel. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import type { EventPump } from '../src/events/pump.ts';
import type { SweepResult } from '../src/platform.ts';
import { Accounts } from '../src/report/accounts.ts';
import { StateFile } from '../src/state-file.ts';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-accounts-'));
});
after(() => rm(dir, { recursive: true, force: true }));

/** A kernel that counts what the test says. */
const kernel = (replaced: readonly string[] = []) => {
  const state = { created: 0n, expired: 0n, entries: 0, lost: 0n, throttled: 0n, mapped: 0n, mappings: 0 };
  const services: { asked: bigint; ended: bigint; kept: bigint; there?: SweepResult['services'] } = {
    ...{ asked: 0n, ended: 0n, kept: 0n },
  };
  return {
    state,
    services,
    replaced,
    counters: async () => ({
      named: {
        ...{ ct_created: state.created, ct_expired: state.expired, nat_created: state.mapped, nat_expired: 3n },
        ...{ service_reverse_created: services.asked, service_reverse_ended: services.ended },
        service_affinity_created: services.kept,
      },
      eventsLost: state.lost,
      eventsThrottled: state.throttled,
    }),
    sweep: async () => ({
      ...{ entries: state.entries, reported: 0, expired: 0, deferred: 0, mappings: state.mappings },
      ...(services.there ? { services: services.there } : {}),
    }),
  };
};
const pump = { nextSeq: 11n } as EventPump;
const evicted = (accounts: Accounts) => accounts.counters.named.ct_evicted;

it('counts what the ring lost and rate limits held back since an agent last told', async () => {
  const file = join(dir, 'lost.json');
  const host = kernel();
  Object.assign(host.state, { lost: 5n, throttled: 7n });
  const first = await Accounts.open(host, await StateFile.open(file), pump);
  assert.deepEqual([first.lostRing, first.lostThrottle, first.taken, first.produced], [5n, 7n, 10n, 22n]);
  await first.told();
  Object.assign(host.state, { lost: 6n, throttled: 9n });
  const second = await Accounts.open(host, await StateFile.open(file), pump);
  assert.deepEqual([second.lostRing, second.lostThrottle], [1n, 2n]);
});

it('counts connections that were evicted: made, not let go, and not there', async () => {
  const file = join(dir, 'evicted.json');
  const host = kernel();
  const accounts = await Accounts.open(host, await StateFile.open(file), pump);
  Object.assign(host.state, { created: 100n, expired: 10n, entries: 80 });
  await accounts.sweep();
  assert.equal(evicted(accounts), 10n);
  // a walk that met the table in motion says less, and is not believed
  Object.assign(host.state, { entries: 85 });
  await accounts.sweep();
  assert.equal(evicted(accounts), 10n);
  const next = await Accounts.open(host, await StateFile.open(file), pump);
  Object.assign(host.state, { entries: 80 });
  await next.sweep();
  assert.equal(evicted(next), 10n);
});

it('a conntrack map that was made anew evicted nothing', async () => {
  const host = kernel(['conntrack']);
  Object.assign(host.state, { created: 100n, expired: 10n });
  const accounts = await Accounts.open(host, await StateFile.open(join(dir, 'anew.json')), pump);
  await accounts.sweep();
  assert.equal(evicted(accounts), 0n);
  Object.assign(host.state, { created: 130n, entries: 28 });
  await accounts.sweep();
  assert.equal(evicted(accounts), 2n);
});

it('counts mappings of the masquerade that were evicted', async () => {
  const host = kernel();
  const accounts = await Accounts.open(host, await StateFile.open(join(dir, 'nat.json')), pump);
  Object.assign(host.state, { mapped: 50n, mappings: 40 });
  await accounts.sweep();
  assert.equal(accounts.counters.named.nat_evicted, 7n);
});

it('counts what was forgotten of sockets and clients since the agent began', async () => {
  const host = kernel();
  const { services } = host;
  const accounts = await Accounts.open(host, await StateFile.open(join(dir, 'services.json')), pump);
  const evictions = async (): Promise<unknown> => {
    await accounts.sweep();
    const { service_sockets_evicted: sockets, service_clients_evicted: clients } = accounts.counters.named;
    return [sockets, clients];
  };
  assert.deepEqual(await evictions(), [0n, 0n]);
  // others were evicted before
  Object.assign(services, { asked: 100n, kept: 50n, there: { sockets: 60, clients: 40, forgotten: 0 } });
  assert.deepEqual(await evictions(), [0n, 0n]);
  Object.assign(services, { asked: 160n, ended: 20n, kept: 70n, there: { sockets: 64, clients: 45, forgotten: 10 } });
  assert.deepEqual(await evictions(), [26n, 15n]);
  // with the last service the maps go, and come empty
  Object.assign(services, { there: undefined });
  assert.deepEqual(await evictions(), [26n, 15n]);
  Object.assign(services, { there: { sockets: 0, clients: 0, forgotten: 10 } });
  assert.deepEqual(await evictions(), [26n, 15n]);
  Object.assign(services, { asked: 170n, there: { sockets: 7, clients: 0, forgotten: 10 } });
  assert.deepEqual(await evictions(), [29n, 15n]);
});
