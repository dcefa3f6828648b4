// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads that are cgroups with the host's own address: real processes in real cgroups, judged by the documents that
 * judge containers, between each other, containers of the same host and of another, and processes that are nobody's.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { needKernel } from '@weir/loader/testing';
import { cnp, identityEntry, knp, policyEntry, removal, workloadEntry } from '../support/entries.ts';
import { type Joined, type JoinedHost, joinHosts, netnsPath } from '../support/joined-hosts.ts';
import { leftovers, Resident } from '../support/netns.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const IDENTITY = { web: 1001, db: 1002, evil: 1003, box: 1004 } as const;
type App = keyof typeof IDENTITY;
const place = (app: App, host: number, n: number) => ({
  id: `prod.${app}${host}`,
  ip4: `10.9${host}.0.${n}`,
  ip6: `fd9${host}::${n}`,
  identity: IDENTITY[app],
});
const BOX = place('box', 1, 2);
const FAR_WEB = place('web', 2, 2);
const FAR_EVIL = place('evil', 2, 3);
const unitOf = (app: App) => `system.slice/${app}.service`;
const unit = (app: App) =>
  workloadEntry(`prod.unit-${app}`, IDENTITY[app], {
    ...{ host: 'h1', ip4: '', netns: '', hostNetwork: true, cgroup: unitOf(app) },
  });
const ONLY_WEB = policyEntry(
  knp('db', 'db', {
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
  }),
);
const ONLY_DB = policyEntry(
  knp('box', 'box', {
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'db' } } }] }],
  }),
);
/** To the fleet's `web`, and to processes of its own host. */
const EVIL_OUT = policyEntry(
  cnp('evil', 'evil', {
    egress: [{ toEndpoints: [{ matchLabels: { app: 'web' } }] }, { toEntities: ['host'] }],
  }),
);
const PORT = 80;
const PATIENT_MS = 5_000;
const SHORT_MS = 400;

