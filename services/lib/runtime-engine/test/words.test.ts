// SPDX-License-Identifier: Apache-2.0
/** Every value of every list that a TracingPolicy may hold is taken where it belongs, and nowhere else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRuntimePolicies, parseRuntimePolicy, type RuntimePolicy } from '../src/index.ts';
import {
  ACTIONS,
  ACTIONS_REFUSED,
  ARG_OPERATORS,
  ARG_TYPE_NAMES,
  ARG_TYPES,
  type ArgClass,
  type ArgType,
  BINARY_OPERATORS,
  CAPABILITIES,
  CAPABILITY_SETS,
  FAMILIES,
  FILE_TYPES,
  LIST_TYPES,
  NAMESPACES,
  OPTIONS,
  PROTOCOLS,
  RATE_SCOPES,
  RETURN_ARG_ACTIONS,
  SET_OPERATORS,
  SOURCES_OF_DATA,
  TCP_STATES,
} from '../src/words.ts';
import { action, filter, policy, probe } from './cases.ts';

const taken = (text: string): RuntimePolicy => {
  const { documents, issues } = parseRuntimePolicies(text);
  assert.deepEqual(issues, [], text);
  const [one] = documents;
  assert.ok(one);
  assert.deepEqual(
    { ...parseRuntimePolicy(one.json), position: 0, hooks: 0, warnings: 0 },
    { ...one, position: 0, hooks: 0, warnings: 0 },
  );
  return one;
};

/** 9.5 of the acceptance list, written out: a word that falls out of a list is seen. */
const OPERATORS =
  'Equal NotEqual Prefix NotPrefix Postfix NotPostfix GreaterThan LessThan GT LT Mask SPort NotSPort SPortPriv NotSportPriv DPort NotDPort DPortPriv NotDPortPriv SAddr NotSAddr DAddr NotDAddr Protocol Family State InMap NotInMap CapabilitiesGained InRange NotInRange SubString SubStringIgnCase FileType NotFileType';
const TYPES =
  'auto int sint8 int8 uint8 sint16 int16 uint16 uint32 sint32 int32 ulong uint64 size_t long sint64 int64 char_buf char_iovec skb sock sockaddr socket sockaddr_un string fd file filename path nop bpf_attr perf_event bpf_map user_namespace capability kiocb iov_iter cred const_buf load_info module syscall64 kernel_cap_t cap_inheritable cap_permitted cap_effective linux_binprm data_loc net_device bpf_cmd dentry bpf_prog';

test('the lists are whole', () => {
  assert.deepEqual(Object.keys(ARG_OPERATORS).sort(), OPERATORS.split(' ').sort());
  assert.deepEqual([...ARG_TYPE_NAMES].sort(), TYPES.split(' ').sort());
  assert.deepEqual(
    Object.values(ACTIONS),
    Array.from({ length: 15 }, (_, at) => at + 1),
  );
  assert.equal(CAPABILITIES.length, 41);
  assert.deepEqual([CAPABILITIES[21], CAPABILITIES[39]], ['CAP_SYS_ADMIN', 'CAP_BPF']);
});

test('every type of an argument', () => {
  for (const type of ARG_TYPE_NAMES) {
    const [hook] = taken(policy(`kprobes: [{call: f, args: [{index: 0, type: ${type}}]}]`)).hooks;
    assert.equal(hook?.args[0]?.type, type);
  }
});

const VALUES: Readonly<Record<string, string>> = {
  equal: '"1"',
  range: '"1:5"',
  'source-port': '"80:90"',
  'destination-port': '"443"',
  'source-address': '"10.0.0.0/8"',
  'destination-address': '"2001:db8::1"',
  protocol: '"IPPROTO_TCP"',
  family: '"AF_INET6"',
  state: '"TCP_LISTEN"',
  'file-type': '"reg"',
};

test('every operator with every type', () => {
  const classOf = (type: ArgType): ArgClass => ARG_TYPES[type].class;
  for (const [operator, { comparison, classes, values }] of Object.entries(ARG_OPERATORS)) {
    for (const type of ARG_TYPE_NAMES) {
      const two = comparison === 'capabilities-gained';
      const text = two
        ? policy(
            `kprobes: [{call: f, args: [{index: 0, type: ${type}}, {index: 1, type: ${type}}], selectors: [{matchArgs: [{args: [0, 1], operator: ${operator}}]}]}]`,
          )
        : filter(operator, values === 'none' ? '' : (VALUES[comparison] ?? '"1"'), type);
      if (classes.includes(classOf(type))) {
        assert.equal(taken(text).hooks[0]?.selectors[0]?.args[0]?.comparison, comparison);
      } else {
        const { documents, issues } = parseRuntimePolicies(text);
        assert.deepEqual(documents, []);
        assert.equal(issues[0]?.message, `${operator} does not go with the type ${type}`);
      }
    }
  }
});

