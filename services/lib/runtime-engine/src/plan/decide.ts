// SPDX-License-Identifier: Apache-2.0
/** Runs a program as the kernel does, on the bytes that the kernel gets: what a policy does about a call, without a kernel. */
import { ipFamily } from '@weir/net';
import type { Action } from '../model.ts';
import { matchesWorkload } from '../scope.ts';
import { CAPABILITY_SETS, ENFORCING, NAMESPACES, type Namespace } from '../words.ts';
import type { HookPlan } from './compile.ts';
import { decodeProgram, type FilterRecord, FLAG, NO_TABLE } from './layout.ts';
import type { Table } from './tables.ts';

/** An argument as it was read. `register`: 64 bits, of which the type's count. */
export type ArgValue =
  | { readonly kind: 'register'; readonly value: bigint }
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  | { readonly kind: 'path'; readonly bytes: Uint8Array; readonly mode: number }
  | { readonly kind: 'unix'; readonly bytes: Uint8Array; readonly family: number }
  | {
      readonly kind: 'socket';
      readonly family: number;
      readonly protocol: number;
      readonly state: number;
      /** 16 bytes, IPv4 mapped. */
      readonly source: Uint8Array;
      readonly sourcePort: number;
      readonly destination: Uint8Array;
      readonly destinationPort: number;
    };

interface Capabilities {
  readonly effective: bigint;
  readonly inheritable: bigint;
  readonly permitted: bigint;
}

export interface Ancestor {
  readonly pid: number;
  readonly namespacePid: number;
  readonly binary: Uint8Array;
}

export interface ProcessFacts extends Ancestor {
  /** Its parent first. */
  readonly ancestors: readonly Ancestor[];
  readonly namespaces: Readonly<Record<Namespace, bigint>>;
  readonly hostNamespaces: Readonly<Record<Namespace, bigint>>;
  readonly capabilities: Capabilities;
  /** As they were when its program began. */
  readonly atExec: { readonly namespaces: Readonly<Record<Namespace, bigint>>; readonly capabilities: Capabilities };
  /** Of its workload: source:key=value. */
  readonly labels: readonly string[];
}

export interface Call {
  /** In the order of `args`; undefined: it could not be read. */
  readonly args: readonly (ArgValue | undefined)[];
  readonly data: readonly (ArgValue | undefined)[];
  readonly process: ProcessFacts;
}

export interface Decision {
  /** Place of the selector that matched; -1 when the hook has none. */
  readonly selector: number;
  readonly post: boolean;
  readonly take: readonly Action[];
  /** Would be taken in mode enforce. */
  readonly monitored: readonly Action[];
}

const starts = (text: Uint8Array, part: Uint8Array): boolean =>
  part.length <= text.length && part.every((byte, at) => text[at] === byte);
const ends = (text: Uint8Array, part: Uint8Array): boolean =>
  part.length <= text.length && starts(text.subarray(text.length - part.length), part);
/** As strcasecmp of the kernel: letters of ASCII only. */
const folded = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));

const holdsPart = (text: Uint8Array, part: Uint8Array): boolean => Buffer.from(text).includes(Buffer.from(part));

const textsOf = (table: Table | undefined): readonly Uint8Array[] => (table?.kind === 'texts' ? table.texts : []);

const matchesText = (filter: FilterRecord, table: Table | undefined, text: Uint8Array): boolean => {
  const texts = textsOf(table);
  switch (filter.comparison) {
    case 'prefix':
      return texts.some((part) => starts(text, part));
    case 'postfix':
      return texts.some((part) => ends(text, part));
    case 'substring':
      return texts.some((part) => holdsPart(text, part));
    case 'substring-any-case':
      return texts.some((part) => holdsPart(folded(text), folded(part)));
    default:
      return texts.some((whole) => whole.length === text.length && starts(text, whole));
  }
};

const matchesNumber = ({ values, table: place }: FilterRecord, table: Table | undefined, number: bigint): boolean => {
  if (place === NO_TABLE) return values.some((value) => BigInt.asUintN(64, number) === value);
  return table?.kind === 'ranges' && table.ranges.some(({ from, to }) => from <= number && number <= to);
};

