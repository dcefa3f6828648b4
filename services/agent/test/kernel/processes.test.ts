// SPDX-License-Identifier: Apache-2.0
/** Agents that come and go over real processes: everybody keeps the name and the place in the tree. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroup2Mount, clockOffsetNs, ensureBpffs } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import type { GetEventsResponse } from '@weir/proto/tetragon/events_pb.js';
import { FineGuidanceSensors } from '@weir/proto/tetragon/sensors_pb.js';
import { createRpcClient } from '@weir/rpc';
import { showProcess } from '../../src/api/processes.ts';
import { kernelProcesses, removeProcesses } from '../../src/apply/kernel/processes.ts';
import { type Processes, startProcesses } from '../../src/processes/start.ts';
import { EMPTY_REPORT } from '../../src/report/report.ts';
import { type Sensors, serveSensors } from '../../src/tetragon/serve.ts';

const PATIENCE_MS = 60_000;
const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const end = performance.now() + PATIENCE_MS; !holds(); await sleep(10))
    if (performance.now() > end) throw new Error(`never: ${what}`);
};

describe('processes of a host', { skip: needKernel() }, () => {
  const bpffsDir = `/sys/fs/bpf/wproc${process.pid}`;
  const children: ChildProcess[] = [];
  const troubles: string[] = [];
  let sensors: Sensors | undefined;
  const agents: Processes[] = [];
  const orphans: number[] = [];
  let cgroup: string;

  const begin = async (): Promise<Processes> => {
    const agent = await startProcesses({
      host: 'here',
      port: kernelProcesses({ bpffsDir, cgroup, argsBytes: 4_096, envBytes: 0 }),
      ...{ clockOffsetNs, argsBytes: 4_096, envBytes: 0 },
      netnsOf: () => [['web', '/proc/self/ns/net']],
      onEvents: async (encoded) => sensors?.publish(encoded),
      onTrouble: (what) => troubles.push(what),
    });
    agents.push(agent);
    return agent;
  };
  const stop = async (): Promise<void> => {
    for (const agent of agents.splice(0)) await agent.stop();
  };
  /** A shell of the cgroup that goes on to run this. */
  const run = (script: string): ChildProcess & { pid: number } => {
    const child = spawn('/bin/sh', ['-c', `echo $$ > ${cgroup}/cgroup.procs; ${script}`], { stdio: 'ignore' });
    children.push(child);
    return child as ChildProcess & { pid: number };
  };

  before(async () => {
    await ensureBpffs(bpffsDir);
    cgroup = join((await cgroup2Mount()) ?? '', `wagent${process.pid}`);
    mkdirSync(cgroup);
  });
  after(async () => {
    await stop();
    for (const pid of orphans) process.kill(pid, 'SIGKILL');
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(bpffsDir, { recursive: true, force: true });
    for (let tries = 0; existsSync(cgroup); tries++) {
      try {
        rmdirSync(cgroup);
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(50);
      }
    }
  });

  test('one agent after another', async () => {
    const early = run('exec sleep 1001');
    await until('the early one sleeps', () => early.pid > 0);
    let agent = await begin();
    const isRunning = (pid: number, binary: string) => (): boolean =>
      agent.cache.byPid(pid)?.binary.toString().endsWith(binary) === true;
    await until('who ran before is known', isRunning(early.pid, '/sleep'));
    const seen = showProcess(agent.cache, String(early.pid));
    assert.equal(seen.arguments.at(-1), '1001');
    assert.equal(seen.workload, 'web');
    assert.equal(seen.cgroup, `/${cgroup.split('/').at(-1)}`);

    const parent = run("exec /bin/sh -c 'sleep 1000 & wait'");
    await until('its child sleeps', () =>
      agent.cache
        .children(agent.cache.byPid(parent.pid) ?? ({} as never))
        .some(({ binary }) => binary.toString().endsWith('/sleep')),
    );
    const shell = showProcess(agent.cache, String(parent.pid));
    const [child] = shell.children;
    assert.ok(child);
    orphans.push(child.pid);
    assert.equal(child.parent_exec_id, shell.exec_id);
    assert.ok(Math.abs(Date.parse(child.start_time) - Date.now()) < PATIENCE_MS);

    // Somebody takes the pins away: nobody is missed, and they are there again.
    const pins = (): string[] => readdirSync(bpffsDir, { recursive: true, encoding: 'utf8' }).sort();
    const all = pins();
    for (const name of readdirSync(bpffsDir))
      if (name !== 'socket_owners') rmSync(join(bpffsDir, name), { recursive: true });
    const between = run('exec sleep 1003');
    await until('who began without pins is known', isRunning(between.pid, '/sleep'));
    assert.equal((await agent.inspect()).length, 16);
    assert.deepEqual(pins(), all);
    assert.deepEqual(await agent.inspect(), []);

    // It ends as a killed one does: programs and maps stay. One process ends and one begins meanwhile.
    await stop();
    early.kill('SIGTERM');
    await once(early, 'exit');
    const late = run('exec sleep 1002');
    agent = await begin();
    await until('who began meanwhile is known', isRunning(late.pid, '/sleep'));
    await until('the tree is there again', isRunning(child.pid, '/sleep'));
    const again = showProcess(agent.cache, String(child.pid));
    assert.deepEqual([again.exec_id, again.parent_exec_id], [child.exec_id, shell.exec_id]);
    assert.deepEqual(again.ancestors.map(({ pid }) => pid)[0], parent.pid);
    assert.deepEqual(again.arguments, ['sleep', '1000']);
    assert.equal(showProcess(agent.cache, String(late.pid)).arguments.at(-1), '1002');
    assert.equal(agent.cache.byPid(early.pid), undefined);

    // What a client of Tetragon sees of a real process: its image with its parent, and its end.
    const socket = join(tmpdir(), `wtetra${process.pid}.sock`);
    sensors = await serveSensors(
      { host: 'here', socket },
      { cache: () => agent.cache, report: () => EMPTY_REPORT, features: [], onTrouble: assert.fail },
    );
    const client = createRpcClient(FineGuidanceSensors, `unix:${socket}`);
    const heard: GetEventsResponse[] = [];
    const hasBegun = ({ event }: GetEventsResponse): boolean => event.case === 'processExec';
    const read = async (): Promise<void> => {
      const allowList = [{ binaryRegex: ['/(sleep|dash|sh|bash|busybox|coreutils)$'], argumentsRegex: ['^1003$'] }];
      for await (const event of client.getEvents({ allowList })) {
        heard.push(event);
        if (event.event.case === 'processExit' && heard.some(hasBegun)) return;
      }
    };
    const reading = read();
    // Whoever has only asked is not listening yet: one is begun after the other until one is heard.
    while (!heard.some(hasBegun)) {
      run('exec timeout 0.2 sleep 1003');
      await sleep(500);
    }
    await reading;
    const [begun, ended] = [heard.find(hasBegun), heard.at(-1)];
    assert.equal(begun?.event.case, 'processExec');
    assert.equal(begun?.nodeName, 'here');
    assert.equal(ended?.event.case === 'processExit' && ended.event.value.signal, 'SIGTERM');
    client.close();
    await sensors?.close();

    late.kill('SIGKILL');
    await once(late, 'exit');
    const { exec_id } = showProcess(agent.cache, String(parent.pid));
    const gone = (): boolean => [...agent.cache.all()].some(({ pid, exit }) => pid === late.pid && exit?.signal === 9);
    await until('the end of one is told', gone);
    assert.equal(exec_id, shell.exec_id);
    assert.equal(agent.counters().lost_exec, 0n);
    assert.deepEqual(troubles, []);

    await stop();
    assert.equal(readdirSync(bpffsDir).length, 7);
    await removeProcesses(bpffsDir);
    // the datapath's
    assert.deepEqual(readdirSync(bpffsDir), ['socket_owners']);
  });
});
