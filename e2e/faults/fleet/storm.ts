// SPDX-License-Identifier: Apache-2.0
/**
 * A storm of changes: a thousand a minute, of the server's policy, of its clients' and of a client's labels, while packets go on. Every
 * version has other rules, numbers, ports, peers and prefixes, so a table is never the one of before; the friend may under all of them, the
 * stranger under none, and `sometimes` for a while at a time. No packet is judged by less than the intersection of the old and
 * the new policy: what both allow passes, what both refuse does not.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { type Fleet, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { hostStates, putPolicy } from './policy.ts';
import { Changes, wanted } from './storm-judge.ts';

const CHANGES = size({ short: 60, long: 1_000 });
const EVERY_MS = 60;
/** Of the server's policy for which `sometimes` may, and then for as many may not. */
const STRETCH = size({ short: 20, long: 25 });
const RELABEL_EVERY = 8;
const NAMESPACE = 'storm';
const PORT = 80;
const UDP_PORT = 53;
const SOMETIMES_PORT = 90;
const REFUSED_MS = 200;
const WAIT_S = 30;
const PATIENCE_MS = 60_000;
const STALL_MS = 2_000;

const mayNow = (version: number): boolean => Math.floor(version / STRETCH) % 2 === 0;

const serverPolicy = (version: number) => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'server', namespace: NAMESPACE },
  spec: {
    endpointSelector: { matchLabels: { app: 'server' } },
    ingress: [
      {
        fromEndpoints: [{ matchLabels: { app: 'friend' } }],
        toPorts: [
          {
            ports: [
              { port: `${PORT}`, protocol: 'TCP' },
              { port: `${UDP_PORT}`, protocol: 'UDP' },
              { port: `${2_000 + (version % 50)}`, protocol: 'TCP' },
            ],
          },
        ],
      },
      {
        fromEndpoints: [{ matchLabels: { app: mayNow(version) ? 'sometimes' : 'nobody' } }],
        toPorts: [{ ports: [{ port: `${SOMETIMES_PORT}`, protocol: 'UDP' }] }],
      },
      { fromCIDR: [`198.51.100.${version % 250}/32`, `2001:db8:57::${(version % 250).toString(16)}/128`] },
    ],
    ingressDeny: [
      {
        fromEndpoints: [{ matchLabels: { app: 'stranger' } }],
        toPorts: [{ ports: [{ port: `${3_000 + (version % 50)}`, protocol: 'TCP' }] }],
      },
    ],
  },
});

const clientPolicy = (version: number) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'friend', namespace: NAMESPACE },
  spec: {
    podSelector: { matchLabels: { app: 'friend' } },
    policyTypes: ['Egress'],
    egress: [
      { to: [{ podSelector: { matchLabels: { app: 'server' } } }] },
      { to: [{ ipBlock: { cidr: `203.0.113.${version % 250}/32` } }] },
    ],
  },
});

interface Enforced {
  readonly revision: number;
  readonly change: number;
}

/** From the request to the last host's maps, as the trace of the revision has it; undefined: it was overtaken on a host. */
const traceMs = async (fleet: Fleet, revision: number): Promise<number | undefined> => {
  const { received_us: receivedUs, hosts } = await callApi<{
    received_us: number;
    hosts: { host: string; written_us: number }[];
  }>(`${fleet.control.urls.policy}/v1/revisions/${revision}/trace`);
  const written = hosts.filter(({ host }) => fleet.agents.has(host)).map(({ written_us: us }) => us);
  return written.length < fleet.agents.size ? undefined : (Math.max(...written) - receivedUs) / 1_000;
};

