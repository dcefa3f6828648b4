// SPDX-License-Identifier: Apache-2.0
/** Health checks of backends: what hosts say becomes states, who asks whom, slow starts; on a real bus and database. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Bus, type ConfigWatcher, subjects } from '@weir/bus';
import { createDb, createPool, type Database } from '@weir/db';
import { BackendState, type LoadBalancerService as Document } from '@weir/proto/weir/bus/v1/config_pb.js';
import { LoadBalancerService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { SCHEMA } from '../src/app.ts';
import {
  afterChange,
  afterVerdict,
  type BackendHealth,
  effectiveWeight,
  ramped,
  UNASKED,
} from '../src/domain/backend-health.ts';
import { ABLE, hashOf, wantedProber } from '../src/domain/probers.ts';
import { assignProbers } from '../src/operations/backend-health.ts';
import type { Tables } from '../src/store/tables.ts';
import { type Answer, eventually, type Harness, HOSTS, startHarness } from './harness.ts';

let weir: Harness;
let watcher: ConfigWatcher;
let db: Database<Tables>;
let beating: NodeJS.Timeout;
const agents = new Map<string, Bus>();
/** What hosts say that they can. */
const features = new Map<string, string[]>(HOSTS.map((host) => [host, [ABLE]]));
before(async () => {
  weir = await startHarness();
  watcher = await weir.follow();
  db = createDb<Tables>({ url: weir.database.url, schema: SCHEMA });
  for (const [i, name] of HOSTS.entries()) {
    await weir.call('POST', '/v1/hosts', { name, underlay_ip4: `192.0.2.${i + 1}` });
    agents.set(name, await weir.agent(name));
  }
  beating = setInterval(() => {
    for (const [host, words] of features) beat(host, words);
  }, 1_000);
});
after(async () => {
  clearInterval(beating);
  await db.close();
  await watcher.stop();
  await weir.stop();
});

const good = (answer: Answer): Answer['body'] => {
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};
const beat = (host: string, words: string[]): void => {
  const bytes = subjects.hb.encode({ boot: 1n, timeMs: BigInt(Date.now()), features: words });
  agents.get(host)?.nc.publish(subjects.hb.build({ host }), bytes);
};
const heard = (host: string) =>
  eventually(`${host} is alive`, async () => {
    const { body } = await weir.call('GET', `/v1/hosts/${host}`);
    return body.state === 'alive' || undefined;
  });
interface Backend {
  readonly number: number;
  readonly address: string;
  readonly state: string;
  readonly reason: string;
  readonly health: string | null;
  readonly prober: string | null;
  readonly since: string;
  readonly weight: number;
  readonly effective_weight: number;
}
const CHECK = { kind: 'tcp', period_ms: 200, timeout_ms: 100 };
const service = (port: number, backends: readonly object[], health_check: object | null = CHECK) => ({
  frontends: [{ type: 'none', address: '203.0.113.7', port }],
  backends,
  algorithm: 'maglev',
  ...(health_check ? { health_check } : {}),
});
const put = async (id: string, body: object): Promise<{ number: number; revision: number; backends: Backend[] }> =>
  good(await weir.call('PUT', `/v1/services/${id}`, body));
const show = async (id: string): Promise<Backend[]> => good(await weir.call('GET', `/v1/services/${id}`)).backends;
const settled = (id: string, what: string, fits: (all: Backend[]) => unknown): Promise<Backend[]> =>
  eventually(what, async () => {
    const all = await show(id);
    return fits(all) ? all : undefined;
  });
let sequence = 0n;
const tell = (host: string, service: number, backend: number, healthy: boolean, more: object = {}): void => {
  sequence += 1n;
  const verdict = { service, backend, healthy, sequence, reason: healthy ? '' : 'ECONNREFUSED', ...more };
  const bytes = subjects.check.encode({ boot: 5n, verdicts: [verdict] });
  agents.get(host)?.nc.publish(subjects.check.build({ host }), bytes);
};
const documentOf = (id: string): Document | undefined => {
  const body = watcher.get(subjects.cfgService.build({ key: id }))?.document.body;
  return body?.case === 'service' ? body.value : undefined;
};

