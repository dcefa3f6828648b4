// SPDX-License-Identifier: Apache-2.0
/**
 * F05: pins, links and the file system that they are in are taken away behind the agent's back. Nothing forbidden passes
 * meanwhile, because programs do not hang on one thing alone: pins do not hold what the agent holds, and behind each
 * link is a filter. There is no prog_array in this datapath that could empty.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { MAPS } from '@weir/bpf';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { openPinnedLink } from '@weir/loader';
import { agentMetric, agentStatus } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { isLong } from '../../lib/size.ts';
import { type Scene, total, watchTraffic } from './scene.ts';

const PATIENT_MS = 60_000;
const ROW_MS = 30_000;

const pinsIn = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => join(dir, name));

/** A link that was detached has no interface. */
const isAttached = (pin: string): boolean => {
  if (!existsSync(pin)) return false;
  const link = openPinnedLink(pin);
  try {
    return Boolean(link.info().ifindex);
  } finally {
    link.close();
  }
};

export const takenAway = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, fleet } = scene;
  const links = pinsIn(join(agent.bpffs, 'links'));
  // what a CPU knows about its packet: held by the programs, found by nobody, so its pin means nothing
  const maps = pinsIn(agent.bpffs).filter((pin) => Object.hasOwn(MAPS, basename(pin)) && basename(pin) !== 'scratch');
  const watchers = pinsIn(join(agent.bpffs, 'process-links'));
  const repairsBefore = (await agentStatus(agent)).repairs.total;
  const watch = await watchTraffic(scene);
  let slowestMs = 0;
  let faults = 0;
  /** Takes away and waits until all of it is back. */
  const fault = async (what: string, act: () => void, isBack: () => boolean): Promise<void> => {
    faults++;
    act();
    const startMs = performance.now();
    await until(`${what} to be back`, PATIENT_MS, async () => isBack());
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  };
  const remove = (pins: readonly string[]): Promise<void> =>
    fault(
      pins.join(' '),
      () => {
        for (const pin of pins) rmSync(pin);
      },
      () => pins.every((pin) => existsSync(pin)),
    );
  // one by one where the row wants it; all at once is the same code on a shorter clock
  for (const pins of isLong ? [...maps, ...links, ...watchers].map((pin) => [pin]) : [[...maps, ...links, ...watchers]])
    await remove(pins);
  for (const pin of isLong ? links : links.slice(0, 1)) {
    await fault(
      `link ${pin}`,
      () => execFileSync('bpftool', ['link', 'detach', 'pinned', pin]),
      () => isAttached(pin),
    );
  }
  const all = [...maps, ...links, ...watchers];
  await fault(
    'the unmounted bpffs',
    () => execFileSync('umount', ['-l', agent.bpffs]),
    () => all.every((pin) => existsSync(pin)) && links.every(isAttached),
  );
  const { forbidden, allowed } = await watch.stop();
  const { repairs } = await agentStatus(agent);
  const metric = await agentMetric(agent, 'weir_agent_repairs_total');
  const told = async (): Promise<number> => {
    const host = await callApi<{ counters: Record<string, number> }>(`${fleet.control.urls.inventory}/v1/hosts/h1`);
    return host.counters.repairs ?? 0;
  };
  // The host's own count, at the next heartbeat.
  await until('the fleet to know of the repairs', ROW_MS, async () => (await told()) >= repairs.total);
  const heartbeat = await told();
  const passed = total(forbidden, 'answered');
  const failed = allowed.refused + allowed.lost;
  const progArrays = Object.values(MAPS).filter(({ type }) => String(type).includes('prog_array')).length;
  const figures = { faults, repaired: repairs.total - repairsBefore, metric, heartbeat, prog_arrays: progArrays };
  report(t, 'F05', { ...figures, slowest_s: (slowestMs / 1000).toFixed(1), passed, allowed_failed: failed }, [
    ['every fault repaired and told in status', repairs.total - repairsBefore >= faults],
    ['told in the metric', metric >= faults],
    ['told to the fleet', heartbeat >= faults],
    ['0 forbidden probes pass', passed === 0 && total(forbidden, 'sent') > 0],
    ['0 allowed connections fail', failed === 0 && allowed.answered > 0],
    ['repaired within 30 s', !isLong || slowestMs <= ROW_MS],
    ['no prog_array', progArrays === 0],
    ['programs that watch processes are among what is put back', watchers.length === 3],
  ]);
};
