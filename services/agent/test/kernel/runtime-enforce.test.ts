// SPDX-License-Identifier: Apache-2.0
/** What runtime policies do to real processes: whom, until when, and whatever becomes of the agent. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import type { RuntimeWorkload } from '../../src/runtime/port.ts';
import { hook, KILLED, PATH_ARG, runtimeScene } from '../support/runtime-scene.ts';

describe('enforcing runtime policies', { skip: needKernel() }, () => {
  const scene = runtimeScene();
  const { bpffsDir, dir, policyOf, load, run, told, fresh } = scene;

  const shadow = (action: object, more: object = {}) => ({
    ...hook(
      'openat',
      { matchArgs: [{ index: 1, operator: 'Equal', values: [`${dir}/secret`] }], matchActions: [action] },
      PATH_ARG,
    ),
    ...more,
  });
  const REACH = `exec cat ${dir}/secret`;

  it('Sigkill and Signal end who does it; monitor only counts', async () => {
    const report = await fresh(shadow({ action: 'Sigkill' }));
    assert.deepEqual(report.hooks[0]?.enforces, ['Sigkill']);
    assert.equal(run(REACH), KILLED);
    assert.equal(run('exec cat /etc/hostname'), 0);
    await fresh(shadow({ action: 'Signal', argSig: 15 }));
    assert.equal(spawnSync('/bin/sh', ['-c', `echo $$ > ${scene.cgroup}/cgroup.procs; ${REACH}`]).signal, 'SIGTERM');
    await fresh(shadow({ action: 'Sigkill' }, { options: [{ name: 'policy-mode', value: 'monitor' }] }));
    const [call] = await told(REACH);
    assert.deepEqual([call?.signal, call?.isMonitored], [9, true]);
    assert.deepEqual(
      scene.runtime.counts().map(({ counts }) => [counts.signal, counts.monitor_signal]),
      [[0n, 1n]],
    );
  });

  it('for some workloads, for the host, and for those of a namespace', async () => {
    const workload = (name: string): RuntimeWorkload => ({
      labels: [`k8s:app=${name}`],
      namespace: name === 'web' ? 'prod' : 'default',
      netns: '',
      cgroup: name,
    });
    const both = [workload('web'), workload('db')];
    const kill = shadow({ action: 'Sigkill' });
    const who = (): number[] => ['web', 'db', ''].map((name) => run(REACH, join(scene.cgroup, name)));
    await fresh({ ...kill, podSelector: { matchLabels: { app: 'web' } } }, both);
    assert.deepEqual(who(), [KILLED, 0, 0]);
    await fresh({ ...kill, hostSelector: {} }, both);
    assert.deepEqual(who(), [0, 0, KILLED]);
    await fresh({ ...kill, hostSelector: {}, podSelector: { matchLabels: { app: 'db' } } }, both);
    assert.deepEqual(who(), [0, KILLED, KILLED]);
    await scene.runtime.apply([policyOf(kill, 'p', { namespace: 'prod' })], both);
    assert.deepEqual(who(), [KILLED, 0, 0]);
    await scene.runtime.apply([policyOf(kill, 'p', { namespace: 'prod' })], [workload('db')]);
    assert.deepEqual(who(), [0, 0, 0]);
  });

  it('enforced while nobody is there, and by who comes after', async () => {
    const one = policyOf(shadow({ action: 'Sigkill' }));
    await scene.runtime.apply([one], []);
    await scene.replace();
    assert.equal(run(REACH), KILLED);
    await scene.runtime.apply([one], []);
    assert.equal(run(REACH), KILLED);
    assert.equal(scene.runtime.counts()[0]?.counts.signal, 1n);
    for (const name of readdirSync(bpffsDir))
      if (name.startsWith('runtime')) rmSync(join(bpffsDir, name), { recursive: true });
    assert.equal(run(REACH), KILLED);
    assert.equal((await scene.runtime.inspect()).length, 11);
    assert.deepEqual(await scene.runtime.inspect(), []);
  });

  it('a policy changes while somebody tries without end: nobody gets through', async () => {
    const spec = shadow({ action: 'Sigkill' });
    await scene.runtime.apply([policyOf(spec)], []);
    const tries = `${dir}/tries`;
    writeFileSync(tries, `#!/bin/sh\nfor i in $(seq 300); do sh -c 'cat ${dir}/secret' && echo through; done\n`, {
      mode: 0o755,
    });
    const attacker = spawn('/bin/sh', ['-c', `echo $$ > ${scene.cgroup}/cgroup.procs && exec sh ${tries}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let out = '';
    attacker.stdout.on('data', (data) => {
      out += data;
    });
    let ended = false;
    attacker.on('close', () => {
      ended = true;
    });
    for (let round = 0; !ended; round++) {
      if (round % 4 === 3) {
        await scene.replace();
      }
      await scene.runtime.apply([policyOf(spec, round % 2 ? 'p' : 'q')], []);
    }
    assert.equal(out, '');
  });

  it('what cannot be attached says why', async () => {
    const reason = async (spec: unknown): Promise<string> => {
      const { state, hooks } = await load(spec);
      return `${state} ${hooks[0]?.backend}: ${hooks[0]?.limits[0]}`;
    };
    assert.match(
      await reason(hook('no_such_call')),
      /^error none: no system call of this host is called "no_such_call"/,
    );
    assert.match(
      await reason({ tracepoints: [{ subsystem: 'sched', event: 'sched_switch' }] }),
      /^error none: this kernel lets BPF attach to no tracepoint/,
    );
    assert.match(await reason(shadow({ action: 'Override', argError: -1 })), /^partly raw_syscalls: .*/);
  });
});
