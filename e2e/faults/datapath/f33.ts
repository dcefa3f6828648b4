// SPDX-License-Identifier: Apache-2.0
/** F33: one workload floods its host with new connections; the others' events must not be lost. */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { until } from '@weir/infra/fleet';
import { agentMetric, agentStatus } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Scene } from './scene.ts';

const RATE = 20_000;
const SECONDS = size({ short: 2, long: 15 });
const OTHERS_TICK_MS = 100;
const PATIENT_MS = 90_000;
const TICKS_PER_SECOND = 100;

const run = promisify(execFile);

const inside = (netns: string, ...command: string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${netns}`, '--', ...command], { encoding: 'utf8' });

/** CPU time of a process, seconds. */
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
};

export const eventFlood = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, fleet, friend, bystanders } = scene;
  const [flooder, ...others] = bystanders;
  if (!flooder) throw new Error('nobody is there to flood');
  const generator = join(fleet.options.dir, 'flood');
  execFileSync('cc', ['-O2', '-o', generator, new URL('flood.c', import.meta.url).pathname]);
  const mac = /link\/ether (\S+)/.exec(inside(flooder.netns, 'ip', 'link', 'show', 'eth0'))?.[1];
  const gateway = /lladdr (\S+)/.exec(inside(flooder.netns, 'ip', 'neigh', 'show', '169.254.1.1'))?.[1];
  if (!mac || !gateway) throw new Error(`${flooder.id} has no eth0 with neighbour 169.254.1.1`);

  const before = await agentStatus(agent);
  const startsBefore = await agentMetric(agent, 'weir_agent_throttle_changes_total', { change: 'start' });
  const drives = await Promise.all(
    others.map((from) =>
      from.open({ protocol: 'tcp', host: friend.ip4, port: 80, tickMs: OTHERS_TICK_MS, timeoutMs: 10_000 }),
    ),
  );
  const cpuBefore = cpuSeconds(agent.process.pid);
  const startMs = performance.now();
  // a world address nobody has: the flood's connections are the flooder's alone
  const command = [generator, 'eth0', mac, gateway, flooder.ip4, '203.0.113.9', String(RATE), String(SECONDS)];
  const sent = Number((await run('nsenter', [`--net=/run/netns/${flooder.netns}`, '--', ...command])).stdout);
  const cores = (cpuSeconds(agent.process.pid) - cpuBefore) / ((performance.now() - startMs) / 1000);
  const reports = await Promise.all(drives.map((drive) => drive.stop({ drainMs: 10_000 })));
  const find = async () => (await agentStatus(agent)).throttles.find(({ workload }) => workload === flooder.id);
  await until('throttling to begin', PATIENT_MS, async () => (await find()) !== undefined);
  await until('throttling to end', PATIENT_MS, async () => (await find())?.endedMs !== 0);
  const after = await agentStatus(agent);
  const throttle = await find();
  const starts = await agentMetric(agent, 'weir_agent_throttle_changes_total', { change: 'start' });
  const stops = await agentMetric(agent, 'weir_agent_throttle_changes_total', { change: 'stop' });
  const lostRing = after.flows.lost_ring - before.flows.lost_ring;
  const throttledOthers = after.throttles.filter(({ workload }) => workload !== flooder.id).length;
  const held = (after.counters.events_held ?? 0) - (before.counters.events_held ?? 0);
  const failed = reports.reduce((sum, { refused, lost }) => sum + refused + lost, 0);
  const opened = reports.reduce((sum, each) => sum + each.sent, 0);
  const figures = { flood: sent, rate: Math.round(sent / SECONDS), others: others.length, opened, failed };
  const outcome = { lost_ring: lostRing, throttled_others: throttledOthers, held, given_up: throttle?.events ?? 0 };
  const told = { starts: starts - startsBefore, stops, agent_cores: cores.toFixed(2) };
  report(t, 'F33', { ...figures, ...outcome, ...told }, [
    ['others lose 0 events', lostRing === 0 && throttledOthers === 0],
    ["others' connections work", failed === 0 && opened > 0],
    ['flood of new connections throttled', held > 0],
    ['start and stop told', starts > startsBefore && stops > 0],
    ['the agent needs at most one core', !isLong || cores <= 1],
    ['20,000 connections/s in the long form', !isLong || sent >= RATE * SECONDS * 0.9],
  ]);
};
