// SPDX-License-Identifier: Apache-2.0
/** What is refused: each document with `~` before the place that is wrong; the issue names path, line, column, and a fix. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRuntimePolicies } from '../src/index.ts';
import { action, filter, policy, probe } from './cases.ts';

const SELECTOR = 'spec.kprobes[0].selectors[0]';
const FILTER = `${SELECTOR}.matchArgs[0]`;
const ACTION = `${SELECTOR}.matchActions[0]`;
const hook = (rest: string): string => policy(`kprobes:\n- call: f\n  ${rest.replaceAll('\n', '\n  ')}`);
const uprobe = (rest: string): string => policy(`uprobes:\n- ~{path: /bin/x, ${rest}}`);

const CASES: readonly (readonly [name: string, marked: string, path: string, message: string])[] = [
  [
    'another kind',
    policy('loader: true', '~NetworkPolicy'),
    'kind',
    '"NetworkPolicy" is not one of TracingPolicy, TracingPolicyNamespaced',
  ],
  [
    'another version',
    policy('loader: true').replace('cilium', '~cilium').replace('v1alpha1', 'v2'),
    'apiVersion',
    'apiVersion "cilium.io/v2" has no kind TracingPolicy',
  ],
  ['no hooks', policy('~lists: []'), 'spec', 'has no hooks'],
  ['an unknown field', policy('~kprobez: []\nloader: true'), 'spec.kprobez', 'unknown field "kprobez"'],
  ['an unknown field of a hook', hook('~retrun: true'), 'spec.kprobes[0].retrun', 'unknown field "retrun"'],
  ['no call', policy('kprobes:\n- ~syscall: true'), 'spec.kprobes[0].call', 'call is required'],
  ['a call that is no name', policy('kprobes:\n- call: ~a b'), 'spec.kprobes[0].call', '"a b" is not a name'],
  ['a call of an unknown list', policy('kprobes:\n- call: ~list:x'), 'spec.kprobes[0].call', 'there is no list "x"'],
  [
    'an unknown type',
    hook('args: [{index: 0, type: ~integer}]').replace('integer', 'float128'),
    'spec.kprobes[0].args[0].type',
    '',
  ],
  ['an argument without place', hook('args: [~{type: int}]'), 'spec.kprobes[0].args[0].index', 'index is required'],
  [
    'an argument twice',
    hook('args: [{index: 1, type: int}, {index: 1, type: int}]').replace('- call', '- ~call'),
    'spec.kprobes[0].args[1]',
    'argument 1 is given twice',
  ],
  [
    'a size of an int',
    hook('args: [{index: 0, type: int, sizeArgIndex: ~2}]'),
    'spec.kprobes[0].args[0].sizeArgIndex',
    'a int has no size',
  ],
  [
    'members that are none',
    hook('args: [{index: 0, type: int, resolve: ~a..b}]'),
    'spec.kprobes[0].args[0].resolve',
    '"a..b" names no members',
  ],
  [
    'data from nowhere',
    hook('data: [{type: int, source: ~task, resolve: a}]'),
    'spec.kprobes[0].data[0].source',
    '"task" is not one of current_task, pt_regs',
  ],
  [
    'data of what',
    hook('data: [~{type: int, source: current_task}]'),
    'spec.kprobes[0].data[0].resolve',
    'resolve is required',
  ],
  [
    'return without an argument',
    policy('kprobes:\n- ~call: f\n  return: true'),
    'spec.kprobes[0].returnArg',
    'returnArg is required',
  ],
  [
    'a return argument alone',
    hook('~returnArg: {index: 0, type: int}'),
    'spec.kprobes[0].returnArg',
    'returnArg needs return: true',
  ],
  [
    'a return action of its own',
    hook('returnArgAction: ~Sigkill'),
    'spec.kprobes[0].returnArgAction',
    '"Sigkill" is not one of Post, TrackSock, UntrackSock',
  ],
  [
    '17 tags',
    hook(`tags: ~[${Array.from({ length: 17 }, (_, at) => `t${at}`).join()}]`),
    'spec.kprobes[0].tags',
    'tags has 17 elements',
  ],
  ['a message too long', hook(`message: ~${'é'.repeat(129)}`), 'spec.kprobes[0].message', 'has 258 bytes'],
  [
    '6 selectors',
    hook('selectors: ~[{}, {}, {}, {}, {}, {}]'),
    'spec.kprobes[0].selectors',
    'selectors has 6 elements',
  ],
  [
    '6 filters',
    probe(`matchArgs: ~[${Array(6).fill('{index: 0, operator: Equal, values: ["1"]}').join()}]`),
    `${SELECTOR}.matchArgs`,
    'matchArgs has 6 elements',
  ],
  [
    'an argument that is not told',
    probe('matchArgs: [{index: ~1, operator: Equal, values: ["1"]}]'),
    `${FILTER}.index`,
    'args has no argument 1',
  ],
  ['no place', probe('matchArgs: [~{operator: Equal, values: ["1"]}]'), `${FILTER}.index`, 'index is required'],
  ['no operator', probe('matchArgs: [~{index: 0, values: ["1"]}]'), `${FILTER}.operator`, 'operator is required'],
  ['an unknown operator', filter('~Equals', '"1"'), `${FILTER}.operator`, ''],
  [
    'an expression',
    filter('~CelExpr', '"1"'),
    `${FILTER}.operator`,
    'CelExpr is not supported: an expression has no bounded cost in the kernel',
  ],
  ['a port of a number', filter('~DPort', '"1"'), `${FILTER}.operator`, 'DPort does not go with the type int'],
  ['a number of a text', filter('~GT', '"1"', 'string'), `${FILTER}.operator`, 'GT does not go with the type string'],
  ['a filter on auto', filter('~Equal', '"1"', 'auto'), `${FILTER}.operator`, 'Equal does not go with the type auto'],
  ['no values', probe('matchArgs: [~{index: 0, operator: Equal}]'), `${FILTER}.values`, 'values is required'],
  [
    'empty values',
    probe('matchArgs: [{index: 0, operator: Equal, values: ~[]}]'),
    `${FILTER}.values`,
    'values is empty',
  ],
  [
    'values where none belong',
    probe('matchArgs: [{index: 0, operator: DPortPriv, values: ~["1"]}]', 'sock'),
    `${FILTER}.values`,
    'DPortPriv takes no values',
  ],
  [
    'two values of GT',
    probe('matchArgs: [{index: 0, operator: GT, values: ~["1", "2"]}]'),
    `${FILTER}.values`,
    'GT takes one value',
  ],
  ['a value that is no text', filter('Equal', '~1'), `${FILTER}.values[0]`, 'must be text, not a number'],
  ['no number', filter('Equal', '~"x"'), `${FILTER}.values[0]`, '"x" is not a number'],
  ['a number too large', filter('Equal', '~"256"', 'uint8'), `${FILTER}.values[0]`, '256 does not fit into uint8'],
  ['a negative number', filter('Equal', '~"-1"', 'uint64'), `${FILTER}.values[0]`, '-1 does not fit into uint64'],
  ['a mask of nothing', filter('Mask', '~"0"'), `${FILTER}.values[0]`, 'a mask of 0 matches nothing'],
  ['a range turned round', filter('InRange', '~"5:2"'), `${FILTER}.values[0]`, 'the range 5:2 is empty'],
  ['no range', filter('InRange', '~"1:2:3"'), `${FILTER}.values[0]`, '"1:2:3" is not a range'],
  ['a port too large', filter('SPort', '~"65536"', 'sock'), `${FILTER}.values[0]`, '"65536" is not a port'],
  ['no address', filter('DAddr', '~"10.0.0"', 'sock'), `${FILTER}.values[0]`, ''],
  ['an unknown protocol', filter('Protocol', '~"TCP"', 'sock'), `${FILTER}.values[0]`, ''],
  [
    'an unknown file type',
    filter('FileType', '~"file"', 'file'),
    `${FILTER}.values[0]`,
    '"file" is not one of reg, dir, lnk, sock, chr, blk, fifo',
  ],
  ['an empty prefix', filter('Prefix', '~""', 'string'), `${FILTER}.values[0]`, 'is empty and would match everything'],
  ['a prefix too long', filter('Prefix', `~"${'a'.repeat(257)}"`, 'string'), `${FILTER}.values[0]`, 'has 257 bytes'],
  ['a postfix too long', filter('Postfix', `~"${'a'.repeat(129)}"`, 'string'), `${FILTER}.values[0]`, 'has 129 bytes'],
  [
    'a substring too long',
    filter('SubString', `~"${'a'.repeat(101)}"`, 'string'),
    `${FILTER}.values[0]`,
    'has 101 bytes',
  ],
  ['a zero byte', filter('Equal', '~"a\\0b"', 'string'), `${FILTER}.values[0]`, 'holds a zero byte'],
  ['an unknown list', filter('InMap', '~"list:x"', 'syscall64'), `${FILTER}.values[0]`, 'there is no list "x"'],
  [
    'capabilities of one',
    probe('matchArgs: [~{args: [0], operator: CapabilitiesGained}]', 'kernel_cap_t'),
    FILTER,
    'CapabilitiesGained compares 2 of args',
  ],
  [
    'returns without return',
    probe('~matchReturnArgs: [{index: 0, operator: Equal, values: ["1"]}]'),
    `${SELECTOR}.matchReturnArgs`,
    'matchReturnArgs needs the return value of the hook',
  ],
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

for (const [name, marked, path, message] of CASES) {
  test(`refused: ${name}`, () => {
    const at = marked.indexOf('~');
    assert.ok(at >= 0, 'the case marks a place');
    const before = marked.slice(0, at).split('\n');
    const { documents, issues } = parseRuntimePolicies(marked.slice(0, at) + marked.slice(at + 1));
    const found = issues.find((issue) => issue.path === path && (message === '' || issue.message === message));
    assert.ok(found, `no such issue: ${path}: ${message}\nbut: ${JSON.stringify(issues, null, 1)}`);
    assert.deepEqual(documents, [], 'nothing of it may be used');
    assert.deepEqual([found.line, found.column], [before.length, (before.at(-1) ?? '').length + 1], 'line and column');
    assert.ok(found.fix, 'a fix');
  });
}

test('what is wrong in a macro is told once', () => {
  const text = policy(
    'selectorsMacros: {a: {matchPIDs: [{operator: Out, values: [1]}]}}\nkprobes: [{call: f, selectors: [{macros: [a]}, {macros: [a]}]}]',
  );
  assert.equal(parseRuntimePolicies(text).issues.length, 1);
});

test('hostile texts end soon', () => {
  const many = policy(`kprobes: [${'{call: f, selectors: [{matchPIDs: [{operator: X}]}]}, '.repeat(2000)}]`);
  assert.ok(parseRuntimePolicies(many).issues.length <= 100);
  assert.throws(() => parseRuntimePolicies('a'.repeat((1 << 20) + 1)), { code: 'TOO_LARGE' });
  for (const text of [
    '',
    '[]',
    'spec',
    'kind: TracingPolicy',
    `${policy('kprobes: 1')}---\n[`,
    policy('kprobes: [null]'),
  ]) {
    const { documents, issues } = parseRuntimePolicies(text);
    assert.deepEqual(documents, []);
    assert.ok(issues.length > 0, text);
  }
});