const HEALTHY: BackendHealth = {
  ...UNASKED,
  ...{ state: 'active', weight: 100, reason: '', since: new Date(0), prober: 'h1', verdict: '' },
};
const AT = { at: new Date(1_000), slowStartMs: 0 };
const told = (healthy: boolean, sequence: bigint, reason = 'no answer') => ({ boot: 1n, sequence, healthy, reason });

test('a verdict moves a backend between active and quarantined, and nowhere else', () => {
  const dead = afterVerdict(HEALTHY, told(false, 1n), AT);
  assert.deepEqual(
    [dead.state, dead.reason, dead.since, dead.by_check],
    ['quarantined', 'health check: no answer', AT.at, true],
  );
  const back = afterVerdict(dead, told(true, 2n), AT);
  assert.deepEqual([back.state, back.reason, back.by_check], ['active', '', false]);
  assert.equal(afterVerdict(back, told(false, 2n), AT), back, 'said before');
  assert.equal(afterVerdict({ ...back, prober: null }, told(false, 3n), AT).state, 'active', 'nobody is asked');
  for (const state of ['terminating', 'terminating-not-serving', 'maintenance'] as const) {
    const other = afterVerdict({ ...HEALTHY, state }, told(false, 1n), AT);
    assert.deepEqual([other.state, other.verdict, other.since], [state, 'unhealthy', HEALTHY.since]);
  }
  const held = afterChange(HEALTHY, { state: 'quarantined', reason: 'by me' }, AT);
  assert.deepEqual(afterVerdict(held, told(true, 1n), AT).state, 'quarantined', 'somebody else set it');
  const wished = afterChange(dead, { state: 'active' }, AT);
  assert.deepEqual([wished.state, wished.by_check], ['quarantined', true], 'its check still fails');
  const down = afterVerdict({ ...HEALTHY, state: 'maintenance' }, told(false, 1n), AT);
  assert.deepEqual(afterChange(down, { state: 'active' }, AT).state, 'quarantined');
});

