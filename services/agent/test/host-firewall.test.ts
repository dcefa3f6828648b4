// SPDX-License-Identifier: Apache-2.0
/** Commit-confirm of the host's own policy: who confirms, who undoes, and what a restart makes of it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createCompiler, judge } from '@weir/policy-engine';
import { HostFirewallGuard, type HostFirewallOptions } from '../src/host-firewall/guard.ts';
import type { HostFirewallEvent, MachineTime } from '../src/host-firewall/state.ts';
import { type FailsafeFacts, failsafeDocument, parseFailsafe } from '../src/plan/failsafe.ts';
import { bundleOf, type HostPolicyBundle, NO_HOST_POLICY } from '../src/plan/host-policy.ts';
import { HostFirewallReport } from '../src/report/host-firewall.ts';
import { until } from './support/control-plane.ts';

const bundle = (name: string, revision = 1): HostPolicyBundle =>
  bundleOf([{ subject: `cfg.policy.${name}`, revision: String(revision), document: `{"name":"${name}"}`, rules: [] }]);
const OPEN = bundle('open');
const SHUT = bundle('shut');

describe('commit-confirm', () => {
  let dir = '';
  let files = 0;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'weir-host-firewall-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  const make = (change: Partial<HostFirewallOptions> = {}) => {
    const events: HostFirewallEvent[] = [];
    let changes = 0;
    const clock = { boot: 'a', ms: 1_000 };
    const options: HostFirewallOptions = {
      path: join(dir, `${++files}.json`),
      confirm: 'bus',
      confirmMs: 60_000,
      now: (): MachineTime => ({ ...clock }),
      prove: async () => {},
      onChange: () => {
        changes++;
      },
      onEvent: (event) => events.push(event),
      onTrouble: (what, cause) => assert.fail(`${what}: ${cause}`),
      ...change,
    };
    return { options, events, clock, changes: () => changes };
  };
  const apply = async (guard: HostFirewallGuard, current: HostPolicyBundle): Promise<HostPolicyBundle> => {
    const { bundle: chosen } = guard.choose(current);
    await guard.begin(chosen);
    await guard.applied(chosen);
    return chosen;
  };
  it('tells the fleet what is so with every heartbeat, and what happened while it is new and once a minute', async () => {
    const { options } = make();
    const guard = await HostFirewallGuard.open(options);
    let now = 0;
    const report = new HostFirewallReport(guard, () => now);
    assert.deepEqual([report.toTell().state, report.toTell().events], ['none', []]);
    await apply(guard, OPEN);
    await until(() => guard.state.good.digest === OPEN.digest, 'it is confirmed');
    const acts = () => report.toTell().events.map(({ sequence, act }) => `${sequence} ${act}`);
    const both = ['1 applied', '2 confirmed'];
    assert.deepEqual([report.toTell().state, acts(), acts()], ['confirmed', both, both]);
    now = 60_000;
    assert.deepEqual([acts(), acts()], [both, []]);
    await guard.open(30, 'somebody must in');
    const { state, why, untilMs, events } = report.toTell();
    assert.deepEqual(
      [state, why, untilMs - Date.now() > 0, events.at(-1)?.sequence],
      ['open', 'somebody must in', true, 3],
    );
    await guard.stop();
  });

  const never = () => new Promise<void>(() => {});

  it('is confirmed by the bus, and says so', async () => {
    const { options, events } = make();
    const guard = await HostFirewallGuard.open(options);
    assert.equal(await apply(guard, OPEN), OPEN);
    await until(() => guard.state.good.digest === OPEN.digest, 'it is confirmed');
    assert.deepEqual(
      events.map(({ act, by }) => [act, by]),
      [
        ['applied', 'agent'],
        ['confirmed', 'agent'],
      ],
    );
    await guard.stop();
    const again = await HostFirewallGuard.open(options);
    assert.equal(again.status().state, 'confirmed');
    await again.stop();
  });

  it('undoes what is not confirmed, refuses it until it changes, and keeps what was good', async () => {
    const { options, events, changes } = make();
    const first = await HostFirewallGuard.open(options);
    await apply(first, OPEN);
    await until(() => first.state.good.digest === OPEN.digest, 'the first is confirmed');
    await first.stop();
    const prove = async () => {
      throw new Error('connect ECONNREFUSED');
    };
    const guard = await HostFirewallGuard.open({ ...options, confirmMs: 200, prove });
    await apply(guard, SHUT);
    await until(() => changes() > 0, 'it is undone', 60_000);
    assert.equal((await apply(guard, SHUT)).digest, OPEN.digest);
    assert.match(events.at(-1)?.why ?? '', /the bus was not reached after the change/);
    await guard.stop();
    const later = bundle('shut', 2);
    const third = await HostFirewallGuard.open(options);
    assert.equal(await apply(third, later), later);
    await until(() => third.state.good.digest === later.digest, 'a changed document is tried again', 60_000);
    await third.stop();
  });

  it('goes on where a killed agent was: time left is waited for, time over is undone, and a restart of the machine ends it', async () => {
    const { options, clock } = make({ prove: never });
    const killed = await HostFirewallGuard.open(options);
    await apply(killed, SHUT);
    await killed.stop(); // it changes nothing on the disk
    clock.ms += 30_000;
    const second = await HostFirewallGuard.open(options);
    assert.equal(second.choose(SHUT).bundle, SHUT);
    assert.equal(second.status().seconds_left, 30);
    await second.stop();
    const saved = await readFile(options.path);
    clock.ms += 30_000;
    const third = await HostFirewallGuard.open(options);
    assert.equal(third.choose(SHUT).bundle.digest, '');
    await third.stop();
    await writeFile(options.path, saved);
    const rebooted = await HostFirewallGuard.open({ ...options, now: () => ({ boot: 'b', ms: 1 }) });
    assert.equal(rebooted.choose(SHUT).bundle.digest, '');
    await rebooted.stop();
  });

  it('waits for an operator where it is set so, who may also take it back, or open the host for a while', async () => {
    const { options, clock } = make({ confirm: 'operator' });
    const guard = await HostFirewallGuard.open(options);
    await assert.rejects(guard.confirm('why'), /no change of the host firewall waits/);
    await apply(guard, OPEN);
    assert.equal(guard.status().state, 'pending');
    await guard.confirm('looks right');
    assert.equal(guard.state.good.digest, OPEN.digest);
    await apply(guard, SHUT);
    await guard.undo('not what I meant');
    assert.equal(guard.choose(SHUT).bundle.digest, OPEN.digest);
    await guard.open(600, 'the console is all I have');
    assert.equal(guard.choose(OPEN).bundle, NO_HOST_POLICY);
    await guard.stop();
    const again = await HostFirewallGuard.open(options);
    assert.equal(again.choose(OPEN).bundle, NO_HOST_POLICY, 'a restart does not close it early');
    await again.stop();
    clock.ms += 600_000;
    const later = await HostFirewallGuard.open(options);
    assert.equal(later.choose(OPEN).bundle, OPEN, 'nor does it stay open');
    assert.deepEqual(
      later.state.history.map(({ act, by }) => `${act} by ${by}`),
      [
        ...['applied by agent', 'confirmed by operator', 'applied by agent', 'undone by operator'],
        ...['opened by operator', 'closed by agent'],
      ],
    );
    await later.stop();
  });

  it('needs nobody to take the last document away', async () => {
    const { options } = make({ prove: never });
    const guard = await HostFirewallGuard.open(options);
    await apply(guard, SHUT);
    await apply(guard, NO_HOST_POLICY);
    assert.equal(guard.status().state, 'none');
    await guard.stop();
  });
});

describe('failsafe', () => {
  const FACTS: FailsafeFacts = {
    inbound: parseFailsafe('tcp:22, udp:68@10.0.0.0/8'),
    outbound: parseFailsafe('udp:53'),
    control: [{ address: '10.9.0.1', port: 4222 }],
    addresses: ['10.9.0.2'],
    tunnelPorts: [8472],
    healthPort: 4240,
  };

  it('is read, and what is wrong is named', () => {
    assert.deepEqual(parseFailsafe('none'), []);
    for (const text of ['tcp:0', 'tcp:65536', 'ssh', 'icmp:1', 'tcp:22,', 'tcp:22@x'])
      assert.throws(() => parseFailsafe(text), Error, text);
  });

  it('goes before a deny of everybody, whoever has the address', () => {
    const deny = failsafeDocument({ ...FACTS, inbound: [], outbound: [], control: [] });
    const shut = {
      ...deny,
      key: 'FirewallPolicy/-/shut',
      specs: deny.specs.map((spec) => ({
        ...spec,
        priority: 0,
        rules: (['ingress', 'egress'] as const).map((direction) => ({
          ...{ path: `spec.${direction}[0]`, direction, action: 'deny', peers: 'any', l4: 'any' },
        })) as typeof spec.rules,
      })),
    };
    const cidrs = new Map([
      ['10.0.0.0/8', 0x01000001],
      ['10.9.0.1/32', 0x01000002],
    ]);
    const compiled = createCompiler().compile({
      identities: new Map(),
      policies: [failsafeDocument(FACTS), shut].map((doc) => ({ doc, ruleIds: new Map() })),
      cidrs,
      subject: { identity: 1, namedPorts: [], labels: ['reserved:host'] },
    });
    const asks = (
      direction: 'ingress' | 'egress',
      peerIdentity: number,
      protocol: number,
      port: number,
      twin?: number,
    ) =>
      judge(compiled, {
        ...{ direction, peerIdentity, protocol, port },
        ...(twin === undefined ? {} : { peerIpblockIdentity: twin }),
      }).verdict;
    assert.equal(asks('ingress', 9, 6, 22), 'allow');
    assert.equal(asks('ingress', 9, 6, 23), 'deny');
    assert.equal(asks('ingress', 9, 17, 68), 'deny');
    assert.equal(asks('ingress', 0x01000001, 17, 68), 'allow');
    assert.equal(asks('egress', 0x01000002, 6, 4222), 'allow');
    assert.equal(asks('egress', 6, 6, 4222), 'deny');
    assert.equal(asks('egress', 6, 6, 4222, 0x04000002), 'allow', 'the bus of another host of the fleet');
    assert.equal(asks('egress', 9, 17, 53), 'allow');
    assert.equal(asks('ingress', 6, 17, 8472), 'allow');
    assert.equal(asks('ingress', 9, 17, 8472), 'deny');
    assert.equal(asks('egress', 4, 6, 4240), 'allow');
  });
});
