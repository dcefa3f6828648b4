// SPDX-License-Identifier: Apache-2.0
/**
 * The words of TracingPolicy documents (cilium.io/v1alpha1, Tetragon 1.7), each list once: what a document may say, and which argument
 * types go together with which operators.
 */

export const API_VERSION = 'cilium.io/v1alpha1';
export const KINDS = ['TracingPolicy', 'TracingPolicyNamespaced'] as const;
export type Kind = (typeof KINDS)[number];

/** How an argument is compared. `none`: it can be told of, not compared. */
export type ArgClass =
  | 'signed'
  | 'unsigned'
  | 'text'
  | 'path'
  | 'socket'
  | 'address'
  | 'unix'
  | 'capabilities'
  | 'none';

interface TypeFacts {
  readonly class: ArgClass;
  /** Of integers. */
  readonly bits?: 8 | 16 | 32 | 64;
}

const signed = (bits: 8 | 16 | 32 | 64): TypeFacts => ({ class: 'signed', bits });
const unsigned = (bits: 8 | 16 | 32 | 64): TypeFacts => ({ class: 'unsigned', bits });
const of = (name: ArgClass): TypeFacts => ({ class: name });

/** LP64: long is 64 bits wide. */
export const ARG_TYPES = {
  auto: of('none'),
  int: signed(32),
  sint8: signed(8),
  int8: signed(8),
  uint8: unsigned(8),
  sint16: signed(16),
  int16: signed(16),
  uint16: unsigned(16),
  uint32: unsigned(32),
  sint32: signed(32),
  int32: signed(32),
  ulong: unsigned(64),
  uint64: unsigned(64),
  size_t: unsigned(64),
  long: signed(64),
  sint64: signed(64),
  int64: signed(64),
  char_buf: of('text'),
  char_iovec: of('text'),
  skb: of('socket'),
  sock: of('socket'),
  sockaddr: of('address'),
  socket: of('socket'),
  sockaddr_un: of('unix'),
  string: of('text'),
  fd: of('path'),
  file: of('path'),
  filename: of('path'),
  path: of('path'),
  nop: of('none'),
  bpf_attr: of('none'),
  perf_event: of('none'),
  bpf_map: of('none'),
  user_namespace: of('none'),
  capability: unsigned(32),
  kiocb: of('path'),
  iov_iter: of('none'),
  cred: of('none'),
  const_buf: of('text'),
  load_info: of('none'),
  module: of('none'),
  syscall64: unsigned(64),
  kernel_cap_t: of('capabilities'),
  cap_inheritable: of('capabilities'),
  cap_permitted: of('capabilities'),
  cap_effective: of('capabilities'),
  linux_binprm: of('path'),
  data_loc: of('text'),
  net_device: of('text'),
  bpf_cmd: unsigned(32),
  dentry: of('path'),
  bpf_prog: of('none'),
} as const satisfies Readonly<Record<string, TypeFacts>>;
export type ArgType = keyof typeof ARG_TYPES;
export const ARG_TYPE_NAMES = Object.keys(ARG_TYPES) as ArgType[];
export const factsOf = (type: ArgType): TypeFacts => ARG_TYPES[type];

/** What an operator does; `negated` ones hold when their counterpart does not. */
export type Comparison =
  | 'equal'
  | 'greater'
  | 'less'
  | 'mask'
  | 'range'
  | 'in-list'
  | 'prefix'
  | 'postfix'
  | 'substring'
  | 'substring-any-case'
  | 'file-type'
  | 'source-port'
  | 'source-port-privileged'
  | 'destination-port'
  | 'destination-port-privileged'
  | 'source-address'
  | 'destination-address'
  | 'protocol'
  | 'family'
  | 'state'
  | 'capabilities-gained';

interface OperatorFacts {
  readonly comparison: Comparison;
  readonly negated?: boolean;
  readonly classes: readonly ArgClass[];
  /** Values it takes; many when nothing is said. */
  readonly values?: 'none' | 'one';
}

const INTEGERS: readonly ArgClass[] = ['signed', 'unsigned'];
const TEXTS: readonly ArgClass[] = ['text', 'path', 'unix'];
const SOCKETS: readonly ArgClass[] = ['socket'];
const SOURCES: readonly ArgClass[] = ['socket', 'address'];

