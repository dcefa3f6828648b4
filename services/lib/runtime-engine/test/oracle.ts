// SPDX-License-Identifier: Apache-2.0
/** What a document asks for, read from its JSON: the slow and plain way. */
interface Filter {
  readonly index?: number;
  readonly args?: readonly number[];
  readonly operator: string;
  readonly values?: readonly string[];
}
interface Set {
  readonly type: 'Effective' | 'Inheritable' | 'Permitted';
  readonly operator: string;
  readonly isNamespaceCapability: boolean;
  readonly values: readonly string[];
}
interface Binaries {
  readonly operator: string;
  readonly values: readonly string[];
  readonly followChildren?: boolean;
}
interface Selector {
  readonly matchArgs: readonly Filter[];
  readonly matchReturnArgs: readonly Filter[];
  readonly matchPIDs: readonly {
    operator: string;
    values: readonly number[];
    followForks: boolean;
    isNamespacePID: boolean;
  }[];
  readonly matchBinaries: readonly Binaries[];
  readonly matchParentBinaries: readonly Binaries[];
  readonly matchNamespaces: readonly { namespace: string; operator: string; values: readonly string[] }[];
  readonly matchNamespaceChanges: readonly { operator: string; values: readonly string[] }[];
  readonly matchCapabilities: readonly Set[];
  readonly matchCapabilityChanges: readonly Set[];
  readonly matchWorkloads: readonly { podSelector: { matchLabels: { app?: string } } }[];
  readonly matchActions: readonly { action: string }[];
}
export interface Spec {
  readonly options: readonly { name: string; value: string }[];
  readonly kprobes: readonly [{ readonly selectors: readonly Selector[] }];
}
type Sets = Readonly<Record<'Effective' | 'Inheritable' | 'Permitted', readonly string[]>>;
export interface Facts {
  readonly registers: readonly [bigint, bigint, bigint];
  readonly text: string | undefined;
  readonly file: { readonly path: string; readonly type: string };
  readonly socket: {
    readonly family: number;
    readonly protocol: number;
    readonly state: number;
    readonly source: string;
    readonly sourcePort: number;
    readonly destination: string;
    readonly destinationPort: number;
  };
  readonly unix: { readonly path: string; readonly family: number };
  readonly gained: { readonly before: bigint; readonly after: bigint };
  readonly returned: number;
  readonly namespaces: Readonly<Record<string, number>>;
  readonly process: {
    readonly pid: number;
    readonly namespacePid: number;
    readonly binary: string;
    readonly ancestors: readonly { pid: number; namespacePid: number; binary: string }[];
    readonly namespaces: Readonly<Record<string, number>>;
    readonly before: Readonly<Record<string, number>>;
    readonly capabilities: Sets;
    readonly capabilitiesBefore: Sets;
    readonly app: string | undefined;
  };
}

const HOST = 10;
const NAMES: Readonly<Record<string, number>> = {
  IPPROTO_TCP: 6,
  IPPROTO_SCTP: 132,
  AF_UNIX: 1,
  AF_INET: 2,
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
};

const number = (text: string): bigint => {
  if (text in NAMES) return BigInt(NAMES[text] as number);
  if (/^-/.test(text)) return -number(text.slice(1));
  if (/^0[0-7]+$/.test(text)) return BigInt(`0o${text.slice(1)}`);
  return BigInt(text);
};