const sharesBits = (a: Uint8Array, b: Uint8Array, bits: number): boolean => {
  const whole = bits >> 3;
  const rest = 0xff & (0xff00 >> (bits & 7));
  return (
    a.subarray(0, whole).every((byte, at) => byte === b[at]) &&
    ((bits & 7) === 0 || ((a[whole] as number) & rest) === ((b[whole] as number) & rest))
  );
};

const matchesAddress = (table: Table | undefined, address: Uint8Array): boolean =>
  table?.kind === 'prefixes' &&
  table.prefixes.some(
    ({ family, address: prefix, bits }) => family === ipFamily(address) && sharesBits(prefix, address, bits),
  );

/** The bits that count, as a number of the argument's type. */
const numberIn = ({ bits, flags }: FilterRecord, register: bigint): bigint => {
  if (bits === 0) return BigInt.asUintN(64, register);
  return flags & FLAG.signed ? BigInt.asIntN(bits, register) : BigInt.asUintN(bits, register);
};

const compareRegister = (filter: FilterRecord, table: Table | undefined, register: bigint): boolean => {
  const number = numberIn(filter, register);
  const first = filter.values[0] ?? 0n;
  const value = filter.flags & FLAG.signed ? BigInt.asIntN(64, first) : first;
  if (filter.comparison === 'greater') return number > value;
  if (filter.comparison === 'less') return number < value;
  if (filter.comparison === 'mask') return (BigInt.asUintN(64, number) & first) !== 0n;
  return matchesNumber(filter, table, number);
};

const PRIVILEGED = 1024;

const compareSocket = (
  filter: FilterRecord,
  table: Table | undefined,
  socket: Extract<ArgValue, { kind: 'socket' }>,
): boolean | undefined => {
  switch (filter.comparison) {
    case 'source-port':
      return matchesNumber(filter, table, BigInt(socket.sourcePort));
    case 'destination-port':
      return matchesNumber(filter, table, BigInt(socket.destinationPort));
    case 'source-port-privileged':
      return socket.sourcePort < PRIVILEGED;
    case 'destination-port-privileged':
      return socket.destinationPort < PRIVILEGED;
    case 'source-address':
      return matchesAddress(table, socket.source);
    case 'destination-address':
      return matchesAddress(table, socket.destination);
    case 'protocol':
      return matchesNumber(filter, table, BigInt(socket.protocol));
    case 'family':
      return matchesNumber(filter, table, BigInt(socket.family));
    case 'state':
      return matchesNumber(filter, table, BigInt(socket.state));
    default:
      return undefined;
  }
};

/** Undefined: what was read is not what the filter looks at. */
const compare = (filter: FilterRecord, table: Table | undefined, value: ArgValue): boolean | undefined => {
  if (value.kind === 'register') return compareRegister(filter, table, value.value);
  if (value.kind === 'socket') return compareSocket(filter, table, value);
  if (filter.comparison === 'file-type') {
    return value.kind === 'path' ? matchesNumber(filter, table, BigInt(value.mode & 0o170000)) : undefined;
  }
  if (filter.comparison === 'family') {
    return value.kind === 'unix' ? matchesNumber(filter, table, BigInt(value.family)) : undefined;
  }
  return matchesText(filter, table, value.bytes);
};

const compareArgument = (
  filter: FilterRecord,
  table: Table | undefined,
  values: readonly (ArgValue | undefined)[],
): boolean | undefined => {
  const value = values[filter.slot];
  if (value === undefined) return undefined;
  if (filter.comparison !== 'capabilities-gained') return compare(filter, table, value);
  const after = values[filter.otherSlot];
  if (value.kind !== 'register' || after?.kind !== 'register') return undefined;
  return (BigInt.asUintN(64, after.value) & ~BigInt.asUintN(64, value.value)) !== 0n;
};

