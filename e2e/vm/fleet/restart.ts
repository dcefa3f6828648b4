// SPDX-License-Identifier: Apache-2.0
/** An agent that is killed with -9 under connections and comes back, on a kernel where nothing but a filter guards. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type DriveReport, until, type Workload } from '@weir/infra/fleet';
import { tcxSupported } from '@weir/loader';
import { type Mark, report } from '../../lib/figures.ts';
import { pinnedIds } from '../../lib/pinned.ts';
import { size } from '../../lib/size.ts';
import { filtersOf, linkNames, watchFilters } from './filters.ts';
import { ALLOWED_PORT, applyPolicy, PATIENT_MS, REFUSED_MS, type Scene } from './scene.ts';

const KILLS = size({ short: 1, long: 3 });
const HELD = 3;
/** Three workloads of the host, and its health endpoint. */
const JUDGED = 4;
/** An emulated machine has little room beside an agent that starts. */
const TICK_MS = 400;
const STALL_MS = 10_000;
/** Two repetitions of a SYN. */
const DRAIN_MS = 4_000;

const sum = (reports: readonly DriveReport[], field: 'connected' | 'resets' | 'stalls' | 'answered'): number =>
  reports.reduce((all, drive) => all + drive[field], 0);

export const agentKilled = async (t: TestContext, scene: Scene): Promise<void> => {
  const { fleet, web, client, stranger } = scene;
  const agent = fleet.agents.get(web.spec.host);
  assert.ok(agent);
  assert.notEqual(web.spec.host, client.spec.host, 'the connections go from host to host');
  const { netns } = fleet.host(web.spec.host);
  const tcx = await tcxSupported();

  const load = { connections: HELD, tickMs: TICK_MS, stallMs: STALL_MS };
  const holds = await Promise.all([
    client.hold({ ...load, host: web.ip4, port: 80 }),
    client.hold({ ...load, host: web.ip6, port: 80 }),
    client.hold({ ...load, protocol: 'association', host: web.ip4, port: ALLOWED_PORT }),
  ]);
  const attack = { port: 80, tickMs: TICK_MS, timeoutMs: REFUSED_MS };
  const attacks = await Promise.all([
    stranger.open({ ...attack, protocol: 'tcp', host: web.ip4 }),
    stranger.open({ ...attack, protocol: 'udp', host: web.ip6 }),
  ]);
  const asks = await client.open({ ...attack, protocol: 'tcp', host: web.ip6, timeoutMs: PATIENT_MS });

  const pins = pinnedIds(agent.bpffs);
  const filters = filtersOf(netns);
  const watch = await watchFilters(netns);
  let askedWhileDead = 0;
  let startMs = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    await agent.kill();
    for (const [from, allowed] of [
      [client, true],
      [stranger, false],
    ] as const) {
      const timeoutMs = allowed ? PATIENT_MS : REFUSED_MS;
      const { ok } = await from.probe({ protocol: 'tcp', host: web.ip4, port: 80, timeoutMs });
      assert.equal(ok, allowed, `${from.id} while the agent was dead`);
      askedWhileDead++;
    }
    const startedAt = performance.now();
    await agent.start();
    startMs = Math.max(startMs, Math.round(performance.now() - startedAt));
  }
  // the new agent acknowledges what is asked of it
  await applyPolicy(scene);
  const events = await watch.stop();
  const removed = events.filter((line) => line.includes('deleted'));

  const [held, forbidden, asked] = await Promise.all([
    Promise.all(holds.map((drive) => drive.stop())),
    Promise.all(attacks.map((drive) => drive.stop({ drainMs: REFUSED_MS }))),
    asks.stop({ drainMs: DRAIN_MS }),
  ]);
  const figures = {
    kills: KILLS,
    start_ms: startMs,
    held: sum(held, 'connected'),
    echoes: sum(held, 'answered'),
    resets: sum(held, 'resets'),
    stalls: sum(held, 'stalls'),
    new_connections: asked.sent,
    failed_new: asked.refused + asked.lost,
    asked_while_dead: askedWhileDead,
    forbidden: forbidden.reduce((all, drive) => all + drive.sent, 0),
    passed: sum(forbidden, 'answered'),
    filters: filters.length,
    replaced: events.length - removed.length,
    removed: removed.length,
  };
  const marks: Mark[] = [
    ['every connection and association stays', figures.held === 3 * HELD && figures.resets === 0],
    ['all of them speak throughout', held.every(({ answered }) => answered > HELD * KILLS) && figures.stalls === 0],
    ['0 failed new connections', figures.failed_new === 0 && asked.sent > 0],
    ['0 forbidden pass', figures.passed === 0 && figures.forbidden > 10],
    ['maps and links are those from before', pinnedIds(agent.bpffs) === pins && /map \d/.test(pins)],
  ];
  const onFilters: Mark[] = [
    ['two filters for each workload on their place', filters.length === 2 * JUDGED && isEach(filters, /1 handle 0x1$/)],
    ['the filters of before', filtersOf(netns).join() === filters.join()],
    ['every start replaces every filter', figures.replaced >= KILLS * filters.length],
    [`no filter goes (${removed[0] ?? ''})`, removed.length === 0],
  ];
  const onLinks: Mark[] = [['two links for each workload', (pins.match(/ link \d/g) ?? []).length === 2 * JUDGED]];
  report(t, tcx ? 'links' : 'filters', figures, [...marks, ...(tcx ? onLinks : onFilters)]);
};

const isEach = (lines: readonly string[], pattern: RegExp): boolean => lines.every((line) => pattern.test(line));

/** What of it stayed would judge nothing, but nobody would ever take it away. */
export const removedMeanwhile = async ({ fleet, web }: Scene, gone: Workload): Promise<void> => {
  const agent = fleet.agents.get(gone.spec.host);
  const { netns } = fleet.host(gone.spec.host);
  assert.ok(agent);
  assert.equal(gone.spec.host, web.spec.host);
  const before = { links: workloadLinks(netns), filters: filtersOf(netns) };
  await agent.kill();
  await fleet.removeWorkload(gone.id);
  await agent.start();
  await until('the interface to be gone', PATIENT_MS, async () => workloadLinks(netns).length < before.links.length);
  const left = workloadLinks(netns);
  assert.equal(left.length, before.links.length - 1);
  const ofThose = before.filters.filter((filter) => left.some((ifname) => filter.startsWith(`${ifname} `)));
  assert.deepEqual(filtersOf(netns), ofThose);
  assert.equal(ofThose.length, 2 * left.length);
};

const workloadLinks = (netns: string): string[] => linkNames(netns).filter((name) => /^wr[0-9a-f]{8}$/.test(name));