describe('workloads that are cgroups', { skip: needKernel(), timeout: 280_000 }, () => {
  let net: Joined;
  let h1: JoinedHost;
  let h2: JoinedHost;
  const units = new Map<string, Resident>();
  const pathOf = (app: App) => join(h1.cgroup, unitOf(app));
  const startUnit = async (app: App): Promise<void> => {
    mkdirSync(pathOf(app), { recursive: true });
    units.set(app, new Resident(netnsPath('h1'), pathOf(app)));
    if (app === 'db') await units.get(app)?.ask({ op: 'serve', port: PORT });
  };
  const stopUnit = async (app: App): Promise<void> => {
    await units.get(app)?.stop();
    units.delete(app);
    for (let tries = 0; existsSync(pathOf(app)); tries++) {
      try {
        rmdirSync(pathOf(app));
      } catch (error) {
        if (tries > 3000) throw error;
        await sleep(20);
      }
    }
  };
  const of = (who: string): Resident => {
    const found =
      units.get(who) ?? net.hosts.flatMap(({ workloads }) => workloads).find(({ id }) => id === who)?.resident;
    if (!found) throw new Error(`nobody is called ${who}`);
    return found;
  };
  const everything = () => [
    ...Object.entries(IDENTITY).map(([app, identity]) => identityEntry(identity, `k8s:app=${app}`, PROD)),
    ...net.hosts.map(({ document }) => document),
    ...net.hosts.flatMap(({ workloads }) => workloads.map(({ document }) => document)),
    ...(['web', 'db', 'evil'] as const).map(unit),
    ...[ONLY_WEB, ONLY_DB, EVIL_OUT],
  ];
  const asks = (who: string, kind: 'tcp' | 'udp', host: string, timeoutMs: number) =>
    of(who).ask({ op: 'seen', kind, host, port: PORT, timeoutMs });
  const reaches = async (who: string, host: string): Promise<void> => {
    for (const kind of ['tcp', 'udp'] as const) {
      const answer = await asks(who, kind, host, PATIENT_MS);
      assert.match(answer, / \d+$/, `${who} ${kind} ${host}: ${answer}`);
    }
  };
  const isRefused = async (who: string, host: string): Promise<void> => {
    const answers = await Promise.all((['tcp', 'udp'] as const).map((kind) => asks(who, kind, host, SHORT_MS)));
    assert.deepEqual(answers, ['timeout', 'timeout'], `${who} ${host}`);
  };
  /** What a shell in the unit's cgroup says of a datagram. */
  const sendsFrom = (app: App, host: string): string =>
    spawnSync(
      'sh',
      [
        ...['-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', pathOf(app)],
        ...['nsenter', `--net=${netnsPath('h1')}`, 'bash', '-c', `echo x > /dev/udp/${host}/${PORT}`],
      ],
      { encoding: 'utf8' },
    ).stderr;
  const linksOf = (host: JoinedHost) => {
    const dir = `${host.bpffsDir}/cgroup-links`;
    return existsSync(dir) ? readdirSync(dir).length : 0;
  };

  before(async () => {
    net = await joinHosts([[BOX], [FAR_WEB, FAR_EVIL], []]);
    [h1, h2] = net.hosts;
    units.set('nobody', new Resident(netnsPath('h1'), h1.cgroup));
    for (const host of [h1, h2]) await host.start(everything());
    assert.match(h1.host.failure('prod.unit-db') ?? '', /waiting for cgroup system.slice\/db.service/);
    for (const app of ['web', 'db', 'evil'] as const) await startUnit(app);
    await h1.retry();
    assert.equal(linksOf(h1), 6);
    await of(BOX.id).ask({ op: 'serve', port: PORT });
    await of(FAR_EVIL.id).ask({ op: 'serve', port: PORT });
    await of(FAR_WEB.id).ask({ op: 'serve', port: PORT });
  });
  after(async () => {
    for (const resident of units.values()) await resident.stop();
    for (const host of [h1, h2]) await host?.stop();
    for (const app of ['web', 'db', 'evil'] as const) await stopUnit(app);
    rmdirSync(join(h1.cgroup, 'system.slice'));
    await net.destroy();
    assert.deepEqual(leftovers(), []);
  });

  const own = () => ['127.0.0.1', '::1', h1.underlay4, h1.underlay6];

  it('units of one host know each other by their sockets, over loopback and the host address; others are the host', async () => {
    for (const address of own()) {
      await reaches('web', address);
      await isRefused('evil', address);
    }
    // WEIR_AGENT_HOST_ACCESS=always
    await reaches('nobody', h1.underlay4);
    const allowed = await h1.flow(
      (flow) =>
        flow.destinationIdentity === IDENTITY.db && flow.sourceIdentity === IDENTITY.web && flow.direction === 1,
    );
    assert.ok(allowed.ruleId > 0);
    const refused = await h1.flow(
      (flow) => flow.destinationIdentity === IDENTITY.db && flow.sourceIdentity === IDENTITY.evil && flow.verdict === 2,
    );
    assert.equal(refused.dropReason, 133);
  });

  it('a unit is reached by containers of another host by its labels, and by no others', async () => {
    for (const address of [h1.underlay4, h1.underlay6]) {
      await reaches(FAR_WEB.id, address);
      await isRefused(FAR_EVIL.id, address);
    }
    await h1.flow(
      ({ sourceIdentity, destinationIdentity, verdict }) =>
        sourceIdentity === IDENTITY.web && destinationIdentity === IDENTITY.db && verdict === 1,
    );
  });

  it('a container of its host knows a unit by its socket, although the host itself may always come in', async () => {
    for (const address of [BOX.ip4, BOX.ip6]) {
      await reaches('db', address);
      await reaches('nobody', address);
      await isRefused('web', address);
    }
    const flow = await h1.flow(
      ({ sourceIdentity, destinationIdentity, verdict }) =>
        sourceIdentity === IDENTITY.web && destinationIdentity === IDENTITY.box && verdict === 2,
    );
    assert.equal(flow.direction, 1);
    // Neither policy selects `db` for egress, nor does one `web`: what they open is a flow of theirs too.
    await h1.flow((one) => one.sourceIdentity === IDENTITY.db && one.direction === 2 && !one.isReply);
  });

  it('what a unit may open: refused datagrams are EPERM, echo too', async () => {
    for (const address of [FAR_WEB.ip4, FAR_WEB.ip6]) await reaches('evil', address);
    for (const address of [FAR_EVIL.ip4, FAR_EVIL.ip6]) {
      await isRefused('evil', address);
      assert.match(sendsFrom('evil', address), /Operation not permitted/);
      assert.notEqual(await of('evil').ask({ op: 'ping', host: address }), 'ok');
      await reaches('web', address);
      assert.equal(await of('web').ask({ op: 'ping', host: address }), 'ok');
    }
  });

  it('an open connection lasts over the end and the start of the agent, and is cut when policy says so', async () => {
    const say = () => of('web').ask({ op: 'say', timeoutMs: PATIENT_MS });
    assert.equal(await of('web').ask({ op: 'open', host: h1.underlay4, port: PORT }), 'ok');
    await h1.stop();
    assert.equal(linksOf(h1), 6);
    assert.equal(await say(), 'ok');
    await reaches('web', '::1');
    await isRefused('evil', '127.0.0.1');
    await h1.start(everything());
    assert.equal(linksOf(h1), 6);
    assert.equal(await say(), 'ok');
    await isRefused('evil', '127.0.0.1');
    await h1.tell(policyEntry(knp('db', 'db', { policyTypes: ['Ingress'], ingress: [] })));
    assert.equal(await of('web').ask({ op: 'say', timeoutMs: SHORT_MS }), 'timeout');
    await h1.tell(ONLY_WEB);
    await reaches('web', h1.underlay4);
  });

  it('a unit that is started again is another cgroup, and judged as before', async () => {
    await stopUnit('db');
    await h1.pass();
    assert.match(h1.host.failure('prod.unit-db') ?? '', /waiting for cgroup/);
    assert.equal(linksOf(h1), 4);
    await startUnit('db');
    await h1.retry();
    assert.equal(linksOf(h1), 6);
    await reaches('web', '127.0.0.1');
    await isRefused('evil', '127.0.0.1');
  });

  it('what somebody detaches is found and put back', async () => {
    assert.deepEqual(await h1.host.inspect(), []);
    const [pin = ''] = readdirSync(`${h1.bpffsDir}/cgroup-links`);
    execFileSync('rm', [join(h1.bpffsDir, 'cgroup-links', pin)]);
    assert.match((await h1.host.inspect()).join(), /the pin of its program \w+ was removed/);
    assert.deepEqual(await h1.host.inspect(), []);
    assert.equal(linksOf(h1), 6);
  });

  it('processes in a cgroup below are of the unit; a workload inside another one is refused', async () => {
    const below = join(pathOf('evil'), 'worker');
    mkdirSync(below);
    const worker = new Resident(netnsPath('h1'), below);
    units.set('worker', worker);
    await isRefused('worker', '127.0.0.1');
    const nested = workloadEntry('prod.unit-nested', IDENTITY.web, {
      ...{ host: 'h1', ip4: '', netns: '', hostNetwork: true, cgroup: `${unitOf('evil')}/worker` },
    });
    await h1.tell(nested);
    assert.match(h1.host.failure('prod.unit-nested') ?? '', /one inside the other/);
    await h1.tell(removal('workload', 'prod.unit-nested'));
    await worker.stop();
    units.delete('worker');
    for (let tries = 0; existsSync(below) && tries < 3000; tries++) {
      try {
        rmdirSync(below);
      } catch {
        await sleep(20);
      }
    }
  });

  it('other processes pay nothing, and with the workloads all of it goes', async () => {
    const before = (await h1.counter('sockets_out')) + (await h1.counter('sockets_in'));
    assert.ok(before > 0);
    await reaches('nobody', BOX.ip4);
    assert.equal((await h1.counter('sockets_out')) + (await h1.counter('sockets_in')), before);
    assert.equal(await h1.counter('sockets_busy'), 0);
    await h1.tell(...(['web', 'db', 'evil'] as const).map((app) => removal('workload', `prod.unit-${app}`)));
    assert.equal(linksOf(h1), 0);
    assert.ok(!existsSync(`${h1.bpffsDir}/socket_scratch`));
    await reaches('evil', '127.0.0.1');
  });
});