const both = (name: string, not: string, facts: OperatorFacts): Record<string, OperatorFacts> => ({
  [name]: facts,
  [not]: { ...facts, negated: true },
});

const GREATER: OperatorFacts = { comparison: 'greater', classes: INTEGERS, values: 'one' };
const LESS: OperatorFacts = { comparison: 'less', classes: INTEGERS, values: 'one' };

export const ARG_OPERATORS: Readonly<Record<string, OperatorFacts>> = {
  ...both('Equal', 'NotEqual', { comparison: 'equal', classes: [...INTEGERS, ...TEXTS, 'capabilities'] }),
  ...both('Prefix', 'NotPrefix', { comparison: 'prefix', classes: TEXTS }),
  ...both('Postfix', 'NotPostfix', { comparison: 'postfix', classes: TEXTS }),
  GreaterThan: GREATER,
  LessThan: LESS,
  GT: GREATER,
  LT: LESS,
  Mask: { comparison: 'mask', classes: [...INTEGERS, 'capabilities'] },
  ...both('SPort', 'NotSPort', { comparison: 'source-port', classes: SOURCES }),
  ...both('SPortPriv', 'NotSportPriv', { comparison: 'source-port-privileged', classes: SOURCES, values: 'none' }),
  ...both('DPort', 'NotDPort', { comparison: 'destination-port', classes: SOCKETS }),
  ...both('DPortPriv', 'NotDPortPriv', {
    comparison: 'destination-port-privileged',
    classes: SOCKETS,
    values: 'none',
  }),
  ...both('SAddr', 'NotSAddr', { comparison: 'source-address', classes: SOURCES }),
  ...both('DAddr', 'NotDAddr', { comparison: 'destination-address', classes: SOCKETS }),
  Protocol: { comparison: 'protocol', classes: SOCKETS },
  Family: { comparison: 'family', classes: [...SOURCES, 'unix'] },
  State: { comparison: 'state', classes: SOCKETS },
  ...both('InMap', 'NotInMap', { comparison: 'in-list', classes: INTEGERS }),
  CapabilitiesGained: { comparison: 'capabilities-gained', classes: ['capabilities'], values: 'none' },
  ...both('InRange', 'NotInRange', { comparison: 'range', classes: INTEGERS }),
  SubString: { comparison: 'substring', classes: ['text'] },
  SubStringIgnCase: { comparison: 'substring-any-case', classes: ['text'] },
  ...both('FileType', 'NotFileType', { comparison: 'file-type', classes: ['path'] }),
};
/** Known, and refused with the reason. */
export const OPERATORS_REFUSED: Readonly<Record<string, string>> = {
  CelExpr: 'is not supported: an expression has no bounded cost in the kernel',
};
export const ARG_OPERATOR_NAMES = Object.keys(ARG_OPERATORS);

export const SET_OPERATORS = ['In', 'NotIn'] as const;
export const BINARY_OPERATORS = ['In', 'NotIn', 'Prefix', 'NotPrefix', 'Postfix', 'NotPostfix'] as const;
export const NAMESPACES = [
  'Uts',
  'Ipc',
  'Mnt',
  'Pid',
  'PidForChildren',
  'Net',
  'Time',
  'TimeForChildren',
  'Cgroup',
  'User',
] as const;
export type Namespace = (typeof NAMESPACES)[number];
export const CAPABILITY_SETS = ['Effective', 'Inheritable', 'Permitted'] as const;