const VALUED: readonly (readonly [string, string, readonly string[]])[] = [
  ['Protocol', 'sock', Object.keys(PROTOCOLS)],
  ['Family', 'sock', Object.keys(FAMILIES)],
  ['State', 'sock', Object.keys(TCP_STATES)],
  ['FileType', 'file', Object.keys(FILE_TYPES)],
  ['Equal', 'capability', CAPABILITIES],
];

test('every name of a value', () => {
  for (const [operator, type, names] of VALUED) {
    const got = taken(filter(operator, names.map((name) => `"${name}"`).join(), type)).hooks[0]?.selectors[0]?.args[0]
      ?.values;
    assert.equal(got?.length, names.length);
  }
});

const ACTION_FIELDS: Readonly<Record<string, string>> = {
  Override: ', argError: -1',
  Signal: ', argSig: 10',
  GetUrl: ', argUrl: "http://127.0.0.1/"',
  DnsLookup: ', argFqdn: example.com',
  TrackSock: ', argSock: 0',
  UntrackSock: ', argSock: 0',
  NotifyEnforcer: ', argError: -1, argSig: 9',
};

test('every action', () => {
  for (const name of Object.keys(ACTIONS)) {
    if (name in ACTIONS_REFUSED) continue;
    const text =
      name === 'Set'
        ? policy(
            'usdts: [{path: /x, provider: p, name: n, selectors: [{matchActions: [{action: Set, argIndex: 1, argValue: 5}]}]}]',
          )
        : action(`action: ${name}${ACTION_FIELDS[name] ?? ''}`);
    assert.equal(taken(text).hooks[0]?.selectors[0]?.actions[0]?.action, name);
  }
  for (const scope of RATE_SCOPES) {
    const text = action(
      `action: Post, rateLimit: 5m, rateLimitScope: ${scope}, kernelStackTrace: true, userStackTrace: true`,
    );
    assert.deepEqual(taken(text).hooks[0]?.selectors[0]?.actions[0], {
      action: 'Post',
      rateLimitMs: 300_000,
      rateLimitScope: scope,
      kernelStackTrace: true,
      userStackTrace: true,
    });
  }
  for (const [text, ms] of [
    ['7', 7_000],
    ['7s', 7_000],
    ['2h', 7_200_000],
  ] as const) {
    assert.equal(
      taken(action(`action: Post, rateLimit: "${text}"`)).hooks[0]?.selectors[0]?.actions[0]?.rateLimitMs,
      ms,
    );
  }
  taken(
    policy(
      'lsmhooks: [{hook: file_open, selectors: [{matchActions: [{action: Post, imaHash: true}, {action: Override, argError: -13}]}]}]',
    ),
  );
  taken(
    policy(
      'uprobes: [{path: /x, addrs: [5], selectors: [{matchActions: [{action: Override, argRegs: [rax=0, "rip=(%rsp)%8"]}]}]}]',
    ),
  );
});

test('every word of the filters of processes', () => {
  for (const operator of SET_OPERATORS) {
    taken(probe(`matchPIDs: [{operator: ${operator}, values: [0, 1], isNamespacePID: true, followForks: true}]`));
    taken(probe(`matchNamespaceChanges: [{operator: ${operator}, values: [${NAMESPACES.join()}]}]`));
    for (const namespace of NAMESPACES) {
      taken(
        probe(`matchNamespaces: [{namespace: ${namespace}, operator: ${operator}, values: [host_ns, "4026531840"]}]`),
      );
    }
    for (const type of CAPABILITY_SETS) {
      for (const name of ['matchCapabilities', 'matchCapabilityChanges']) {
        taken(
          probe(
            `${name}: [{type: ${type}, operator: ${operator}, isNamespaceCapability: true, values: [${CAPABILITIES.join()}]}]`,
          ),
        );
      }
    }
  }
  for (const operator of BINARY_OPERATORS) {
    const follow = operator.endsWith('In') ? ', followChildren: true' : '';
    for (const name of ['matchBinaries', 'matchParentBinaries']) {
      taken(probe(`${name}: [{operator: ${operator}, values: [/usr/bin/cat]${follow}}]`));
    }
  }
  taken(
    probe(
      'matchWorkloads: [{podSelector: {matchLabels: {"k8s:app": a}}, containerSelector: {matchExpressions: [{key: name, operator: In, values: [a]}, {key: repo, operator: Exists}]}}]\nlabel: x',
    ),
  );
});

