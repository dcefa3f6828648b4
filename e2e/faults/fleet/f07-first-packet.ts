// SPDX-License-Identifier: Apache-2.0
/**
 * F07: workloads come into a namespace that isolates them, and each sends from the moment its link is there. What the
 * policy forbids must never arrive, not even the first packet; what it allows must work soon.
 */
import type { TestContext } from 'node:test';
import { type Fleet, inParallel, type Workload } from '@weir/infra/fleet';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { applyPolicy } from './policy.ts';

const COUNT = size({ short: 20, long: 500 });
/** As an orchestrator would: it does not wait for one to make the next. */
const AT_ONCE = 8;
const SERVER_PORT = 80;
const SINK_PORT = 9;

const ISOLATION = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'isolated', namespace: 'isolated' },
  spec: {
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
    egress: [
      {
        to: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'server' } } }],
        ports: [{ port: SERVER_PORT, protocol: 'TCP' }],
      },
    ],
  },
};

interface Outcome {
  readonly tried: number;
  readonly toldMs: number;
  readonly linkMs: number;
}

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] as number;

/** One new workload: knocks at the sink all the time, and at the server until that answers. */
const arrive = async (fleet: Fleet, index: number, server: Workload, sinks: readonly Workload[]): Promise<Outcome> => {
  const hosts = fleet.options.hosts;
  const host = hosts[index % hosts.length] as string;
  const place = await fleet.makePlace({
    name: `n${index}`,
    namespace: 'isolated',
    host,
    labels: { n: `${index % 8}` },
  });
  const { station } = place;
  const forbidden = await Promise.all(
    sinks
      .flatMap(({ ip4, ip6 }) => [ip4, ip6])
      .map((to) =>
        station.open({ protocol: 'udp', host: to, port: SINK_PORT, tickMs: 50, timeoutMs: 200, atLinkUp: true }),
      ),
  );
  const allowed = await station.open({
    protocol: 'tcp',
    host: index % 2 ? server.ip6 : server.ip4,
    port: SERVER_PORT,
    tickMs: 50,
    timeoutMs: 5_000,
    atLinkUp: true,
    untilAnswered: true,
  });
  const toldAtMs = nowMs();
  const workload = await fleet.register(place);
  await fleet.waitWorkloadReady(workload.id, 60_000);
  let open = await allowed.report();
  for (const until = Date.now() + 30_000; open.answered === 0 && Date.now() < until; ) open = await allowed.report();
  const tries = await Promise.all(forbidden.map((drive) => drive.stop({ drainMs: 100 })));
  await allowed.stop();
  const first = Math.min(...tries.map((drive) => drive.firstSentAtMs).filter((ms) => ms > 0), open.firstSentAtMs);
  return {
    tried: tries.reduce((sum, { sent }) => sum + sent, 0),
    toldMs: open.answered > 0 ? open.firstAnsweredAtMs - toldAtMs : Number.POSITIVE_INFINITY,
    linkMs: open.answered > 0 ? open.firstAnsweredAtMs - first : Number.POSITIVE_INFINITY,
  };
};

export const firstPackets = async (t: TestContext, fleet: Fleet, server: Workload): Promise<void> => {
  const sinks = await fleet.addWorkloads(
    fleet.options.hosts.map((host) => ({ name: `sink-${host}`, host, labels: { app: 'sink' }, udp: [SINK_PORT] })),
  );
  await applyPolicy(fleet, ISOLATION);
  // That nothing arrives says something only where something could.
  for (const sink of sinks) {
    const { ok } = await server.probe({ protocol: 'udp', host: sink.ip4, port: SINK_PORT, timeoutMs: 10_000 });
    if (!ok) throw new Error(`${sink.id} does not answer at all`);
  }
  const before = await Promise.all(sinks.map((sink) => sink.served()));
  const indexes = Array.from({ length: COUNT }, (_, index) => index);
  const outcomes = await inParallel(indexes, AT_ONCE, (index) => arrive(fleet, index, server, sinks));
  const after = await Promise.all(sinks.map((sink) => sink.served()));
  const escaped = after.reduce((sum, { datagrams }, i) => sum + datagrams - (before[i]?.datagrams ?? 0), 0);
  const tried = outcomes.reduce((sum, outcome) => sum + outcome.tried, 0);
  const toldP99 = Math.round(
    quantile(
      outcomes.map(({ toldMs }) => toldMs),
      0.99,
    ),
  );
  const linkP99 = Math.round(
    quantile(
      outcomes.map(({ linkMs }) => linkMs),
      0.99,
    ),
  );
  report(
    t,
    'F07',
    { workloads: COUNT, forbidden_sent: tried, escaped, from_created_p99_ms: toldP99, from_link_up_p99_ms: linkP99 },
    [
      ['every workload tries what is forbidden', outcomes.every((outcome) => outcome.tried > 0)],
      ['0 packets escape', escaped === 0],
      ['every workload gets through where it may', outcomes.every(({ toldMs }) => Number.isFinite(toldMs))],
      ['allowed traffic p99 <= 2 s', !isLong || toldP99 <= 2_000],
    ],
  );
  await inParallel(indexes, AT_ONCE, (index) => fleet.removeWorkload(`isolated.n${index}`));
};