/** Numbers as events carry them. */
export const ACTIONS = {
  Post: 1,
  FollowFD: 2,
  Sigkill: 3,
  UnfollowFD: 4,
  Override: 5,
  CopyFD: 6,
  GetUrl: 7,
  DnsLookup: 8,
  NoPost: 9,
  Signal: 10,
  TrackSock: 11,
  UntrackSock: 12,
  NotifyEnforcer: 13,
  CleanupEnforcerNotification: 14,
  Set: 15,
} as const;
export type ActionName = keyof typeof ACTIONS;
export const ACTION_NAMES = Object.keys(ACTIONS) as ActionName[];
export const ACTIONS_REFUSED: Readonly<Partial<Record<ActionName, string>>> = {
  FollowFD: 'is deprecated: what a descriptor stands for may change under it; use the argument type fd',
  UnfollowFD: 'is deprecated: use the argument type fd',
  CopyFD: 'is deprecated: use the argument type fd',
};
/** What mode monitor turns into counting. */
export const ENFORCING: readonly ActionName[] = ['Sigkill', 'Signal', 'Override', 'NotifyEnforcer', 'Set'];
export const RETURN_ARG_ACTIONS = ['Post', 'TrackSock', 'UntrackSock'] as const;
export const RATE_SCOPES = ['thread', 'process', 'global'] as const;

export const LIST_TYPES = ['syscalls', 'generated_syscalls', 'generated_ftrace'] as const;
export const OPTIONS = ['policy-mode', 'disable-kprobe-multi', 'disable-uprobe-multi'] as const;
export const POLICY_MODES = ['enforce', 'monitor'] as const;
export const SOURCES_OF_DATA = ['current_task', 'pt_regs'] as const;
/** Digests of binaries: algorithm -> hexadecimal digits; a build id has from 1 to 64 bytes. */
export const DIGESTS: Readonly<Record<string, number>> = {
  sha1: 40,
  sha256: 64,
  sha384: 96,
  sha512: 128,
  'build-id': 0,
};

/** S_IFMT of each (inode(7)). */
export const FILE_TYPES = {
  reg: 0o100000,
  dir: 0o040000,
  lnk: 0o120000,
  sock: 0o140000,
  chr: 0o020000,
  blk: 0o060000,
  fifo: 0o010000,
} as const;

/** linux/in.h */
export const PROTOCOLS: Readonly<Record<string, number>> = {
  IPPROTO_IP: 0,
  IPPROTO_ICMP: 1,
  IPPROTO_IGMP: 2,
  IPPROTO_IPIP: 4,
  IPPROTO_TCP: 6,
  IPPROTO_EGP: 8,
  IPPROTO_PUP: 12,
  IPPROTO_UDP: 17,
  IPPROTO_IDP: 22,
  IPPROTO_TP: 29,
  IPPROTO_DCCP: 33,
  IPPROTO_IPV6: 41,
  IPPROTO_RSVP: 46,
  IPPROTO_GRE: 47,
  IPPROTO_ESP: 50,
  IPPROTO_AH: 51,
  IPPROTO_ICMPV6: 58,
  IPPROTO_MTP: 92,
  IPPROTO_BEETPH: 94,
  IPPROTO_ENCAP: 98,
  IPPROTO_PIM: 103,
  IPPROTO_COMP: 108,
  IPPROTO_L2TP: 115,
  IPPROTO_SCTP: 132,
  IPPROTO_UDPLITE: 136,
  IPPROTO_MPLS: 137,
  IPPROTO_ETHERNET: 143,
  IPPROTO_RAW: 255,
  IPPROTO_MPTCP: 262,
};

/** linux/socket.h */
export const FAMILIES: Readonly<Record<string, number>> = {
  AF_UNSPEC: 0,
  AF_UNIX: 1,
  AF_LOCAL: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  AF_ALG: 38,
  AF_VSOCK: 40,
  AF_XDP: 44,
};

/** net/tcp_states.h */
export const TCP_STATES: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
  TCP_NEW_SYN_RECV: 12,
};

/** linux/capability.h; the place in the list is the number. */
export const CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** Tetragon's, so that a document works in both. */
export const LIMITS = {
  selectors: 5,
  filtersOfArguments: 5,
  pids: 4,
  actions: 4,
  tags: 16,
  messageBytes: 256,
  prefixBytes: 256,
  postfixBytes: 128,
  substringBytes: 100,
  /** Longest path of the kernel. */
  textBytes: 4096,
  values: 1024,
  hooks: 512,
  /** Members of one argument count apart. */
  arguments: 16,
  /** Of a call; the sixth is the last in a register. */
  places: 6,
  followedBinaries: 64,
} as const;
