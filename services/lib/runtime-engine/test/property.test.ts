// SPDX-License-Identifier: Apache-2.0
/**
 * The program of a policy against an oracle that reads the document itself, value by value, and shares no code with the engine.
 * WEIR_PROPERTY_RUNS=30000 for the long form.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ArgValue,
  type Call,
  compileRuntimePolicy,
  decideCall,
  decideReturn,
  parseRuntimePolicy,
} from '../src/index.ts';
import { type Facts, oracle, oracleReturn, type Spec } from './oracle.ts';

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 1500);

const TYPES = [
  'int',
  'uint8',
  'uint64',
  'string',
  'file',
  'sock',
  'sockaddr_un',
  'kernel_cap_t',
  'kernel_cap_t',
] as const;
const some = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const few = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(one, { minLength: 1, maxLength: 6 });

const TEXTS = ['', '/', '/etc', '/etc/', '/etc/shadow', '/ETC/Shadow', 'shadow', 'dow', '/tmp/x', 'é'];
const NUMBERS = ['0', '1', '2', '3', '0x4', '5', '7', '010', '200', '255'];
const ADDRESSES = ['10.0.0.0/8', '10.0.0.1', '192.0.2.128/25', '::/0', '0.0.0.0/0', '2001:db8::/33', '2001:db8::1'];

const ranges = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }))
  .map(([a, b]) => `${Math.min(a, b)}:${Math.max(a, b)}`);
const filterOf = (index: number, operator: fc.Arbitrary<string>, values: fc.Arbitrary<string[]>) =>
  fc.record({ index: fc.constant(index), operator, values });
const one = (values: fc.Arbitrary<string>) => values.map((value) => [value]);

const numberFilters = (index: number) => [
  filterOf(index, some('Equal', 'NotEqual', 'InMap', 'NotInMap'), few(some(...NUMBERS))),
  filterOf(index, some('GT', 'LT', 'GreaterThan', 'LessThan'), one(some(...NUMBERS))),
  filterOf(index, fc.constant('Mask'), few(some('1', '2', '4', '0x80'))),
  filterOf(index, some('InRange', 'NotInRange'), few(ranges)),
];
const socketFilters = [
  filterOf(5, some('SPort', 'NotSPort', 'DPort', 'NotDPort'), few(some('22', '80', '443', '1000:2000', '0:65535'))),
  some('SPortPriv', 'NotSportPriv', 'DPortPriv', 'NotDPortPriv').map((operator) => ({ index: 5, operator })),
  filterOf(5, some('SAddr', 'NotSAddr', 'DAddr', 'NotDAddr'), few(some(...ADDRESSES))),
  filterOf(5, fc.constant('Protocol'), few(some('IPPROTO_TCP', '17', 'IPPROTO_SCTP'))),
  filterOf(5, fc.constant('Family'), few(some('AF_INET', '10'))),
  filterOf(5, fc.constant('State'), few(some('TCP_ESTABLISHED', 'TCP_SYN_SENT'))),
];
const argFilter = fc.oneof(
  filterOf(0, some('Equal', 'NotEqual'), few(some('-1', '-2', '5'))),
  filterOf(0, some('GT', 'LT'), one(some('-1', '-2', '5'))),
  ...[0, 1, 2].flatMap(numberFilters),
  ...[3, 4].map((index) => filterOf(index, some('Equal', 'NotEqual'), few(some(...TEXTS)))),
  ...[3, 4, 6].map((index) =>
    filterOf(
      index,
      some('Prefix', 'NotPrefix', 'Postfix', 'NotPostfix'),
      few(some(...TEXTS.filter((text) => text !== ''))),
    ),
  ),
  filterOf(3, some('SubString', 'SubStringIgnCase'), few(some(...TEXTS.filter((text) => text !== '')))),
  filterOf(4, some('FileType', 'NotFileType'), few(some('reg', 'dir', 'sock'))),
  filterOf(6, fc.constant('Family'), few(some('AF_UNIX', '2'))),
  fc.constant({ args: [7, 8], operator: 'CapabilitiesGained' }),
  ...socketFilters,
);

const BINARIES = ['/bin/sh', '/usr/bin/curl', '/usr/sbin/nginx', '/tmp/x'];
const CAPS = ['CAP_CHOWN', 'CAP_SYS_ADMIN', 'CAP_BPF'];
const SPACES = ['Uts', 'Mnt', 'Pid', 'Net', 'User'] as const;
const inOrNot = some('In', 'NotIn');
const binaries = fc.oneof(
  fc.record({ operator: inOrNot, values: few(some(...BINARIES)), followChildren: fc.boolean() }),
  fc.record({
    operator: some('Prefix', 'NotPrefix', 'Postfix', 'NotPostfix'),
    values: few(some('/bin', '/usr/', '/tmp/x')),
  }),
);
const capabilities = fc.record({
  type: some('Effective', 'Inheritable', 'Permitted'),
  operator: inOrNot,
  isNamespaceCapability: fc.boolean(),
  values: few(some(...CAPS)),
});
const sometimes = <T>(filters: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<T[]>([]) },
    { weight: 1, arbitrary: fc.array(filters, { minLength: 1, maxLength: 2 }) },
  );

const selector = fc.record({
  matchArgs: fc.array(argFilter, { maxLength: 3 }),
  matchReturnArgs: sometimes(filterOf(0, some('Equal', 'NotEqual', 'LT', 'GT'), one(some('0', '-1', '-13')))),
  matchPIDs: sometimes(
    fc.record({
      operator: inOrNot,
      values: fc.array(some(1, 2, 3, 40), { minLength: 1, maxLength: 4 }),
      followForks: fc.boolean(),
      isNamespacePID: fc.boolean(),
    }),
  ),
  matchBinaries: sometimes(binaries),
  matchParentBinaries: sometimes(binaries),
  matchNamespaces: sometimes(
    fc.record({
      namespace: some(...SPACES),
      operator: inOrNot,
      values: fc.array(some('host_ns', '11', '12'), { minLength: 1, maxLength: 3 }),
    }),
  ),
  matchNamespaceChanges: sometimes(fc.record({ operator: inOrNot, values: few(some(...SPACES)) })),
  matchCapabilities: sometimes(capabilities),
  matchCapabilityChanges: sometimes(capabilities),
  matchWorkloads: sometimes(
    fc.record({ podSelector: fc.record({ matchLabels: some({ app: 'web' }, { app: 'db' }, {}) }) }),
  ),
  matchActions: some(
    [],
    [{ action: 'Post' }],
    [{ action: 'Sigkill' }],
    [{ action: 'NoPost' }, { action: 'Signal', argSig: 15 }],
  ),
});

const spec: fc.Arbitrary<Spec> = fc.record({
  options: some([], [{ name: 'policy-mode', value: 'monitor' }]),
  kprobes: fc.tuple(
    fc.record({
      call: fc.constant('f'),
      syscall: fc.constant(false),
      return: fc.constant(true),
      returnArg: fc.constant({ index: 0, type: 'int' }),
      args: fc.constant(TYPES.map((type, index) => ({ index, type }))),
      selectors: fc.array(selector, { maxLength: 4 }),
    }),
  ),
}) as unknown as fc.Arbitrary<Spec>;

/** The upper half of a register is whatever was there before. */
const register = fc
  .tuple(some(0n, 1n, 2n, 3n, 4n, 5n, 7n, 8n, 128n, 200n, 255n, -1n, -2n), some(0n, 0xdeadbeefn))
  .map(([low, high]) => BigInt.asUintN(64, (high << 32n) | BigInt.asUintN(32, low)));
