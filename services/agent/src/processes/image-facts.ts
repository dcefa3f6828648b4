// SPDX-License-Identifier: Apache-2.0
/** What the begin of an image tells of it: credentials, capabilities, namespaces, what its file gave it. */
import { statSync } from 'node:fs';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { weir_process_flags } from '@weir/bpf';
import type { ProcessRecord } from '@weir/bpf/process-events';
import { type CapabilitiesType, ProcessPrivilegesChanged } from '@weir/proto/tetragon/capabilities_pb.js';
import type { ProcessSchema } from '@weir/proto/tetragon/tetragon_pb.js';

type Facts = ProcessRecord['facts'];
type ProcessInit = MessageInitShape<typeof ProcessSchema>;

const { PROCESS_SETUID, PROCESS_SETGID, PROCESS_RAISED, PROCESS_NO_FILE } = weir_process_flags;

const CAPABILITIES = 41;
const SECURE_BITS = 8;

/** By name of the field in Namespaces: what /proc calls it. */
const NAMESPACES = {
  uts: 'uts',
  ipc: 'ipc',
  mnt: 'mnt',
  pid: 'pid',
  pidForChildren: 'pid_for_children',
  net: 'net',
  time: 'time',
  timeForChildren: 'time_for_children',
  cgroup: 'cgroup',
  user: 'user',
} as const;

/** Inode numbers of the namespaces that the host's first process has. */
export type HostNamespaces = ReadonlySet<number>;

export const hostNamespaces = (): HostNamespaces => {
  const found = new Set<number>();
  for (const name of Object.values(NAMESPACES)) {
    try {
      found.add(statSync(`/proc/1/ns/${name}`).ino);
    } catch {
      // this kernel has none
    }
  }
  return found;
};

const bits = (set: bigint, count: number): number[] => {
  const found: number[] = [];
  for (let bit = 0; bit < count; bit += 1) if ((set >> BigInt(bit)) & 1n) found.push(bit);
  return found;
};

const capabilities = (facts: Facts): NonNullable<ProcessInit['cap']> => ({
  permitted: bits(facts.cap_permitted, CAPABILITIES) as CapabilitiesType[],
  effective: bits(facts.cap_effective, CAPABILITIES) as CapabilitiesType[],
  inheritable: bits(facts.cap_inheritable, CAPABILITIES) as CapabilitiesType[],
});

const namespaces = (facts: Facts, host: HostNamespaces): NonNullable<ProcessInit['ns']> => {
  const of = (inum: number) => (inum === 0 ? undefined : { inum, isHost: host.has(inum) });
  return {
    uts: of(facts.ns_uts),
    ipc: of(facts.ns_ipc),
    mnt: of(facts.ns_mnt),
    pid: of(facts.ns_pid),
    pidForChildren: of(facts.ns_pid_for_children),
    net: of(facts.ns_net),
    time: of(facts.ns_time),
    timeForChildren: of(facts.ns_time_for_children),
    cgroup: of(facts.ns_cgroup),
    user: of(facts.ns_user),
  };
};

const raisedBy = (flags: number): ProcessPrivilegesChanged[] => {
  if (!(flags & PROCESS_RAISED)) return [];
  if (flags & PROCESS_SETUID) return [ProcessPrivilegesChanged.PRIVILEGES_RAISED_EXEC_FILE_SETUID];
  if (flags & PROCESS_SETGID) return [ProcessPrivilegesChanged.PRIVILEGES_RAISED_EXEC_FILE_SETGID];
  return [ProcessPrivilegesChanged.PRIVILEGES_RAISED_EXEC_FILE_CAP];
};

/** Undefined when there is nothing to say. */
const binaryProperties = (facts: Facts): ProcessInit['binaryProperties'] => {
  const { flags } = facts;
  const isGone = facts.inode !== 0n && (facts.links === 0 || (flags & PROCESS_NO_FILE) !== 0);
  if (!(flags & (PROCESS_SETUID | PROCESS_SETGID | PROCESS_RAISED)) && !isGone) return undefined;
  return {
    ...(flags & PROCESS_SETUID ? { setuid: facts.euid } : {}),
    ...(flags & PROCESS_SETGID ? { setgid: facts.egid } : {}),
    privilegesChanged: raisedBy(flags),
    ...(isGone ? { file: { inode: { number: facts.inode, links: facts.links } } } : {}),
  };
};

export const imageFacts = (facts: Facts, host: HostNamespaces): ProcessInit => {
  const cap = capabilities(facts);
  return {
    cap,
    ns: namespaces(facts, host),
    processCredentials: {
      uid: facts.uid,
      gid: facts.gid,
      euid: facts.euid,
      egid: facts.egid,
      suid: facts.suid,
      sgid: facts.sgid,
      fsuid: facts.fsuid,
      fsgid: facts.fsgid,
      securebits: bits(BigInt(facts.securebits), SECURE_BITS).map((bit) => 1 << bit),
      caps: cap,
      userNs: {
        level: facts.user_level,
        ns: { inum: facts.ns_user, isHost: host.has(facts.ns_user) },
      },
    },
    binaryProperties: binaryProperties(facts),
  };
};