const quantile = (values: readonly number[], share: number): number =>
  Math.round([...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0);

export const changeStorm = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const [near, far] = fleet.options.hosts as readonly [string, string];
  const [server, friend, neighbour, stranger, sometimes] = (await fleet.addWorkloads(
    [
      { name: 'server', host: far, labels: { app: 'server' }, tcp: [PORT], udp: [UDP_PORT, SOMETIMES_PORT] },
      { name: 'friend', host: near, labels: { app: 'friend' } },
      { name: 'neighbour', host: far, labels: { app: 'friend' } },
      { name: 'stranger', host: near, labels: { app: 'stranger' } },
      { name: 'sometimes', host: near, labels: { app: 'sometimes' } },
    ].map((spec) => ({ ...spec, namespace: NAMESPACE })),
  )) as [Workload, Workload, Workload, Workload, Workload];
  await putPolicy(fleet, clientPolicy(0));
  const revision = await putPolicy(fleet, serverPolicy(0));
  await fleet.waitRealised(revision, PATIENCE_MS);
  const changes = new Changes();
  changes.enforced(changes.ask(performance.now()), performance.now());

  const ends = [server.ip4, server.ip6];
  const steady = await Promise.all(
    [friend, neighbour].flatMap((from) =>
      ends.flatMap((host) => [
        from.open({ protocol: 'tcp', host, port: PORT, tickMs: 20, timeoutMs: PATIENT_TIMEOUT_MS }),
        from.open({ protocol: 'udp', host, port: UDP_PORT, tickMs: 20, timeoutMs: PATIENT_TIMEOUT_MS }),
      ]),
    ),
  );
  const held = await Promise.all(
    [friend, neighbour].flatMap((from) =>
      ends.map((host) => from.hold({ host, port: PORT, connections: 5, tickMs: 20, stallMs: STALL_MS })),
    ),
  );
  const forbidden = await Promise.all(
    ends.flatMap((host) => [
      stranger.open({ protocol: 'tcp', host, port: PORT, tickMs: 20, timeoutMs: REFUSED_MS }),
      stranger.open({ protocol: 'udp', host, port: UDP_PORT, tickMs: 20, timeoutMs: REFUSED_MS }),
    ]),
  );

  let storming = true;
  const wrong: string[] = [];
  let judged = 0;
  let either = 0;
  const judge = (async () => {
    for (let i = 0; storming; i++) {
      const fromMs = performance.now();
      const host = ends[i % 2] as string;
      const { ok } = await sometimes.probe({ protocol: 'udp', host, port: SOMETIMES_PORT, timeoutMs: REFUSED_MS });
      const window = changes.window(fromMs, performance.now());
      const verdict = wanted(window, mayNow);
      if (verdict === undefined) either++;
      else judged++;
      // Silence on a busy machine may be slowness, an answer is none: only a patient second try makes a loss of it.
      if (verdict === false && ok) wrong.push(`answered under ${window.first} to ${window.last}`);
      if (verdict === true && !ok) {
        const again = await sometimes.probe({
          ...{ protocol: 'udp', host, port: SOMETIMES_PORT, timeoutMs: PATIENT_TIMEOUT_MS },
        });
        const still = wanted(changes.window(fromMs, performance.now()), mayNow);
        if (still === true && !again.ok) wrong.push(`refused under ${window.first} to ${window.last}`);
      }
      await sleep(10);
    }
  })();

  let newest: Enforced = { revision, change: 0 };
  let settled = 0;
  const all: number[] = [];
  const follow = (async () => {
    while (storming || settled < newest.revision) {
      const { revision: asked, change } = newest;
      if (asked === settled) {
        await sleep(5);
        continue;
      }
      const states = await hostStates(fleet, asked, WAIT_S);
      if (states.some(({ host, state }) => fleet.agents.has(host) && state !== 'realised')) continue;
      changes.enforced(change, performance.now());
      settled = asked;
    }
  })();

  const startMs = performance.now();
  let relabelled = 0;
  const revisions: number[] = [];
  const pending: Promise<unknown>[] = [];
  for (let i = 1; i <= CHANGES; i++) {
    await sleep(Math.max(0, startMs + i * EVERY_MS - performance.now()));
    // The policy of the client changes with every fourth, its labels with every eighth; all count.
    if (i % 4 === 0) {
      pending.push(putPolicy(fleet, clientPolicy(i)).then((made) => revisions.push(made)));
    } else {
      const change = changes.ask(performance.now());
      const made = await putPolicy(fleet, serverPolicy(change));
      revisions.push(made);
      newest = { revision: made, change };
    }
    if (i % RELABEL_EVERY === 0)
      pending.push(
        // One on the server's host, one that its host knows by address only.
        callApi(`${fleet.control.urls.inventory}/v1/workloads/${(relabelled % 2 ? friend : neighbour).id}`, {
          method: 'PATCH',
          body: { labels: { app: 'friend', version: `${relabelled++}` } },
        }),
      );
    // Beside the storm: only the newest 500 have a trace.
    if (i % 100 === 0) pending.push(traced(fleet, revisions.splice(0, 50)).then((found) => all.push(...found)));
  }
  const tookMs = performance.now() - startMs;
  await Promise.all(pending);
  storming = false;
  await Promise.all([follow, judge]);
  all.push(...(await traced(fleet, revisions)));
  const steadily = await Promise.all(steady.map((drive) => drive.stop({ drainMs: PATIENT_TIMEOUT_MS })));
  const connections = await Promise.all(held.map((drive) => drive.stop({ drainMs: 2_000 })));
  const refused = await Promise.all(forbidden.map((drive) => drive.stop({ drainMs: REFUSED_MS })));
  const sum = <T>(list: readonly T[], of: (one: T) => number): number =>
    list.reduce((total, one) => total + of(one), 0);
  const lost = sum(steadily, (one) => one.refused + one.lost);
  const answered = sum(refused, (one) => one.answered);
  const resets = sum(connections, (one) => one.resets);
  for (const one of wrong.slice(0, 10)) t.diagnostic(one);
  report(
    t,
    'STORM',
    {
      changes: CHANGES + relabelled,
      a_minute: Math.round(((CHANGES + relabelled) * 60_000) / tookMs),
      new_connections: sum(steadily, (one) => one.sent),
      of_them_failed: lost,
      held: sum(connections, (one) => one.connected),
      resets,
      longest_gap_ms: Math.round(Math.max(...connections.map((one) => one.longestGapMs))),
      forbidden: sum(refused, (one) => one.sent),
      of_them_answered: answered,
      judged,
      judged_either_way: either,
      wrong: wrong.length,
      traced: all.length,
      enforced_p50_ms: quantile(all, 0.5),
      enforced_p99_ms: quantile(all, 0.99),
    },
    [
      ['0 that every policy allows fail', lost === 0 && sum(steadily, (one) => one.answered) > CHANGES],
      ['0 that none allows pass', answered === 0 && sum(refused, (one) => one.sent) > CHANGES],
      ['0 held connections broken', resets === 0],
      ['0 judged by less than old and new together', wrong.length === 0 && judged > 0],
      ['changes are traced to the maps of every host', all.length > 0],
      ['1,000 a minute', !isLong || tookMs <= 61_000],
    ],
  );
  await Promise.all([server, friend, neighbour, stranger, sometimes].map(({ id }) => fleet.removeWorkload(id)));
  await until('the policies to be gone', PATIENCE_MS, async () => {
    for (const key of [`CiliumNetworkPolicy/${NAMESPACE}/server`, `NetworkPolicy/${NAMESPACE}/friend`])
      await callApi(`${fleet.control.urls.policy}/v1/policies/${key}`, { method: 'DELETE' }).catch(() => {});
    return true;
  });
};

/** Those that were written on every host under their own number; a host that is behind takes several at once. */
const traced = async (fleet: Fleet, revisions: readonly number[]): Promise<number[]> => {
  const found: number[] = [];
  for (const revision of revisions) {
    const ms = await traceMs(fleet, revision).catch(() => undefined);
    if (ms !== undefined) found.push(ms);
  }
  return found;
};
