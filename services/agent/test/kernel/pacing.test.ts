// SPDX-License-Identifier: Apache-2.0
/**
 * Egress limits with real packets: by fq on the uplink where the kernel has it, else by a token bucket; whichever it is, what
 * somebody configured on the uplink stays.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import type { ConfigEntry } from '@weir/bus';
import { type BpfObject, createMap, createNetns, deleteNetns, MAP_TYPE } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { Routing } from '@weir/proto/weir/bus/v1/config_pb.js';
import { kernelPacing } from '../../src/apply/kernel/pacing.ts';
import { identityEntry, networkEntry, workloadEntry } from '../support/entries.ts';
import { inside, type Joined, type JoinedHost, joinHosts, netnsPath, STEP_MS } from '../support/joined-hosts.ts';
import { leftovers, type Resident } from '../support/netns.ts';

const WEB = { id: 'prod.web1', ip4: '10.91.0.2', ip6: 'fd91::2', identity: 1001 };
/** Another host's. */
const FAR = { id: 'prod.far1', ip4: '10.92.0.2', ip6: 'fd92::2', identity: 1002 };
const SERVER = { ip4: '203.0.113.10', ip6: '2001:db8:200::10' } as const;
const PORT = 7000;
const BITS = 8n;
/** A datagram of one byte, as the limit counts it. */
const DATAGRAM_BYTES = { ip4: 29, ip6: 49 } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
const BURST = 40;
/** What it takes at its limit; 500 may wait. */
const WAIT_MS = 300;
const PATIENT_MS = 5_000;

