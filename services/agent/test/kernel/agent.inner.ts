// SPDX-License-Identifier: Apache-2.0
/** Started by agent.test.ts inside the namespace that is the host here: bus, control plane and agent are all in it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { cgroup2Mount, createNetns, deleteNetns, netnsId, ping } from '@weir/loader';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { AgentProcess, askLocal } from '../support/agent-process.ts';
import { held, renewFolder } from '../support/cgroups.ts';
import { allowOnly, ControlPlane, until } from '../support/control-plane.ts';
import { makeCgroup, Resident } from '../support/netns.ts';
import { runtimePolicy } from './agent-runtime.ts';

const PATIENT_MS = 10_000; // for what is let through: longer than a machine stands still
const NAMES = ['web', 'db', 'evil'];
const IDS = NAMES.map((name) => `prod.${name}`);
const netnsOf = (id: string): string => `/run/netns/weir-agent-${process.pid}-${id}`;
const ip4 = (id: string): string => `10.1.0.${2 + IDS.indexOf(id)}`;
const ip6 = (id: string): string => `fd00:1::${2 + IDS.indexOf(id)}`;

describe('inside', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-agent-'));
  const bpffs = process.env.WEIR_TEST_BPFFS as string;
  const socket = join(dir, 'a.sock');
  const healthNetns = netnsOf('health');
  const inside: Record<string, Resident> = {};
  let plane: ControlPlane;
  let agent: AgentProcess;

  const env = (more: Record<string, string> = {}): Record<string, string> => ({
    WEIR_AGENT_HOST: 'h1',
    WEIR_AGENT_NATS_URL: plane.nats.url,
    WEIR_TRUSTED_SIGNERS: plane.trustedSigners.join(),
    WEIR_AGENT_STATE_DIR: join(dir, 'state'),
    WEIR_AGENT_BPFFS_DIR: bpffs,
    WEIR_AGENT_UPLINK: 'uplink0',
    WEIR_AGENT_HEALTH_NETNS: healthNetns,
    WEIR_AGENT_SOCKET: socket,
    WEIR_AGENT_METRICS_PORT: '0',
    ...{ WEIR_AGENT_MAX_CONNTRACK: '4096', WEIR_AGENT_RING_BYTES: '262144' },
    ...more,
  });
  const start = async (more?: Record<string, string>): Promise<void> => {
    agent = new AgentProcess(env(more));
    await agent.ready;
  };
  const resident = (id: string): Resident => inside[id] as Resident;
  const tcp = (from: string, to: string, timeoutMs = 400): Promise<string> =>
    resident(from).ask({ op: 'tcp', host: Math.random() < 0.5 ? ip4(to) : ip6(to), port: 80, timeoutMs });

  before(async () => {
    plane = await ControlPlane.start();
    await plane.host('h1', 1);
    for (const [i, id] of IDS.entries()) {
      await createNetns(netnsOf(id));
      inside[id] = new Resident(netnsOf(id));
      await resident(id).ask({ op: 'listen', port: 80 });
      await plane.identity(1001 + i, `k8s:app=${NAMES[i]}`, 'k8s:io.kubernetes.pod.namespace=prod');
      await plane.workload(id, 'h1', 1001 + i, ip4(id), { ip6: ip6(id), netns: netnsOf(id) });
    }
    await plane.policy(allowOnly('db', 'db', 'web'));
    await start();
  });

  after(async () => {
    await agent.stop('SIGKILL');
    const { code } = await new AgentProcess(env(), '--cleanup').exited;
    assert.equal(code, 0);
    assert.ok(!existsSync(bpffs));
    assert.ok(!existsSync(healthNetns));
    assert.equal(execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).includes(' wr'), false);
    await plane.stop();
    for (const id of IDS) await inside[id]?.stop();
    for (const id of IDS) await deleteNetns(netnsOf(id));
    rmSync(dir, { recursive: true, force: true });
  });

  it('connects, enforces, acknowledges', async () => {
    const { workloads, errors } = await plane.realised('h1');
    assert.deepEqual(errors, []);
    assert.deepEqual(
      workloads.map(({ id, state, message }) => [id, state, message]).sort(),
      IDS.map((id) => [id, 'ready', '']).sort(),
    );
    assert.equal(await tcp('prod.web', 'prod.db', PATIENT_MS), 'ok');
    assert.equal(await tcp('prod.evil', 'prod.db'), 'timeout');
    assert.equal(await tcp('prod.evil', 'prod.web', PATIENT_MS), 'ok');
  });

  it('knows its own process', async () => {
    let own = '';
    for (const end = Date.now() + 60_000; !own.includes('"arguments"') && Date.now() < end; )
      own = (await askLocal(socket, `/processes/${agent.child.pid}`)).body;
    assert.match(JSON.parse(own).arguments?.[1] ?? '', /src\/main\.ts$/);
  });

  it('tells the bus what it saw, with identities, rule and drop reason', async () => {
    const flows = () => plane.flows.flatMap(({ bytes }) => fromBinary(FlowBatchSchema, bytes).flows);
    const dropped = await until(() => flows().find(({ dropReason }) => dropReason === 133), 'a dropped flow');
    assert.equal(dropped.sourceIdentity, 1003);
    assert.equal(dropped.destinationIdentity, 1002);
    assert.notEqual(dropped.ruleId, 0, 'the default denial is a rule too');
    const forwarded = await until(
      () => flows().find((flow) => flow.verdict === 1 && flow.destinationIdentity === 1002),
      'a forwarded flow',
    );
    assert.equal(forwarded.sourceIdentity, 1001);
    assert.equal(forwarded.destinationPort, 80);
  });

  it('tells what audited and staged policies would do, and does only what is enforced', async () => {
    const flows = () => plane.flows.flatMap(({ bytes }) => fromBinary(FlowBatchSchema, bytes).flows);
    const inMode = (mode: string, name: string, to: string) => {
      const { metadata, ...document } = allowOnly(name, to, 'web');
      return { ...document, metadata: { ...metadata, annotations: { 'weir.io/mode': mode } } };
    };
    await plane.policy(inMode('audit', 'evil', 'evil'));
    await plane.policy(inMode('staged', 'web', 'web'));
    assert.deepEqual((await plane.realised('h1')).errors, []);
    assert.equal(await tcp('prod.db', 'prod.evil', PATIENT_MS), 'ok');
    const audited = await until(
      () => flows().find(({ verdict, destinationIdentity }) => verdict === 4 && destinationIdentity === 1003),
      'a flow that an audited policy would have refused',
    );
    assert.notEqual(audited.ruleId, 0, 'the default denial that would have');
    assert.equal(audited.dropReason, 0);
    assert.equal(await tcp('prod.evil', 'prod.web', PATIENT_MS), 'ok');
    const pending = await until(
      () => flows().find((flow) => flow.pendingVerdict === 2 && flow.destinationIdentity === 1001),
      'a flow that a staged policy would refuse',
    );
    assert.equal(pending.verdict, 1);
    assert.notEqual(pending.pendingRuleId, 0);
    for (const name of ['evil', 'web']) await plane.remove('policy', `NetworkPolicy/prod/${name}`);
    await plane.realised('h1');
    assert.equal(await tcp('prod.db', 'prod.evil', PATIENT_MS), 'ok');
  });

  it('answers on its socket, which only root may open', async () => {
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    const get = async (path: string) => JSON.parse((await askLocal(socket, path)).body);
    assert.equal((await get('/status')).workloads.ready, 3);
    assert.equal((await get('/workloads')).items.length, 3);
    const { entries } = await get('/policy/prod.db');
    assert.ok(
      entries.some(
        (entry: { identity: number; verdict: string }) => entry.identity === 1001 && entry.verdict === 'allow',
      ),
    );
    assert.ok((await get('/ipcache?limit=3')).items.length === 3);
    assert.ok((await get('/conntrack?limit=5')).items.length > 0);
    assert.match((await askLocal(socket, '/metrics')).body, /weir_agent_workloads\{[^}]*state="ready"[^}]*\} 3/);
    assert.equal((await askLocal(socket, '/policy/none')).status, 404);
    assert.equal((await askLocal(socket, '/conntrack?limit=0')).status, 422);
    assert.equal((await askLocal(socket, '/nonsense')).status, 404);
  });

  it('does with uplinks what the network asks for, a kill between, and nothing when it asks no more', async () => {
    const get = async (path: string) => JSON.parse((await askLocal(socket, path)).body);
    assert.deepEqual((await get('/status')).uplinks, []);
    assert.equal((await get('/nat')).masquerading, false);
    await plane.put('network', 'fleet', {
      case: 'network',
      value: { masquerade: { ipv4: true, ipv6: true }, vlanBypass: [100] },
    });
    await plane.put('prefilter', 'bad', { case: 'prefilter', value: { name: 'bad', cidrs: ['192.0.2.0/24'] } });
    assert.deepEqual((await plane.realised('h1')).errors, []);
    const check = async (): Promise<void> => {
      const nat = await get('/nat');
      assert.equal(nat.masquerading, true);
      assert.equal(nat.ports, '49152-65535');
      assert.deepEqual(
        nat.interfaces.map(({ ifname, ip4, ip6 }: Record<string, string>) => [ifname, ip4, ip6]),
        [['uplink0', '198.18.250.1', 'fd18:250::1']],
      );
      const prefilter = await get('/prefilter');
      assert.deepEqual(prefilter.cidrs, ['192.0.2.0/24']);
      assert.equal(Number(prefilter.revision), 1);
    };
    await check();
    await agent.stop('SIGKILL');
    await start();
    await plane.identity(1001, 'k8s:app=web', 'k8s:io.kubernetes.pod.namespace=prod');
    await plane.realised('h1');
    await check();
    await plane.remove('network', 'fleet');
    await plane.remove('prefilter', 'bad');
    assert.deepEqual((await plane.realised('h1')).errors, []);
    assert.equal((await get('/nat')).masquerading, false);
    assert.deepEqual((await get('/prefilter')).cidrs, []);
    for (const name of ['uplinks', 'nat_in', 'prefilter', 'uplink-links', 'xdp-links'])
      assert.ok(!existsSync(join(bpffs, name)), name);
  });

  it('has a health endpoint: while the agent is away the kernel answers, the agent again when it is back', async () => {
    const addresses = ['10.1.0.1', 'fd00:1::1'];
    const hello = async (): Promise<(number | string)[]> =>
      Promise.all(
        addresses.map((address) =>
          fetch(`http://${address.includes(':') ? `[${address}]` : address}:4240/hello`, {
            signal: AbortSignal.timeout(1_000),
          }).then(
            ({ status }) => status,
            () => 'refused',
          ),
        ),
      );
    const all = async (what: number | string): Promise<boolean> => (await hello()).every((answer) => answer === what);
    const answered = async (what: number | string): Promise<void> => {
      for (const end = Date.now() + 20_000; !(await all(what)); ) {
        if (Date.now() > end) assert.fail(`${await hello()} instead of ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const echoes = async (): Promise<string[]> => (await ping(addresses, 1000)).map(({ error }) => error);
    const value = {
      ...{ id: 'h1', name: 'h1', underlayIp4: '192.168.0.1', underlayIp6: 'fd00:192::1' },
      ...{ pools: ['10.1.0.0/24', 'fd00:1::/64'], healthIp4: addresses[0], healthIp6: addresses[1] },
    };
    await plane.put('host', 'h1', { case: 'host', value });
    await answered(200);
    assert.deepEqual(await echoes(), ['', '']);
    const made = await netnsId(healthNetns);
    assert.equal((await plane.realised('h1')).workloads.length, IDS.length, "it is nobody's workload");
    assert.equal(JSON.parse((await askLocal(socket, '/status')).body).health_endpoint.state, 'ready');

    await agent.stop('SIGKILL');
    assert.deepEqual(await echoes(), ['', '']);
    assert.ok(await all('refused'));
    await start();
    await answered(200);
    assert.equal(await netnsId(healthNetns), made, 'nothing was made anew');

    // Somebody takes it away: it is made again.
    await deleteNetns(healthNetns);
    await until(() => existsSync(healthNetns), 'the namespace to be there again', 20_000);
    await answered(200);
    assert.deepEqual(await echoes(), ['', '']);

    // Its interface goes at once, the namespace a few seconds later: see the last test.
    await plane.put('network', 'fleet', { case: 'network', value: { health: { enabled: true, endpoints: false } } });
    await plane.realised('h1');
    assert.ok(await all('refused'));
  });

  it('F01: killed again and again, no connection is lost and nothing forbidden passes', async () => {
    assert.equal(await resident('prod.web').ask({ op: 'open', host: ip4('prod.db'), port: 80 }), 'ok');
    let probing = true;
    const forbidden: string[] = [];
    const kept: string[] = [];
    const fresh: string[] = [];
    const probes = [
      (async () => {
        while (probing) forbidden.push(await tcp('prod.evil', 'prod.db', 20));
      })(),
      (async () => {
        while (probing) {
          kept.push(await resident('prod.web').ask({ op: 'say', timeoutMs: 1000 }));
          fresh.push(await tcp('prod.web', 'prod.db', PATIENT_MS));
        }
      })(),
    ];
    for (let i = 0; i < 5; i++) {
      await agent.stop('SIGKILL');
      await start();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    probing = false;
    await Promise.all(probes);
    assert.ok(forbidden.length > 20 && kept.length > 20);
    assert.deepEqual([...new Set(forbidden)], ['timeout']);
    assert.deepEqual([...new Set(kept)], ['ok']);
    assert.deepEqual([...new Set(fresh)], ['ok']);
    const connected = async (): Promise<number> => JSON.parse((await askLocal(socket, '/status')).body).workloads.ready;
    for (const end = Date.now() + 20_000; Date.now() < end && (await connected()) !== 3; )
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await connected(), 3);
  });

  it('F03: killed at every step of a change, it comes out right', async () => {
    let probing = true;
    const forbidden: string[] = [];
    const probe = (async () => {
      while (probing) forbidden.push(await tcp('prod.evil', 'prod.db', 10));
    })();
    // All of them are tried on the simulated kernel (transition.test.ts); here those between writes of different maps.
    const steps = ['apply.begun', 'apply.swapped', 'apply.ipcache-written', 'apply.committed'];
    for (const [i, at] of steps.entries()) {
      await agent.stop('SIGKILL');
      agent = new AgentProcess(env({ WEIR_AGENT_FAILPOINT: at }));
      // A change that touches tables, prefixes and addresses: it dies in the middle of it, or at its start.
      const document = allowOnly('db', 'db', 'web');
      const block = { ipBlock: { cidr: `192.0.2.${i}/32` } };
      const from = [...(document.spec.ingress[0]?.from ?? []), block] as (typeof document.spec.ingress)[0]['from'];
      await plane.policy({
        ...document,
        spec: { ...document.spec, ingress: [{ ...document.spec.ingress[0], from }] },
      } as never);
      await plane.workload(`prod.far${i}`, 'h2', 1001, `10.9.0.${i}`);
      assert.equal((await agent.exited).signal, 'SIGKILL', at);
      await start();
      await plane.realised('h1');
      assert.equal(await tcp('prod.web', 'prod.db', PATIENT_MS), 'ok', at);
    }
    probing = false;
    await probe;
    assert.deepEqual([...new Set(forbidden)], ['timeout']);
  });

  it('new connections and removed ones at every step of a kill while wiring', async () => {
    const id = 'prod.late';
    const netns = netnsOf(id);
    for (const at of ['wire.created', 'wire.closed-entry', 'wire.attached', 'wire.configured']) {
      await agent.stop('SIGKILL');
      await createNetns(netns);
      agent = new AgentProcess(env({ WEIR_AGENT_FAILPOINT: at }));
      await plane.workload(id, 'h1', 1001, '10.1.0.77', { ip6: 'fd00:1::77', netns });
      assert.equal((await agent.exited).signal, 'SIGKILL', at);
      await start();
      const late = (await plane.realised('h1')).workloads.find((workload) => workload.id === id);
      await until(
        () => plane.acks.get('h1')?.workloads.find((workload) => workload.id === id)?.state === 'ready',
        `${at}: ${late?.message}`,
      );
      const there = new Resident(netns);
      assert.equal(await there.ask({ op: 'tcp', host: ip6('prod.db'), port: 80, timeoutMs: PATIENT_MS }), 'ok', at);
      await there.stop();
      await plane.remove('workload', id);
      await plane.realised('h1');
      await deleteNetns(netns);
    }
    assert.equal(JSON.parse((await askLocal(socket, '/workloads')).body).items.length, 3);
    await until(() => readdirSync(join(bpffs, 'links')).length === 6, 'all links are pinned');
  });

  it('a unit: killed while it is connected, started again under its agent and without it, and gone', async () => {
    const id = 'prod.unit';
    const folder = await makeCgroup('units');
    const unit = join(folder.path, 'evil.service');
    const mount = (await cgroup2Mount()) as string;
    const links = () => (existsSync(join(bpffs, 'cgroup-links')) ? readdirSync(join(bpffs, 'cgroup-links')).length : 0);
    const stateOf = () => plane.acks.get('h1')?.workloads.find((workload) => workload.id === id);
    /** May reach `web`, and not `db`, which containers of the same host judge; another process of the host may. */
    const judged = async (when: string): Promise<void> => {
      await until(() => stateOf()?.state === 'ready', `${when}: ${stateOf()?.message}`);
      const there = new Resident(`/proc/${process.pid}/ns/net`, unit);
      assert.equal(await there.ask({ op: 'tcp', host: ip4('prod.web'), port: 80, timeoutMs: PATIENT_MS }), 'ok', when);
      assert.equal(await there.ask({ op: 'tcp', host: ip6('prod.db'), port: 80, timeoutMs: 300 }), 'timeout', when);
      await there.stop();
    };
    const restart = () => renewFolder(unit);
    const cgroup = relative(mount, unit);
    const document = { netns: '', hostNetwork: true, cgroup };
    for (const at of ['wire.closed-entry', 'wire.attached']) {
      await agent.stop('SIGKILL');
      mkdirSync(unit);
      agent = new AgentProcess(env({ WEIR_AGENT_FAILPOINT: at }));
      await plane.workload(id, 'h1', 1003, '', document);
      assert.equal((await agent.exited).signal, 'SIGKILL', at);
      await start();
      await judged(at);
      assert.equal(links(), 2);
      await plane.remove('workload', id);
      await until(() => links() === 0, `${at}: no links`);
      rmdirSync(unit);
    }
    await plane.workload(id, 'h1', 1003, '', document);
    await until(() => /waiting for cgroup/.test(stateOf()?.message ?? ''), 'it to wait');
    mkdirSync(unit);
    await judged('there');
    await agent.stop('SIGKILL');
    await judged('without an agent');
    await restart();
    await start();
    await until(() => held(bpffs, unit), 'the new cgroup to be connected');
    await judged('started again without an agent');
    await restart();
    await until(() => held(bpffs, unit), 'the cgroup after it to be connected');
    await judged('started again');
    await plane.remove('workload', id);
    await until(() => links() === 0, 'no links');
    rmdirSync(unit);
    await folder.remove();
  });

  it('a runtime policy: into the kernel, told of, enforced while the agent is dead, and gone', () =>
    runtimePolicy({ plane, dir, socket, bpffs, kill: () => agent.stop('SIGKILL'), start }));

  it('ends on SIGTERM and leaves the datapath', async () => {
    await until(() => !existsSync(healthNetns), 'the namespace of the health endpoint to go', 20_000);
    assert.deepEqual([await agent.stop('SIGTERM'), existsSync(socket)], [{ code: 0, signal: null }, false]);
    assert.equal(await tcp('prod.web', 'prod.db', PATIENT_MS), 'ok');
    assert.equal(await tcp('prod.evil', 'prod.db', 50), 'timeout');
    await start();
  });
});
