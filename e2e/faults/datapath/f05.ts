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
import { type Scene, serveAt, total, watchTraffic } from './scene.ts';

const PATIENT_MS = 60_000;
const ROW_MS = 30_000;
/** Of workloads, and of sockets. */
const LINK_FOLDERS = ['links', 'socket-links'];
/** What a CPU knows about its packet: held by the programs, found by nobody, so a pin of it means nothing. */
const SCRATCH = ['scratch', 'turning_scratch'];
const VIP = { ip4: '203.0.113.92', ip6: '2001:db8:90::92' } as const;

const pinsIn = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => join(dir, name));

/** A link that was detached has no interface, and no cgroup. */
const isAttached = (pin: string): boolean => {
  if (!existsSync(pin)) return false;
  const link = openPinnedLink(pin);
  try {
    const { ifindex, cgroupId } = link.info();
    return Boolean(ifindex || cgroupId);
  } finally {
    link.close();
  }
};

export const takenAway = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, fleet } = scene;
  // So that its maps, and the links of its programs at sockets, are there to be taken away, too.
  const done = await serveAt(scene, 'taken', VIP);
  const links = LINK_FOLDERS.flatMap((folder) => pinsIn(join(agent.bpffs, folder)));
  const maps = pinsIn(agent.bpffs).filter(
    (pin) => Object.hasOwn(MAPS, basename(pin)) && !SCRATCH.includes(basename(pin)),
  );
  const watchers = ['process-links', 'owner-links'].flatMap((links) => pinsIn(join(agent.bpffs, links)));
  const repairsBefore = (await agentStatus(agent)).repairs.total;
  const watch = await watchTraffic(scene);
  let slowestMs = 0;
  let faults = 0;
  /** Takes away and waits until all of it is back. */
  const fault = async (act: () => void, taken: readonly string[], isBack: (pin: string) => boolean): Promise<void> => {
    faults++;
    act();
    const startMs = performance.now();
    const missing = (): string[] => taken.filter((pin) => !isBack(pin));
    await until(
      'what was taken to be back',
      PATIENT_MS,
      async () => missing().length === 0,
      () => missing().join(' '),
    );
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  };
  const remove = (pins: readonly string[]): Promise<void> =>
    fault(
      () => {
        for (const pin of pins) rmSync(pin);
      },
      pins,
      existsSync,
    );
  // one by one where the row wants it; all at once is the same code on a shorter clock
  for (const pins of isLong ? [...maps, ...links, ...watchers].map((pin) => [pin]) : [[...maps, ...links, ...watchers]])
    await remove(pins);
  for (const pin of isLong ? links : links.slice(0, 1)) {
    await fault(() => execFileSync('bpftool', ['link', 'detach', 'pinned', pin]), [pin], isAttached);
  }
  const all = [...maps, ...links, ...watchers];
  await fault(
    () => execFileSync('umount', ['-l', agent.bpffs]),
    all,
    (pin) => (links.includes(pin) ? isAttached(pin) : existsSync(pin)),
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
    ['programs that watch processes are among what is put back', watchers.length === 12],
  ]);
  await done();
};
