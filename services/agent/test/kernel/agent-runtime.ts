// SPDX-License-Identifier: Apache-2.0
/** A runtime policy on its way through an agent, and a real process that does what it forbids. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askLocal } from '../support/agent-process.ts';
import type { ControlPlane } from '../support/control-plane.ts';

const PATIENCE_MS = 60_000;
const KEY = 'TracingPolicy/-/guard';

interface Place {
  readonly plane: ControlPlane;
  readonly dir: string;
  readonly socket: string;
  readonly bpffs: string;
  kill(): Promise<unknown>;
  start(): Promise<void>;
}

interface Shown {
  readonly policies: readonly { readonly counts: readonly { readonly signal: number }[] }[];
  readonly calls: readonly { readonly policy: string; readonly arguments: unknown; readonly signal: number }[];
}

const guard = (path: string): string => {
  const matchArgs = [{ index: 1, operator: 'Equal', values: [path] }];
  const selectors = [{ matchArgs, matchActions: [{ action: 'Sigkill' }] }];
  const hook = { call: 'sys_openat', syscall: true, args: [{ index: 1, type: 'string' }], selectors };
  const metadata = { name: 'guard' };
  return JSON.stringify({
    ...{ apiVersion: 'cilium.io/v1alpha1', kind: 'TracingPolicy', metadata },
    spec: { kprobes: [hook] },
  });
};

const told = async (socket: string): Promise<Shown> => {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(20)) {
    const shown: Shown = JSON.parse((await askLocal(socket, '/runtime')).body);
    if (shown.calls.length > 0) return shown;
  }
  throw new Error('nobody told of the call');
};

export const runtimePolicy = async ({ plane, dir, socket, bpffs, kill, start }: Place): Promise<void> => {
  const guarded = join(dir, 'guarded');
  const reach = (): string | null => spawnSync('/bin/cat', [guarded]).signal;
  assert.equal(reach(), null);
  const value = { key: KEY, policyRevision: 1n, document: guard(guarded) };
  await plane.put('runtimePolicy', KEY, { case: 'runtimePolicy', value });
  const { runtimePolicies, errors } = await plane.realised('h1');
  assert.deepEqual(errors, []);
  assert.deepEqual(
    runtimePolicies.map(({ state, hooks }) => [state, hooks[0]?.backend, hooks[0]?.enforces]),
    [['loaded', 'raw_syscalls', ['Sigkill']]],
  );
  assert.equal(reach(), 'SIGKILL');
  const { policies, calls } = await told(socket);
  assert.deepEqual([calls[0]?.policy, calls[0]?.arguments, calls[0]?.signal], [KEY, [guarded], 9]);
  assert.equal(policies[0]?.counts[0]?.signal, 1);
  await kill();
  assert.equal(reach(), 'SIGKILL');
  await start();
  assert.equal(reach(), 'SIGKILL');
  await plane.remove('runtimePolicy', KEY);
  await plane.realised('h1');
  assert.equal(reach(), null);
  assert.deepEqual(
    readdirSync(bpffs).filter((name) => name.startsWith('runtime')),
    [],
  );
};