const processes = fc.record({
  pid: some(1, 2, 3, 4),
  namespacePid: some(1, 2, 40),
  binary: some(...BINARIES),
  ancestors: fc.array(fc.record({ pid: some(1, 2, 3), namespacePid: some(0, 1, 40), binary: some(...BINARIES) }), {
    maxLength: 3,
  }),
  namespaces: fc.record(Object.fromEntries(SPACES.map((name) => [name, some(10, 11, 12)]))) as fc.Arbitrary<
    Facts['namespaces']
  >,
  before: fc.record(Object.fromEntries(SPACES.map((name) => [name, some(10, 11)]))) as fc.Arbitrary<
    Facts['namespaces']
  >,
  capabilities: fc.record({
    Effective: fc.subarray(CAPS),
    Inheritable: fc.subarray(CAPS),
    Permitted: fc.subarray(CAPS),
  }),
  capabilitiesBefore: fc.record({
    Effective: fc.subarray(CAPS),
    Inheritable: fc.subarray(CAPS),
    Permitted: fc.subarray(CAPS),
  }),
  app: some('web', 'db', undefined),
});
const facts: fc.Arbitrary<Facts> = fc.record({
  registers: fc.tuple(register, register, register),
  text: fc.option(some(...TEXTS), { nil: undefined }),
  file: fc.record({ path: some(...TEXTS), type: some('reg', 'dir', 'fifo') }),
  socket: fc.record({
    family: some(2, 10),
    protocol: some(6, 17, 132),
    state: some(1, 2, 7),
    source: some('10.0.0.1', '192.0.2.130', '2001:db8::1'),
    sourcePort: some(22, 1024, 40_000),
    destination: some('10.9.9.9', '2001:db8:8000::1'),
    destinationPort: some(80, 443, 1023, 1500),
  }),
  unix: fc.record({ path: some('/tmp/x', '/etc/sock'), family: some(1, 0) }),
  gained: fc.record({ before: some(0n, 1n, 3n), after: some(0n, 1n, 2n) }),
  returned: some(0, -1, -13, 5),
  process: processes,
}) as unknown as fc.Arbitrary<Facts>;

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const address = (text: string): Uint8Array => {
  if (!text.includes(':')) return Uint8Array.from([...Array(10).fill(0), 255, 255, ...text.split('.').map(Number)]);
  const [head = '', tail = ''] = text.split('::');
  const groups = (part: string) =>
    part.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
  const all = [...groups(head), ...Array(16 - groups(head).length - groups(tail).length).fill(0), ...groups(tail)];
  return Uint8Array.from(all);
};
const MODES: Readonly<Record<string, number>> = { reg: 0o100644, dir: 0o040755, fifo: 0o010600 };
const bitsOf = (names: readonly string[]): bigint =>
  names.reduce(
    (bits, name) => bits | (1n << { CAP_CHOWN: 0n, CAP_SYS_ADMIN: 21n, CAP_BPF: 39n }[name as 'CAP_BPF']),
    0n,
  );