/** The address as a row of bits, IPv4 and IPv6 apart. */
const bitRow = (address: string): string => {
  if (!address.includes(':')) {
    return `4${address
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('')}`;
  }
  const [head = '', tail = ''] = address.split('::');
  const parts = (text: string) => (text === '' ? [] : text.split(':').map((part) => Number.parseInt(part, 16)));
  const before = parts(head);
  const after = parts(tail);
  const all = [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
  return `6${all.map((part) => part.toString(2).padStart(16, '0')).join('')}`;
};
const inside = (address: string, prefix: string): boolean => {
  const [network = '', bits] = prefix.split('/');
  const row = bitRow(network);
  return bitRow(address).startsWith(row.slice(0, 1 + Number(bits ?? row.length)));
};
const between = (value: number | bigint, range: string): boolean => {
  const [from = '', to = from] = range.split(':');
  return BigInt(value) >= number(from) && BigInt(value) <= number(to);
};

const textHolds = (operator: string, values: readonly string[], text: string): boolean => {
  const positive = operator.replace('Not', '');
  const found = values.some((value) => {
    if (positive === 'Prefix') return text.startsWith(value);
    if (positive === 'Postfix') return text.endsWith(value);
    if (positive === 'SubString') return text.includes(value);
    if (positive === 'SubStringIgnCase') return text.toLowerCase().includes(value.toLowerCase());
    return text === value;
  });
  return found !== operator.startsWith('Not');
};

const numberHolds = (operator: string, values: readonly string[], value: bigint): boolean => {
  switch (operator) {
    case 'Equal':
    case 'InMap':
      return values.some((one) => number(one) === value);
    case 'NotEqual':
    case 'NotInMap':
      return values.every((one) => number(one) !== value);
    case 'GT':
    case 'GreaterThan':
      return value > number(values[0] as string);
    case 'LT':
    case 'LessThan':
      return value < number(values[0] as string);
    case 'Mask':
      return values.some((one) => (value & number(one)) !== 0n);
    case 'InRange':
      return values.some((one) => between(value, one));
    default:
      return values.every((one) => !between(value, one));
  }
};

const socketHolds = ({ operator, values = [] }: Filter, socket: Facts['socket']): boolean => {
  const positive = operator.replace('Not', '');
  const isSource = positive.startsWith('S') && positive !== 'State';
  const port = isSource ? socket.sourcePort : socket.destinationPort;
  const address = isSource ? socket.source : socket.destination;
  let found: boolean;
  if (/priv$/i.test(positive)) found = port < 1024;
  else if (/Port$/.test(positive)) found = values.some((value) => between(port, value));
  else if (/Addr$/.test(positive)) found = values.some((value) => inside(address, value));
  else if (positive === 'Protocol') found = values.some((value) => number(value) === BigInt(socket.protocol));
  else if (positive === 'Family') found = values.some((value) => number(value) === BigInt(socket.family));
  else found = values.some((value) => number(value) === BigInt(socket.state));
  return found !== operator.startsWith('Not');
};

const argHolds = (filter: Filter, facts: Facts): boolean => {
  const { operator, values = [] } = filter;
  const [first, second, third] = facts.registers;
  switch (filter.index) {
    case 0:
      return numberHolds(operator, values, BigInt.asIntN(32, first));
    case 1:
      return numberHolds(operator, values, second & 0xffn);
    case 2:
      return numberHolds(operator, values, third);
    case 3:
      return facts.text !== undefined && textHolds(operator, values, facts.text);
    case 4:
      if (operator === 'FileType') return values.includes(facts.file.type);
      if (operator === 'NotFileType') return !values.includes(facts.file.type);
      return textHolds(operator, values, facts.file.path);
    case 5:
      return socketHolds(filter, facts.socket);
    case 6:
      if (operator === 'Family') return values.some((value) => number(value) === BigInt(facts.unix.family));
      return textHolds(operator, values, facts.unix.path);
    default:
      return (facts.gained.after & ~facts.gained.before) > 0n;
  }
};

const binaryHolds = ({ operator, values }: Binaries, chain: readonly string[]): boolean => {
  const positive = operator.replace('Not', '');
  const found = chain.some((binary) => textHolds(positive === 'In' ? 'Equal' : positive, values, binary));
  return found !== operator.startsWith('Not');
};

const holds = (selector: Selector, facts: Facts): boolean => {
  const { process } = facts;
  const parents = process.ancestors.map(({ binary }) => binary);
  const has = (set: Set, held: readonly string[]): boolean => set.values.some((value) => held.includes(value));
  const inHost = process.namespaces.User === HOST;
  return (
    selector.matchArgs.every((filter) => argHolds(filter, facts)) &&
    selector.matchPIDs.every(({ operator, values, followForks, isNamespacePID }) => {
      const who = followForks ? [process, ...process.ancestors] : [process];
      const found = who.some((one) => values.includes(isNamespacePID ? one.namespacePid : one.pid));
      return found === (operator === 'In');
    }) &&
    selector.matchBinaries.every((filter) =>
      binaryHolds(filter, filter.followChildren ? [process.binary, ...parents] : [process.binary]),
    ) &&
    selector.matchParentBinaries.every((filter) =>
      binaryHolds(filter, filter.followChildren ? parents : parents.slice(0, 1)),
    ) &&
    selector.matchNamespaces.every(({ namespace, operator, values }) => {
      const inode = process.namespaces[namespace];
      return values.some((value) => (value === 'host_ns' ? HOST : Number(value)) === inode) === (operator === 'In');
    }) &&
    selector.matchNamespaceChanges.every(
      ({ operator, values }) =>
        values.some((name) => process.namespaces[name] !== process.before[name]) === (operator === 'In'),
    ) &&
    selector.matchCapabilities.every((set) => {
      const found = has(set, process.capabilities[set.type]) && (inHost || set.isNamespaceCapability);
      return found === (set.operator === 'In');
    }) &&
    selector.matchCapabilityChanges.every((set) => {
      const now = process.capabilities[set.type];
      const then = process.capabilitiesBefore[set.type];
      return set.values.some((value) => now.includes(value) !== then.includes(value)) === (set.operator === 'In');
    }) &&
    (selector.matchWorkloads.length === 0 ||
      selector.matchWorkloads.some(
        ({ podSelector: { matchLabels } }) => matchLabels.app === undefined || matchLabels.app === process.app,
      ))
  );
};

const ENFORCING = ['Sigkill', 'Signal', 'Override', 'NotifyEnforcer', 'Set'];

export const oracle = (spec: Spec, facts: Facts) => {
  const { selectors } = spec.kprobes[0];
  if (selectors.length === 0) return { selector: -1, post: true, take: [], monitored: [] };
  const selector = selectors.findIndex((one) => holds(one, facts));
  const found = selectors[selector];
  if (!found) return undefined;
  const monitor = spec.options.some(({ value }) => value === 'monitor');
  const names = found.matchActions.map(({ action }) => action);
  const held = names.filter((name) => monitor && ENFORCING.includes(name));
  return {
    selector,
    post: !names.includes('NoPost'),
    take: names.filter((name) => !held.includes(name)),
    monitored: held,
  };
};

export const oracleReturn = (spec: Spec, selector: number, { returned }: Facts): boolean =>
  spec.kprobes[0].selectors[selector]?.matchReturnArgs.every(({ operator, values = [] }) =>
    numberHolds(operator, values, BigInt(returned)),
  ) ?? true;