const capabilitiesOf = (capabilities: Capabilities, slot: number): bigint =>
  capabilities[(CAPABILITY_SETS[slot] as string).toLowerCase() as keyof Capabilities];

const compareProcess = (filter: FilterRecord, table: Table | undefined, process: ProcessFacts): boolean => {
  const [first = 0n] = filter.values;
  const chain = filter.flags & FLAG.follow ? [process, ...process.ancestors] : [process];
  switch (filter.kind) {
    case 'pid':
      return chain.some(({ pid, namespacePid }) =>
        filter.values.includes(BigInt(filter.flags & FLAG.namespace ? namespacePid : pid)),
      );
    case 'binary':
      return chain.some(({ binary }) => matchesText(filter, table, binary));
    case 'parent-binary':
      return (filter.flags & FLAG.follow ? process.ancestors : process.ancestors.slice(0, 1)).some(({ binary }) =>
        matchesText(filter, table, binary),
      );
    case 'namespace': {
      const name = NAMESPACES[filter.slot] as Namespace;
      const inode = process.namespaces[name];
      if (filter.flags & FLAG.host && inode === process.hostNamespaces[name]) return true;
      return filter.values.includes(inode);
    }
    case 'namespace-change':
      return NAMESPACES.some(
        (name, at) => (first >> BigInt(at)) & 1n && process.namespaces[name] !== process.atExec.namespaces[name],
      );
    case 'capability': {
      const ofHost = process.namespaces.User === process.hostNamespaces.User;
      if (!ofHost && !(filter.flags & FLAG.namespace)) return false;
      return (capabilitiesOf(process.capabilities, filter.slot) & first) !== 0n;
    }
    case 'capability-change': {
      const now = capabilitiesOf(process.capabilities, filter.slot);
      return ((now ^ capabilitiesOf(process.atExec.capabilities, filter.slot)) & first) !== 0n;
    }
    case 'workload':
      return table?.kind === 'workloads' && table.workloads.some((one) => matchesWorkload(one, process.labels));
    default:
      return false;
  }
};

const holds = (filter: FilterRecord, { tables }: HookPlan, call: Call, returned?: ArgValue): boolean => {
  const table = filter.table === NO_TABLE ? undefined : tables[filter.table];
  const found =
    filter.kind === 'arg'
      ? compareArgument(filter, table, call.args)
      : filter.kind === 'data'
        ? compareArgument(filter, table, call.data)
        : filter.kind === 'return'
          ? compareArgument(filter, table, [returned])
          : compareProcess(filter, table, call.process);
  // What could not be read matches nothing, and its opposite neither.
  if (found === undefined) return false;
  return found !== Boolean(filter.flags & FLAG.negated);
};

const decision = (selector: number, actions: readonly Action[], monitor: boolean): Decision => {
  const isHeld = ({ action }: Action): boolean => monitor && ENFORCING.includes(action);
  return {
    selector,
    post: !actions.some(({ action }) => action === 'NoPost'),
    take: actions.filter((one) => !isHeld(one)),
    monitored: actions.filter(isHeld),
  };
};

/** When the call begins: the first selector whose filters all hold. Undefined: nobody asked for this call. */
export const decideCall = (plan: HookPlan, call: Call): Decision | undefined => {
  if (plan.selectors.length === 0) return decision(-1, [], plan.monitor);
  const found = decodeProgram(plan.program).findIndex(({ filters }) =>
    filters.every((filter) => holds(filter, plan, call)),
  );
  return found < 0 ? undefined : decision(found, plan.selectors[found]?.actions ?? [], plan.monitor);
};

/** When it returns: whether what it returned is what the selector that matched asks for. */
export const decideReturn = (
  plan: HookPlan,
  selector: number,
  call: Call,
  returned: ArgValue | undefined,
): Decision | undefined => {
  if (selector < 0) return decision(-1, [], plan.monitor);
  const record = decodeProgram(plan.program)[selector];
  if (!record?.returnFilters.every((filter) => holds(filter, plan, call, returned))) return undefined;
  return decision(selector, plan.selectors[selector]?.returnActions ?? [], plan.monitor);
};
