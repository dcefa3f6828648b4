// SPDX-License-Identifier: Apache-2.0
/** A host of its own cgroup with runtime policies, and processes in it that make calls. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroup2Mount, clockOffsetNs, ensureBpffs } from '@weir/loader';
import { parseRuntimePolicy } from '@weir/runtime-engine';
import { kernelProcesses } from '../../src/apply/kernel/processes.ts';
import { KernelRuntime } from '../../src/apply/kernel/runtime.ts';
import { type Processes, startProcesses } from '../../src/processes/start.ts';
import type { RuntimeCall, RuntimeValue } from '../../src/runtime/events.ts';
import type { RuntimeReport, RuntimeWorkload } from '../../src/runtime/port.ts';

const PATIENCE_MS = 60_000;
export const KILLED = 128 + 9;

export const shown = (value: RuntimeValue | undefined): unknown => {
  if (!value) return undefined;
  if (value.kind === 'number') return value.value;
  if (value.kind === 'address') return `${value.address} ${value.port}`;
  return value.kind === 'none' ? null : value.bytes.toString();
};

/** The path of openat. */
export const PATH_ARG = { args: [{ index: 1, type: 'string' }] };

export const hook = (call: string, selector: object = {}, more: object = {}) => ({
  kprobes: [{ call: `sys_${call}`, syscall: true, args: [], ...more, selectors: [selector] }],
});

/** For a `describe`: what it needs is there before, and gone after. */
export const runtimeScene = () => {
  const bpffsDir = `/sys/fs/bpf/wrun${process.pid}`;
  const dir = mkdtempSync(join(tmpdir(), 'weir-runtime-'));
  const calls: RuntimeCall[] = [];
  const troubles: unknown[] = [];
  let cgroup: string;
  let processes: Processes;
  let runtime: KernelRuntime;
  let revision = 0n;

  const begin = (): KernelRuntime =>
    new KernelRuntime(
      { bpffsDir, cgroup },
      { onCalls: (told) => calls.push(...told), onTrouble: (what, cause) => troubles.push(what, cause) },
    );

  const policyOf = (spec: unknown, name = 'p', more: object = {}) => {
    revision++;
    const kind = 'namespace' in more ? 'TracingPolicyNamespaced' : 'TracingPolicy';
    const document = { apiVersion: 'cilium.io/v1alpha1', kind, metadata: { name, ...more }, spec };
    return { subject: name, revision, policy: parseRuntimePolicy(document) };
  };
  const load = async (spec: unknown, workloads: RuntimeWorkload[] = []): Promise<RuntimeReport> => {
    const [report] = await runtime.apply([policyOf(spec)], workloads);
    assert.ok(report);
    return report;
  };

  /** In the host's cgroup; 128 + signal when it was killed. */
  const run = (script: string, inside = cgroup): number => {
    const { status, signal } = spawnSync('/bin/sh', ['-c', `echo $$ > ${inside}/cgroup.procs && ${script}`], {
      stdio: 'ignore',
    });
    return status ?? (signal === 'SIGKILL' ? KILLED : -1);
  };
  /** Calls that `script` was told of, once the last one that it makes is. */
  let toldBefore = 0n;
  const told = async (script: string): Promise<RuntimeCall[]> => {
    calls.length = 0;
    run(script);
    const total = (): bigint => runtime.counts().reduce((sum, { counts }) => sum + (counts.post ?? 0n), 0n);
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(10))
      if (BigInt(calls.length) + toldBefore >= total()) break;
    toldBefore = total();
    return [...calls];
  };
  /** The process is told of by another ring. */
  const binaryOf = async ({ pid, execNs }: RuntimeCall): Promise<string> => {
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(10)) {
      const found = [...processes.cache.all()].find((one) => one.pid === pid && one.facts.exec_ns === execNs);
      if (found) return String(found.binary);
    }
    throw new Error(`nobody knows the process ${pid}`);
  };
  const fresh = async (spec: unknown, workloads: RuntimeWorkload[] = []): Promise<RuntimeReport> => {
    const report = await load(spec, workloads);
    toldBefore = 0n;
    assert.deepEqual(
      [report.state, report.hooks.map(({ backend }) => backend)],
      ['loaded', report.hooks.map(() => 'raw_syscalls')],
      report.hooks[0]?.limits.join('; '),
    );
    return report;
  };

  before(async () => {
    await ensureBpffs(bpffsDir);
    cgroup = join((await cgroup2Mount()) ?? '', `wruntime${process.pid}`);
    mkdirSync(join(cgroup, 'web'), { recursive: true });
    mkdirSync(join(cgroup, 'db'));
    processes = await startProcesses({
      ...{ host: 'here', clockOffsetNs, argsBytes: 4_096, envBytes: 0 },
      port: kernelProcesses({ bpffsDir, cgroup, argsBytes: 4_096, envBytes: 0 }),
      netnsOf: () => [],
      onEvents: async () => {},
      onTrouble: (what) => troubles.push(what),
    });
    runtime = begin();
    writeFileSync(join(dir, 'secret'), 'x');
  });
  after(async () => {
    await runtime?.apply([], []);
    await processes?.stop();
    rmSync(bpffsDir, { recursive: true, force: true });
    rmSync(dir, { recursive: true, force: true });
    for (const name of ['web', 'db', ''])
      for (let tries = 0; tries < 100; tries++) {
        try {
          rmdirSync(join(cgroup, name));
          break;
        } catch {
          await sleep(50);
        }
      }
    assert.deepEqual(troubles, []);
  });
  return {
    bpffsDir,
    dir,
    get cgroup() {
      return cgroup;
    },
    get runtime() {
      return runtime;
    },
    /** Another agent in the place of this one. */
    replace: async (): Promise<void> => {
      await runtime.stop();
      runtime = begin();
    },
    ...{ policyOf, load, run, told, binaryOf, fresh },
  };
};