const capabilitySets = (sets: Facts['process']['capabilities']) => ({
  effective: bitsOf(sets.Effective),
  inheritable: bitsOf(sets.Inheritable),
  permitted: bitsOf(sets.Permitted),
});
const namespaces = (given: Facts['namespaces']) => {
  const others = { Ipc: 10n, PidForChildren: 10n, Time: 10n, TimeForChildren: 10n, Cgroup: 10n };
  const own = Object.fromEntries(Object.entries(given).map(([name, inode]) => [name, BigInt(inode)]));
  return { ...others, ...own } as unknown as Call['process']['namespaces'];
};

const callOf = ({ registers, text, file, socket, unix, gained, process: who }: Facts): Call => {
  const values: (ArgValue | undefined)[] = [
    ...registers.map((value): ArgValue => ({ kind: 'register', value })),
    text === undefined ? undefined : { kind: 'text', bytes: bytes(text) },
    { kind: 'path', bytes: bytes(file.path), mode: MODES[file.type] ?? 0 },
    { ...socket, kind: 'socket', source: address(socket.source), destination: address(socket.destination) },
    { kind: 'unix', bytes: bytes(unix.path), family: unix.family },
    { kind: 'register', value: gained.before },
    { kind: 'register', value: gained.after },
  ];
  const host = namespaces(Object.fromEntries(SPACES.map((name) => [name, 10])));
  return {
    args: values,
    data: [],
    process: {
      pid: who.pid,
      namespacePid: who.namespacePid,
      binary: bytes(who.binary),
      ancestors: who.ancestors.map((one) => ({ ...one, binary: bytes(one.binary) })),
      namespaces: namespaces(who.namespaces),
      hostNamespaces: host,
      capabilities: capabilitySets(who.capabilities),
      atExec: { namespaces: namespaces(who.before), capabilities: capabilitySets(who.capabilitiesBefore) },
      labels: who.app === undefined ? [] : [`k8s:app=${who.app}`],
    },
  };
};

test('a program decides as the document says', () => {
  let matched = 0;
  let judged = 0;
  fc.assert(
    fc.property(spec, fc.array(facts, { minLength: 8, maxLength: 8 }), (document, events) => {
      const json = { apiVersion: 'cilium.io/v1alpha1', kind: 'TracingPolicy', metadata: { name: 'p' }, spec: document };
      const { hooks, unresolved } = compileRuntimePolicy(parseRuntimePolicy(JSON.parse(JSON.stringify(json))));
      assert.deepEqual(unresolved, []);
      const [plan] = hooks;
      assert.ok(plan);
      for (const event of events) {
        const call = callOf(event);
        const decided = decideCall(plan, call);
        const wanted = oracle(document, event);
        judged += 1;
        if (wanted) matched += 1;
        const shown = decided && {
          selector: decided.selector,
          post: decided.post,
          take: decided.take.map(({ action }) => action),
          monitored: decided.monitored.map(({ action }) => action),
        };
        assert.deepEqual(shown, wanted);
        if (!decided) continue;
        const returned: ArgValue = { kind: 'register', value: BigInt.asUintN(32, BigInt(event.returned)) };
        const told: boolean = decideReturn(plan, decided.selector, call, returned) !== undefined;
        assert.equal(told, oracleReturn(document, decided.selector, event));
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(
    matched > judged / 20 && matched < (judged * 19) / 20,
    `${matched} of ${judged} matched: the cases say little`,
  );
});
