// SPDX-License-Identifier: Apache-2.0
/** Which means attaches a hook on which kernel, what it enforces, and what is said of its limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseBackends, compileRuntimePolicy, parseRuntimePolicies, RUNTIME_FEATURES } from '../src/index.ts';
import { filter, policy } from './cases.ts';

const COMMON = ['tracepoint', 'raw_tracepoint', 'uprobe', 'cgroup_sock_addr', 'fanotify_perm', 'send_signal'];
const KERNELS = { plain: COMMON, full: [...RUNTIME_FEATURES], nothing: [] } as const;

const chosen = (spec: string, kernel: keyof typeof KERNELS) => {
  const { documents, issues } = parseRuntimePolicies(policy(spec));
  assert.deepEqual(issues, []);
  const [one] = documents;
  assert.ok(one);
  const [choice] = chooseBackends(one, KERNELS[kernel]);
  assert.ok(choice);
  return choice;
};
const does = (actions: string): string => `selectors: [{matchActions: [${actions}]}]`;
const KILL = does('{action: Sigkill}');
const DENY = does('{action: Override, argError: -1}');

const ROWS: readonly (readonly [
  string,
  keyof typeof KERNELS,
  string,
  readonly string[],
  readonly string[],
  RegExp | undefined,
])[] = [
  [`kprobes: [{call: sys_openat, ${KILL}}]`, 'plain', 'raw_syscalls', [], ['Sigkill'], /another thread may change/],
  [
    `kprobes: [{call: sys_openat, ${DENY}}]`,
    'plain',
    'raw_syscalls',
    ['fanotify'],
    ['Override'],
    /fanotify while the agent runs/,
  ],
  [`kprobes: [{call: sys_connect, ${DENY}}]`, 'plain', 'raw_syscalls', ['cgroup'], ['Override'], /IPv4 and IPv6 only/],
  [
    `kprobes: [{call: sys_connect, ${does('{action: Override, argError: -13}')}}]`,
    'plain',
    'raw_syscalls',
    [],
    [],
    /EPERM \(argError: -1\) only/,
  ],
  [`kprobes: [{call: sys_mount, ${DENY}}]`, 'plain', 'raw_syscalls', [], [], /the call goes on/],
  [`kprobes: [{call: sys_mount, ${DENY}}]`, 'full', 'kprobe', [], ['Override'], undefined],
  ['kprobes: [{call: sys_mount}]', 'nothing', 'none', [], [], /no raw tracepoints/],
  [`kprobes: [{call: security_file_open, syscall: false, ${DENY}}]`, 'full', 'lsm', [], ['Override'], undefined],
  ['kprobes: [{call: tcp_connect, syscall: false}]', 'full', 'kprobe', [], [], undefined],
  ['kprobes: [{call: tcp_connect, syscall: false}]', 'plain', 'none', [], [], /neither kprobes nor fentry/],
  [`lsmhooks: [{hook: file_open, ${DENY}}]`, 'full', 'lsm', [], ['Override'], undefined],
  [`lsmhooks: [{hook: file_open, ${DENY}}]`, 'plain', 'none', [], [], /refuses LSM programs/],
  [
    `tracepoints: [{subsystem: sched, event: sched_process_exec, ${KILL}}]`,
    'plain',
    'tracepoint',
    [],
    ['Sigkill'],
    /the call itself may have happened/,
  ],
  [
    'tracepoints: [{subsystem: sched, event: sched_process_exec, raw: true}]',
    'plain',
    'raw_tracepoint',
    [],
    [],
    undefined,
  ],
  ['uprobes: [{path: /bin/bash, symbols: [readline]}]', 'plain', 'uprobe', [], [], undefined],
  [
    `uprobes: [{path: /bin/bash, symbols: [readline], ${does('{action: Override, argRegs: [rax=0]}')}}]`,
    'plain',
    'uprobe',
    [],
    [],
    /Override is not possible/,
  ],
  [
    `uprobes: [{path: /bin/bash, symbols: [readline], ${does('{action: Override, argRegs: [rax=0]}')}}]`,
    'full',
    'uprobe',
    [],
    ['Override'],
    undefined,
  ],
  [
    'uprobes: [{path: /bin/bash, args: [{index: 0, type: string}], symbols: [a], selectors: [{matchArgs: [{index: 0, operator: SubString, values: [x]}]}]}]',
    'plain',
    'none',
    [],
    [],
    /bpf_strnstr/,
  ],
];

for (const [spec, kernel, backend, helpers, enforces, limit] of ROWS) {
  test(`${kernel}: ${spec.slice(0, 90)}`, () => {
    const choice = chosen(spec, kernel);
    assert.deepEqual([choice.backend, choice.helpers, choice.enforces], [backend, helpers, enforces]);
    const said = choice.limits.join('\n');
    if (limit) assert.match(said, limit);
    else assert.equal(said.includes('not possible'), false);
  });
}

test('the numbers of system calls are the host’s', () => {
  const text = policy(
    'lists: [{name: dups, type: syscalls, values: [sys_dup, __x64_sys_dup2]}, {name: all, type: generated_syscalls}]\n' +
      'kprobes: [{call: f, syscall: false, args: [{index: 0, type: syscall64}], selectors: [{matchArgs: [{index: 0, operator: InMap, values: ["list:dups"]}]}, {matchArgs: [{index: 0, operator: InMap, values: ["list:all"]}]}]}]',
  );
  const [one] = parseRuntimePolicies(text).documents;
  assert.ok(one);
  assert.match(compileRuntimePolicy(one).unresolved[0]?.message ?? '', /system calls in the list dups are not known/);
  const syscalls = new Map([
    ['dup', 32],
    ['dup2', 33],
    ['openat', 257],
  ]);
  const { unresolved, hooks } = compileRuntimePolicy(one, { syscalls });
  assert.deepEqual(unresolved, []);
  assert.deepEqual(
    hooks[0]?.tables.map((table) => (table.kind === 'ranges' ? table.ranges : [])),
    [
      [{ from: 32n, to: 33n }],
      [
        { from: 32n, to: 33n },
        { from: 257n, to: 257n },
      ],
    ],
  );
});

test('what is a few numbers needs no table', () => {
  const [one] = parseRuntimePolicies(filter('Equal', '"1", "3", "-5"')).documents;
  assert.ok(one);
  const plan = compileRuntimePolicy(one).hooks[0];
  assert.deepEqual(plan?.tables, []);
  assert.equal(plan?.program.length, 8 + 8 + 48);
});
