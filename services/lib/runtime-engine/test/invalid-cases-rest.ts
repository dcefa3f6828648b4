// SPDX-License-Identifier: Apache-2.0
/** What is refused of filters on processes, of actions, and of what stands beside the hooks. */
import { action, policy, probe } from './cases.ts';
import type { Case } from './invalid-cases-calls.ts';

const SELECTOR = 'spec.kprobes[0].selectors[0]';
const ACTION = `${SELECTOR}.matchActions[0]`;
const uprobe = (rest: string): string => policy(`uprobes:\n- ~{path: /bin/x, ${rest}}`);

export const OTHER_CASES: readonly Case[] = [
  [
    '5 PIDs',
    probe('matchPIDs: [{operator: In, values: ~[1, 2, 3, 4, 5]}]'),
    `${SELECTOR}.matchPIDs[0].values`,
    'values has 5 elements',
  ],
  [
    'a PID that is text',
    probe('matchPIDs: [{operator: In, values: [~"1"]}]'),
    `${SELECTOR}.matchPIDs[0].values[0]`,
    'must be a number, not text',
  ],
  [
    'an operator of PIDs',
    probe('matchPIDs: [{operator: ~Equal, values: [1]}]'),
    `${SELECTOR}.matchPIDs[0].operator`,
    '"Equal" is not one of In, NotIn',
  ],
  [
    'a relative binary',
    probe('matchBinaries: [{operator: In, values: [~sh]}]'),
    `${SELECTOR}.matchBinaries[0].values[0]`,
    'is not an absolute path',
  ],
  [
    'children of a prefix',
    probe('matchBinaries: [{operator: Prefix, values: [/bin], followChildren: ~true}]'),
    `${SELECTOR}.matchBinaries[0].followChildren`,
    'followChildren does not go with Prefix',
  ],
  [
    'an unknown namespace',
    probe('matchNamespaces: [{namespace: ~Mount, operator: In, values: [host_ns]}]'),
    `${SELECTOR}.matchNamespaces[0].namespace`,
    '',
  ],
  [
    'no namespace',
    probe('matchNamespaces: [{namespace: Mnt, operator: In, values: [~host]}]'),
    `${SELECTOR}.matchNamespaces[0].values[0]`,
    '"host" is no namespace',
  ],
  [
    'an unknown capability',
    probe('matchCapabilities: [{operator: In, values: [~CAP_ROOT]}]'),
    `${SELECTOR}.matchCapabilities[0].values[0]`,
    '',
  ],
  [
    'a container by image',
    probe('matchWorkloads: [{containerSelector: ~{matchLabels: {image: x}}}]'),
    `${SELECTOR}.matchWorkloads[0].containerSelector`,
    'containers have no "image" to select by',
  ],
  ['an unknown macro', probe('macros: [~x]'), `${SELECTOR}.macros[0]`, 'there is no macro "x"'],
  [
    'a macro in a macro',
    policy('selectorsMacros: {a: {~macros: [a]}}\nkprobes: [{call: f, selectors: [{macros: [a]}]}]'),
    'spec.selectorsMacros.a.macros',
    'a macro uses no macros',
  ],
  ['an unknown action', action('action: ~Kill'), `${ACTION}.action`, ''],
  [
    'a deprecated action',
    action('action: ~FollowFD'),
    `${ACTION}.action`,
    'FollowFD is deprecated: what a descriptor stands for may change under it; use the argument type fd',
  ],
  ['a signal without number', probe('matchActions: [~{action: Signal}]'), `${ACTION}.argSig`, 'argSig is required'],
  ['a signal of 65', action('action: Signal, argSig: ~65'), `${ACTION}.argSig`, '65 is out of range'],
  [
    'an override without error',
    probe('matchActions: [~{action: Override}]'),
    `${ACTION}.argError`,
    'argError is required',
  ],
  [
    'an override of an error that is none',
    action('action: Override, argError: ~5'),
    `${ACTION}.argError`,
    '5 is out of range',
  ],
  ['a signal of Post', action('action: Post, ~argSig: 9'), `${ACTION}.argSig`, 'Post takes no argSig'],
  ['a rate that is none', action('action: Post, rateLimit: ~1d'), `${ACTION}.rateLimit`, '"1d" is no time'],
  [
    'a scope alone',
    action('action: Post, rateLimitScope: ~global'),
    `${ACTION}.rateLimitScope`,
    'rateLimitScope needs rateLimit',
  ],
  [
    'an unknown scope',
    action('action: Post, rateLimit: 1m, rateLimitScope: ~host'),
    `${ACTION}.rateLimitScope`,
    '"host" is not one of thread, process, global',
  ],
  [
    'an IMA hash of a kprobe',
    action('action: Post, imaHash: ~true'),
    `${ACTION}.imaHash`,
    'imaHash goes with lsmhooks only',
  ],
  ['Set of a kprobe', action('action: ~Set'), `${ACTION}.action`, 'Set does not go with kprobes'],
  [
    'Override of a tracepoint',
    policy('tracepoints: [{subsystem: a, event: b, selectors: [{matchActions: [{action: ~Override, argError: -1}]}]}]'),
    'spec.tracepoints[0].selectors[0].matchActions[0].action',
    'Override does not go with tracepoints',
  ],
  ['a URL that is missing', probe('matchActions: [~{action: GetUrl}]'), `${ACTION}.argUrl`, 'argUrl is required'],
  ['a name that is missing', probe('matchActions: [~{action: DnsLookup}]'), `${ACTION}.argFqdn`, 'argFqdn is required'],
  [
    'post and not',
    probe('~matchActions: [{action: Post}, {action: NoPost}]'),
    `${SELECTOR}.matchActions`,
    'Post and NoPost contradict each other',
  ],
  ['a uprobe without place', uprobe('tags: []'), 'spec.uprobes[0]', 'names no place'],
  ['a uprobe in two ways', uprobe('symbols: [a], offsets: [1]'), 'spec.uprobes[0]', 'names places in several ways'],
  [
    'a digest that is none',
    policy('uprobes: [{path: /x, symbols: [a], binaryDigests: [~"sha256:ab"]}]'),
    'spec.uprobes[0].binaryDigests[0]',
    '"sha256:ab" is no digest',
  ],
  [
    'a relative library',
    policy('usdts: [{path: ~x, provider: a, name: b}]'),
    'spec.usdts[0].path',
    'is not an absolute path',
  ],
  [
    'a list without values',
    policy('lists: [~{name: a, type: syscalls}]\nloader: true'),
    'spec.lists[0].values',
    'the list "a" is empty',
  ],
  [
    'a generated list with values',
    policy('lists: [{name: a, type: generated_syscalls, values: ~[b]}]\nloader: true'),
    'spec.lists[0].values',
    'a list of type generated_syscalls takes no values',
  ],
  [
    'functions without a pattern',
    policy('lists: [~{name: a, type: generated_ftrace}]\nloader: true'),
    'spec.lists[0].pattern',
    'a list of functions needs a pattern',
  ],
  [
    'an unknown type of list',
    policy('lists: [{name: a, type: ~calls, values: [b]}]\nloader: true'),
    'spec.lists[0].type',
    '"calls" is not one of syscalls, generated_syscalls, generated_ftrace',
  ],
  [
    'an unknown option',
    policy('options: [{name: ~mode, value: x}]\nloader: true'),
    'spec.options[0].name',
    '"mode" is not one of policy-mode, disable-kprobe-multi, disable-uprobe-multi',
  ],
  [
    'an unknown mode',
    policy('options: [{name: policy-mode, value: ~audit}]\nloader: true'),
    'spec.options[0].value',
    '"audit" is not one of enforce, monitor',
  ],
  [
    'an enforcer of an unknown list',
    policy('enforcers: [{calls: [~"list:x"]}]'),
    'spec.enforcers[0].calls[0]',
    'there is no list "x"',
  ],
  [
    'a host selector of a namespaced policy',
    policy('~hostSelector: {}\nloader: true', 'TracingPolicyNamespaced'),
    'spec.hostSelector',
    'a namespaced policy is not for hosts',
  ],
  [
    'a host selector with labels',
    policy('hostSelector: ~{matchLabels: {a: b}}\nloader: true'),
    'spec.hostSelector',
    'hostSelector selects no hosts by label',
  ],
];