test('one that came back gets its weight little by little', () => {
  const moment = (ms: number) => ({ at: new Date(ms), slowStartMs: 10_000 });
  const dead = afterVerdict(HEALTHY, told(false, 1n), moment(0));
  assert.equal(dead.share, 10);
  let one = afterVerdict(dead, told(true, 2n), moment(0));
  const weights: number[] = [];
  for (let ms = 0; ms <= 10_000; ms += 1_000) {
    one = ramped(one, moment(ms));
    weights.push(effectiveWeight(one));
  }
  assert.deepEqual(weights, [10, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  assert.deepEqual([one.slow_since, one.weight], [null, 100]);
  const again = afterVerdict(ramped(afterVerdict(dead, told(true, 2n), moment(0)), moment(5_000)), told(false, 3n), AT);
  assert.deepEqual([again.share, again.slow_since], [10, null], 'whoever fails meanwhile begins anew');
  assert.equal(effectiveWeight({ weight: 1, share: 1 }), 1, 'never nothing');
});

test('who asks a backend stays until he can not; those of a silent host are spread over all others', () => {
  const hosts = Array.from({ length: 100 }, (_, i) => `h${i}`);
  const crew = (alive: readonly string[], mayStay: readonly string[] = alive) => ({
    ...{ alive, isAlive: new Set(alive), mayStay: new Set(mayStay) },
  });
  const static10k = Array.from({ length: 10_000 }, (_, i) => hashOf(`198.51.100.${i} 80 TCP`));
  const first = static10k.map((hash) => wantedProber({ host_id: null, prober: '' }, hash, crew(hosts)));
  const most = Math.max(...hosts.map((host) => first.filter((one) => one === host).length));
  assert.ok(most < 200, `one of 100 hosts asks ${most} of 10,000`);
  const left = hosts.slice(1);
  const second = static10k.map((hash, i) => wantedProber({ host_id: null, prober: first[i] ?? '' }, hash, crew(left)));
  assert.ok(
    second.every((one, i) => one === first[i] || first[i] === 'h0'),
    'nobody else moves',
  );
  assert.ok(new Set(second.filter((_, i) => first[i] === 'h0')).size > 30);
  const own = { host_id: 'h0', prober: 'h7' };
  assert.equal(wantedProber(own, 1, crew(hosts)), 'h0');
  assert.equal(wantedProber(own, 1, crew(left)), 'h7');
  assert.equal(wantedProber({ host_id: 'h0', prober: 'h0' }, 1, crew(left, hosts)), 'h0');
  assert.equal(wantedProber({ host_id: null, prober: '' }, 1, crew([])), '');
});

test('a dead backend leaves the document, with reason and since, and comes back; a restart changes nothing', async () => {
  for (const host of HOSTS) await heard(host);
  // At beta, by its address; and outside of the fleet.
  const backends = [
    { address: '192.0.2.2', port: 8080 },
    { address: '198.51.100.9', port: 8080 },
  ];
  const made = await put('shop.web', service(80, backends));
  assert.deepEqual([made.backends[0]?.prober, made.backends[0]?.health], ['beta', 'unknown']);
  const [local, far] = await settled('shop.web', 'all have a prober', (all) => all.every(({ prober }) => prober));
  assert.ok(local && far);
  await eventually(
    'the document names them',
    () =>
      isDeepStrictEqual(
        documentOf('shop.web')?.backends.map(({ prober }) => prober),
        [local.prober, far.prober],
      ) || undefined,
  );

  // Not his to say: another host, and in another's name.
  tell('alpha', made.number, local.number, false);
  const { number } = made;
  agents
    .get('alpha')
    ?.nc.publish(
      subjects.check.build({ host: 'beta' }),
      subjects.check.encode({ boot: 9n, verdicts: [{ service: number, backend: local.number, sequence: 9n }] }),
    );
  await agents.get('alpha')?.nc.flush();
  tell('beta', made.number, local.number, true);
  await settled('shop.web', 'it is healthy', ([one]) => one?.health === 'healthy');
  const { revision } = good(await weir.call('GET', '/v1/services/shop.web'));
  tell('beta', made.number, local.number, true);

  tell('beta', made.number, local.number, false);
  const [dead] = await settled('shop.web', 'it is quarantined', ([one]) => one?.state === 'quarantined');
  assert.deepEqual([dead?.reason, dead?.health], ['health check: ECONNREFUSED', 'unhealthy']);
  assert.ok(new Date(dead?.since ?? 0) > new Date(local.since));
  await eventually(
    'the document',
    () => documentOf('shop.web')?.backends[0]?.state === BackendState.QUARANTINED || undefined,
  );
  const after = good(await weir.call('GET', '/v1/services/shop.web'));
  assert.equal(after.revision, revision + 1, 'what is healthy is told to nobody');

  const patch = (body: object) => weir.call('PATCH', `/v1/services/shop.web/backends/${local.number}`, body);
  assert.equal(good(await patch({ state: 'active' })).backends[0].state, 'quarantined', 'its check fails');
  assert.equal((await put('shop.web', service(80, backends))).backends[0]?.state, 'quarantined', 'kept by a PUT');
  await weir.restart();
  assert.deepEqual((await show('shop.web'))[0], dead);
  const client = createRpcClient(LoadBalancerService, weir.app.grpc ?? '');
  const { service: shown } = await client.getService({ id: 'shop.web' });
  client.close();
  const one = shown?.backends[0];
  assert.deepEqual(
    [one?.state, one?.health, one?.prober, one?.effectiveWeight],
    ['quarantined', 'unhealthy', 'beta', 100],
  );
  assert.equal(Number(one?.since?.seconds), Math.floor(new Date(dead?.since ?? 0).getTime() / 1000));

  tell('beta', made.number, local.number, true);
  await settled('shop.web', 'it is back', ([back]) => back?.state === 'active' && back.reason === '');
  // Without a check nobody is asked, and nobody is held by it.
  tell('beta', made.number, local.number, false);
  await settled('shop.web', 'it is dead again', ([back]) => back?.state === 'quarantined');
  const free = await put('shop.web', service(80, backends, null));
  assert.deepEqual(
    free.backends.map(({ state, health, prober }) => [state, health, prober]),
    [
      ['active', null, null],
      ['active', null, null],
    ],
  );
});

test('a silent host decides nothing: another one asks instead, until it is back; nobody believes what it said late', async () => {
  // A service that has just begun takes nobody's place itself.
  await weir.restart();
  for (const host of HOSTS) await heard(host);
  const made = await put('shop.silent', service(81, [{ address: '192.0.2.3', port: 8080 }]));
  const backend = made.backends[0];
  assert.ok(backend);
  assert.equal(backend.prober, 'gamma');
  const pool = createPool({ url: weir.database.url });
  // Heartbeats on their way are older than what is set.
  const silence = (stale: boolean) =>
    pool.query(
      `update ${SCHEMA}.host_status set stale = $1, last_seen_at = now() + $2 * interval '1 h' where host_id = 'gamma'`,
      [stale, stale ? 1 : 0],
    );
  await silence(true);
  assert.equal(await assignProbers(db, { takeOver: false }), 0, 'perhaps it is us who hear nothing');
  assert.equal(await assignProbers(db, { takeOver: true }), 1);
  const [stood] = await show('shop.silent');
  assert.ok(stood?.prober === 'alpha' || stood?.prober === 'beta', stood?.prober ?? '');
  assert.deepEqual([stood?.state, stood?.health], ['active', 'unknown'], 'silence is no verdict');
  tell('gamma', made.number, backend.number, false);
  tell(stood?.prober ?? '', made.number, backend.number, true);
  await settled('shop.silent', 'the stand-in says that it is well', ([one]) => one?.health === 'healthy');
  tell(stood?.prober ?? '', made.number, backend.number, false);
  await settled('shop.silent', 'the stand-in says that it is dead', ([one]) => one?.state === 'quarantined');
  await silence(false);
  await pool.end();
  const [back] = await settled('shop.silent', 'its own host asks again', ([one]) => one?.prober === 'gamma');
  assert.equal(back?.state, 'quarantined', 'until it says otherwise');
  tell('gamma', made.number, backend.number, true);
  await settled('shop.silent', 'it is back', ([one]) => one?.state === 'active');
  // An agent that can't ask does not.
  features.set('gamma', []);
  await settled('shop.silent', 'an older agent', ([one]) => one?.prober !== 'gamma' && one?.prober !== null);
  features.set('gamma', [ABLE]);
  await settled('shop.silent', 'it can again', ([one]) => one?.prober === 'gamma');
  const far = await put('shop.far', service(83, [{ address: '198.51.100.10', port: 80 }]));
  assert.equal(far.backends[0]?.prober, null, 'nobody has it: somebody is found soon');
  const [asked] = await settled('shop.far', 'a prober', ([one]) => one?.prober);
  features.delete(asked?.prober ?? '');
  assert.equal((await weir.call('DELETE', `/v1/hosts/${asked?.prober}`)).status, 204);
  await settled('shop.far', 'another prober', ([one]) => one?.prober && one.prober !== asked?.prober);
});

test('a slow start is in the document, step by step', async () => {
  const [host = ''] = features.keys();
  const address = `192.0.2.${(HOSTS as readonly string[]).indexOf(host) + 1}`;
  const check = { ...CHECK, slow_start_ms: 1_200 };
  const made = await put('shop.slow', service(82, [{ address, port: 8082, weight: 50 }], check));
  const backend = made.backends[0]?.number ?? 0;
  tell(host, made.number, backend, false);
  await settled('shop.slow', 'dead', ([one]) => one?.state === 'quarantined');
  tell(host, made.number, backend, true);
  const seen: number[] = [];
  await eventually('all of its weight', () => {
    const one = documentOf('shop.slow')?.backends[0];
    if (one?.state === BackendState.ACTIVE && seen.at(-1) !== one.weight) seen.push(one.weight);
    return (seen.length > 1 && one?.weight === 50) || undefined;
  });
  // What was there before it failed is seen first, perhaps.
  const ramp = seen[0] === 50 ? seen.slice(1) : seen;
  assert.equal(ramp[0], 5, seen.join());
  assert.deepEqual(
    ramp,
    [...ramp].sort((a, b) => a - b),
  );
  const [whole] = await show('shop.slow');
  assert.deepEqual([whole?.weight, whole?.effective_weight], [50, 50]);
});