test('every kind of hook, list and option', () => {
  const { hooks, lists, options, enforcers, loader, mode } = taken(
    policy(`loader: true
lists:
${LIST_TYPES.map((type) => `- {name: ${type}, type: ${type}${type === 'syscalls' ? ', values: [sys_dup, sys_dup2]' : type === 'generated_ftrace' ? ', pattern: "^security_"' : ''}}`).join('\n')}
- {name: numbers, values: ["1", "2"]}
enforcers: [{calls: ["list:syscalls", sys_read]}]
options:
${OPTIONS.map((name) => `- {name: ${name}, value: ${name === 'policy-mode' ? 'monitor' : '"1"'}}`).join('\n')}
kprobes:
- call: list:syscalls
  message: hello
  tags: [a, b]
  ignore: {callNotFound: true}
  args: [{index: 0, type: syscall64, label: nr}, {index: 1, type: char_buf, sizeArgIndex: 3, returnCopy: true, maxData: true}]
  return: true
  returnArg: {index: 0, type: int}
  returnArgAction: Post
  data: [${SOURCES_OF_DATA.map((source) => `{index: 0, type: int, source: ${source}, resolve: "a.b[1].c", btfType: task_struct}`).join()}]
  selectors:
  - matchArgs: [{index: 0, operator: InMap, values: ["list:generated_syscalls"]}]
    matchData: [{index: 1, operator: Equal, values: ["0x1f", "017"]}]
    matchReturnArgs: [{index: 0, operator: LT, values: ["0"]}]
    matchActions: [{action: NotifyEnforcer, argError: -1}]
    matchReturnActions: [{action: Post}]
fentries: [{call: tcp_connect, syscall: false}]
tracepoints: [{subsystem: syscalls, event: sys_enter_openat}, {subsystem: sched, event: sched_process_exec, raw: true}]
uprobes: [{path: /x, symbols: [a, b], refCtrOffsets: [1, 2], binaryDigests: ["build-id:ab12", "sha1:${'a'.repeat(40)}", "sha256:${'a'.repeat(64)}", "sha384:${'a'.repeat(96)}", "sha512:${'a'.repeat(128)}"]}, {path: /x, offsets: [1]}]
usdts: [{path: /x, provider: p, name: n}]
lsmhooks: [{hook: file_open}]`),
  );
  assert.deepEqual(
    hooks.map(({ target }) => target.kind),
    ['kprobe', 'fentry', 'tracepoint', 'tracepoint', 'uprobe', 'uprobe', 'usdt', 'lsm'],
  );
  assert.deepEqual([lists.length, enforcers.length, loader, mode], [4, 1, true, 'monitor']);
  assert.deepEqual(options, { 'policy-mode': 'monitor', 'disable-kprobe-multi': '1', 'disable-uprobe-multi': '1' });
  for (const name of RETURN_ARG_ACTIONS) {
    taken(policy(`kprobes: [{call: f, return: true, returnArg: {index: 0, type: int}, returnArgAction: ${name}}]`));
  }
});

test('whom a policy is for: the eight rows', () => {
  const rows: readonly (readonly [string, boolean, boolean])[] = [
    ['', true, true],
    ['podSelector: {}', false, true],
    ['containerSelector: {}', false, true],
    ['podSelector: {}\ncontainerSelector: {}', false, true],
    ['hostSelector: {}', true, false],
    ['hostSelector: {}\npodSelector: {}', true, true],
    ['hostSelector: {}\ncontainerSelector: {}', true, true],
    ['hostSelector: {}\npodSelector: {}\ncontainerSelector: {}', true, true],
  ];
  for (const [text, host, workloads] of rows) {
    const { scope } = taken(policy(`loader: true\n${text}`));
    assert.deepEqual([scope.host, scope.workloads], [host, workloads], text);
  }
  const { scope, key } = taken(policy('loader: true', 'TracingPolicyNamespaced'));
  assert.deepEqual([scope.host, scope.workloads, key], [false, true, 'TracingPolicyNamespaced/default/p']);
});

test('a policy that enforces nothing is monitor-only, and its mode is warned of', () => {
  const { mode, warnings } = taken(policy('options: [{name: policy-mode, value: enforce}]\nkprobes: [{call: f}]'));
  assert.equal(mode, 'monitor-only');
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['tells-everything', 'mode-without-effect'],
  );
  assert.equal(taken(action('action: Sigkill')).mode, 'enforce');
});