describe('egress limits', { skip: needKernel(), timeout: 300_000 }, () => {
  let net: Joined;
  let [h1, h2] = [] as unknown as [JoinedHost, JoinedHost];
  let hasFq = false;
  let network = networkEntry({});
  let firstPort = 20_000;
  const client = (): Resident => h1.workloads[0]?.resident as Resident;
  const limitTo = (bytesPerSecond: number): Promise<void> => h1.tell(webWith(BigInt(bytesPerSecond) * BITS));
  const webWith = (egressBitsPerSecond: bigint): ConfigEntry =>
    workloadEntry(WEB.id, WEB.identity, { ...WEB, host: 'h1', netns: netnsPath(WEB.id), egressBitsPerSecond });
  const tc = (...words: string[]): string => inside('h1', 'tc', ...words);
  const qdisc = (): string => tc('-s', 'qdisc', 'show', 'dev', 'uplink0').replaceAll(/\s+/g, ' ');
  const undo = (): string => tc('qdisc', 'del', 'dev', 'uplink0', 'root');
  const state = () => h1.egressLimiter;
  const everything = (): ConfigEntry[] => [
    ...[WEB, FAR].map(({ id, identity }) => identityEntry(identity, `k8s:app=${id}`)),
    ...[h1.document, h2.document, webWith(0n)],
    ...h2.workloads.map(({ document }) => document),
    network,
  ];
  const join = async (routing: Routing): Promise<void> => {
    network = networkEntry({ routing });
    for (const host of [h1, h2]) await host.tell(network);
    for (const host of [h1, h2, h1, h2]) {
      host.nowMs += STEP_MS;
      await host.pass();
    }
  };
  /** How many of a burst of datagrams are answered, and how long that takes. */
  const burst = async (host: string, timeoutMs = PATIENT_MS) => {
    firstPort += BURST;
    const request = { op: 'burst', host, port: PORT, first: firstPort, count: BURST, timeoutMs } as const;
    const startedMs = performance.now();
    const answers = JSON.parse(await client().ask(request)) as string[];
    const ms = Math.round(performance.now() - startedMs);
    return { came: answers.filter((answer) => answer !== 'timeout').length, ms };
  };

  /** Not skipped: `npm run test:vm` has it. */
  const isWithoutFq = (t: TestContext): boolean => {
    if (!hasFq) t.diagnostic('this kernel has no sch_fq: tried in a guest (e2e/vm, suite agent)');
    return !hasFq;
  };

  before(async () => {
    net = await joinHosts([[WEB], [FAR], []], { world: [`${SERVER.ip4}/24`, `${SERVER.ip6}/64`] });
    [h1, h2] = net.hosts;
    // The router knows hosts only; natively it is told where the workload is.
    inside('router', 'ip', 'route', 'add', '10.91.0.0/24', 'via', h1.underlay4);
    inside('router', 'ip', 'route', 'add', 'fd91::/64', 'via', h1.underlay6);
    await net.world?.ask({ op: 'serve', port: PORT });
    await h1.start(everything());
    await h2.start(everything());
    await h2.workloads[0]?.resident.ask({ op: 'serve', port: PORT });
    try {
      inside('router', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'fq');
      hasFq = true;
    } catch {
      // The kernel has no such module.
    }
  });
  afterEach(() => limitTo(0));
  after(async () => {
    for (const host of [h1, h2]) await host?.stop();
    await net?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  it('it is said by what limits hold, and why; without a limit there is nothing on the uplink', async () => {
    assert.equal(state().kind, '');
    assert.match(qdisc(), /^qdisc noqueue 0: root/);
    await limitTo(1_000_000);
    if (hasFq) {
      assert.deepEqual(state(), { kind: 'edt', reason: 'fq on uplink0' });
      assert.match(qdisc(), /^qdisc fq 5745: root/);
    } else {
      assert.deepEqual(state(), { kind: 'token-bucket', reason: 'this kernel has no sch_fq' });
      assert.match(qdisc(), /^qdisc noqueue 0: root/);
    }
    await limitTo(0);
    assert.match(qdisc(), /^qdisc noqueue 0: root/);
  });

  it('TCP gets its rate and no more', async (t) => {
    const bytesPerSecond = 500_000;
    const bytes = 1 << 20;
    await limitTo(bytesPerSecond);
    const drops = await h1.dropped('DROP_EDT_HORIZON', 'egress');
    const answer = await client().ask({ op: 'transfer', host: SERVER.ip4, port: PORT, bytes });
    const [came, ms] = answer.split(' ').map(Number);
    assert.equal(came, bytes, answer);
    const rate = bytes / ((ms ?? 0) / 1000);
    t.diagnostic(
      `${state().kind}: ${Math.round(rate)} of ${bytesPerSecond} bytes per second, ` +
        `${(await h1.dropped('DROP_EDT_HORIZON', 'egress')) - drops} dropped, ${await h1.counter('paced')} waited; ${qdisc()}`,
    );
    // Paced, nothing goes ahead of its time but the first GSO packet; in a bucket also what 50 ms allow.
    const ahead = 65_536 + bytesPerSecond / 20;
    assert.ok(bytes <= ((ms ?? 0) / 1000) * bytesPerSecond + ahead, `${bytes} bytes in ${ms} ms`);
    assert.ok(!hasFq || rate > bytesPerSecond / 2, `${rate} bytes per second`);
  });

  for (const routing of [Routing.NATIVE, Routing.TUNNEL]) {
    it(`${Routing[routing]}: a burst below the horizon waits, and all of it arrives; beyond it some is dropped`, async (t) => {
      if (isWithoutFq(t)) return;
      await join(routing);
      for (const family of FAMILIES) {
        const to = routing === Routing.TUNNEL ? FAR[family] : SERVER[family];
        // ARP and the like: nothing of it is measured
        assert.equal((await burst(to)).came, BURST);
        const bytes = DATAGRAM_BYTES[family] * BURST;
        await limitTo(Math.round((bytes * 1000) / WAIT_MS));
        const [drops, paced] = [await h1.dropped('DROP_EDT_HORIZON', 'egress'), await h1.counter('paced')];
        const { came, ms } = await burst(to);
        const dropped = (await h1.dropped('DROP_EDT_HORIZON', 'egress')) - drops;
        t.diagnostic(`${family} by ${state().kind}: ${came} of ${BURST} arrived in ${ms} ms, ${dropped} dropped`);
        assert.equal(came + dropped, BURST);
        assert.equal(dropped, 0);
        assert.ok((await h1.counter('paced')) > paced);
        assert.match(qdisc(), /dropped 0,/);
        // The last one has waited for all others. That it comes late, only fq can have done.
        assert.ok(ms > WAIT_MS * ((BURST - 1) / BURST), `${ms} ms`);
        await limitTo(Math.round(bytes / 2));
        const beyond = await burst(to, 1_000);
        assert.ok(beyond.came < BURST, `${beyond.came} arrived of what takes two seconds`);
        await limitTo(0);
      }
    });
  }

  it('fq that was taken away is put back', async (t) => {
    if (isWithoutFq(t)) return;
    await limitTo(1_000_000);
    undo();
    assert.deepEqual(await h1.host.inspect(), ['the qdisc fq of uplink0 was removed']);
    assert.match(qdisc(), /^qdisc fq 5745: root/);
    assert.deepEqual(await h1.host.inspect(), []);
  });

  it("somebody's qdisc stays, limits hold by a token bucket, and it is said", async () => {
    const TBF = ['tbf', 'rate', '1gbit', 'burst', '1mb', 'latency', '50ms'];
    for (const when of ['before', 'meanwhile']) {
      if (when === 'meanwhile') await limitTo(1_000_000);
      tc('qdisc', 'replace', 'dev', 'uplink0', 'root', ...TBF);
      if (when === 'before') await limitTo(1_000_000);
      else assert.deepEqual(await h1.host.inspect(), []);
      assert.deepEqual(state(), {
        kind: 'token-bucket',
        reason: 'the qdisc tbf of uplink0 was configured by somebody',
      });
      assert.ok((await burst(SERVER.ip4, 500)).came > 0);
      await limitTo(0);
      assert.match(qdisc(), /^qdisc tbf \w+: root/);
      undo();
    }
  });

  it("somebody's fq serves, and stays", async (t) => {
    if (isWithoutFq(t)) return;
    tc('qdisc', 'replace', 'dev', 'uplink0', 'root', 'handle', '7:', 'fq');
    await limitTo(1_000_000);
    assert.equal(state().kind, 'edt');
    await limitTo(0);
    assert.match(qdisc(), /^qdisc fq 7: root/);
    undo();
  });

  it('an agent that has no limits any more takes away what an earlier one left', async () => {
    await limitTo(1_000_000);
    await h1.stop();
    await h1.start(everything());
    assert.equal(state().kind, '');
    assert.match(qdisc(), /^qdisc noqueue 0: root/);
  });

  it('an interface of several queues has one fq for each, below mq', async (t) => {
    if (isWithoutFq(t)) return;
    const netns = netnsPath('queues');
    await createNetns(netns);
    try {
      inside('queues', 'ip', 'link', 'add', 'eth9', 'numtxqueues', '2', 'type', 'ifb');
      inside('queues', 'ip', 'link', 'set', 'eth9', 'up');
      const show = () => inside('queues', 'tc', 'qdisc', 'show', 'dev', 'eth9').trim().split('\n');
      const byItself = show();
      assert.match(byItself[0] ?? '', /^qdisc mq 0: root/);
      const map = await createMap({ type: MAP_TYPE.ARRAY, name: 'pacing', keySize: 4, valueSize: 4, maxEntries: 1 });
      const pacing = kernelPacing({ map: () => map } as unknown as BpfObject, { uplink: 'eth9', hostNetns: netns });
      await pacing.sync(true);
      assert.deepEqual(pacing.state, { kind: 'edt', reason: 'fq on eth9' });
      assert.deepEqual(
        show().map((line) => line.split(' ').slice(1, 2).join()),
        ['mq', 'fq', 'fq'],
      );
      assert.equal(map.lookup(Buffer.alloc(4))?.readUInt32LE(0), 1);
      assert.deepEqual(await pacing.inspect(), []);
      await pacing.sync(false);
      assert.deepEqual(show(), byItself);
      assert.equal(map.lookup(Buffer.alloc(4))?.readUInt32LE(0), 0);
    } finally {
      await deleteNetns(netns);
    }
  });
});
