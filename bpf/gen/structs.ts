// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** Codecs of all structs that the kernel and the user side share, named as in bpf/include/abi.h. */
import * as codec from '../codec.ts';

export interface address_key {
  readonly addr: Uint8Array;
}

export const address_key = {
  name: 'address_key',
  size: 16,
  offsets: {
    addr: 0,
  },
  encode(value: address_key, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('address_key', out, at, 16);
    codec.writeBytes(out, value.addr, at, 16);
    return out;
  },
  decode(from: Buffer, at = 0): address_key {
    codec.need('address_key', from, at, 16);
    return {
      addr: codec.readBytes(from, at, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
  },
} as const satisfies codec.StructCodec<address_key>;

export interface address_value {
  readonly ifindex: number;
}

export const address_value = {
  name: 'address_value',
  size: 4,
  offsets: {
    ifindex: 0,
  },
  encode(value: address_value, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('address_value', out, at, 4);
    out.writeUInt32LE(value.ifindex, at);
    return out;
  },
  decode(from: Buffer, at = 0): address_value {
    codec.need('address_value', from, at, 4);
    return {
      ifindex: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<address_value>;

export interface announced {
  readonly mac: Uint8Array;
  readonly state: number;
  readonly others: number;
  readonly answered: bigint;
  readonly other_mac: Uint8Array;
}

export const announced = {
  name: 'announced',
  size: 32,
  offsets: {
    mac: 0,
    pad: 6,
    state: 8,
    others: 12,
    answered: 16,
    other_mac: 24,
    pad2: 30,
  },
  encode(value: announced, out: Buffer = Buffer.allocUnsafe(32), at = 0): Buffer {
    codec.need('announced', out, at, 32);
    codec.writeBytes(out, value.mac, at, 6);
    out.writeUInt16LE(0, at + 6);
    out.writeUInt32LE(value.state, at + 8);
    out.writeUInt32LE(value.others, at + 12);
    codec.writeU64(out, value.answered, at + 16);
    codec.writeBytes(out, value.other_mac, at + 24, 6);
    out.writeUInt16LE(0, at + 30);
    return out;
  },
  decode(from: Buffer, at = 0): announced {
    codec.need('announced', from, at, 32);
    return {
      mac: codec.readBytes(from, at, 6),
      state: from.readUInt32LE(at + 8),
      others: from.readUInt32LE(at + 12),
      answered: codec.readU64(from, at + 16),
      other_mac: codec.readBytes(from, at + 24, 6),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    mac: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 6),
    state: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    others: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    answered: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    other_mac: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 24, 6),
  },
} as const satisfies codec.StructCodec<announced>;

export interface announced_key {
  readonly addr: Uint8Array;
  readonly ifindex: number;
}

export const announced_key = {
  name: 'announced_key',
  size: 24,
  offsets: {
    addr: 0,
    ifindex: 16,
    pad: 20,
  },
  encode(value: announced_key, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('announced_key', out, at, 24);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt32LE(value.ifindex, at + 16);
    out.writeUInt32LE(0, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): announced_key {
    codec.need('announced_key', from, at, 24);
    return {
      addr: codec.readBytes(from, at, 16),
      ifindex: from.readUInt32LE(at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
  },
} as const satisfies codec.StructCodec<announced_key>;

export interface backend {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly protocol: number;
  readonly flags: number;
  readonly host: number;
}

export const backend = {
  name: 'backend',
  size: 24,
  offsets: {
    addr: 0,
    port: 16,
    protocol: 18,
    flags: 19,
    host: 20,
  },
  encode(value: backend, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('backend', out, at, 24);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt16BE(value.port, at + 16);
    out.writeUInt8(value.protocol, at + 18);
    out.writeUInt8(value.flags, at + 19);
    out.writeUInt32LE(value.host, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): backend {
    codec.need('backend', from, at, 24);
    return {
      addr: codec.readBytes(from, at, 16),
      port: from.readUInt16BE(at + 16),
      protocol: from.readUInt8(at + 18),
      flags: from.readUInt8(at + 19),
      host: from.readUInt32LE(at + 20),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 16),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 18),
    flags: (from: Buffer, at = 0): number => from.readUInt8(at + 19),
    host: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
  },
} as const satisfies codec.StructCodec<backend>;

export interface bandwidth {
  readonly egress_bytes_per_second: bigint;
  readonly ingress_bytes_per_second: bigint;
  readonly egress_paid_ns: bigint;
  readonly ingress_paid_ns: bigint;
  readonly here_paid_ns: bigint;
}

export const bandwidth = {
  name: 'bandwidth',
  size: 40,
  offsets: {
    egress_bytes_per_second: 0,
    ingress_bytes_per_second: 8,
    egress_paid_ns: 16,
    ingress_paid_ns: 24,
    here_paid_ns: 32,
  },
  encode(value: bandwidth, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('bandwidth', out, at, 40);
    codec.writeU64(out, value.egress_bytes_per_second, at);
    codec.writeU64(out, value.ingress_bytes_per_second, at + 8);
    codec.writeU64(out, value.egress_paid_ns, at + 16);
    codec.writeU64(out, value.ingress_paid_ns, at + 24);
    codec.writeU64(out, value.here_paid_ns, at + 32);
    return out;
  },
  decode(from: Buffer, at = 0): bandwidth {
    codec.need('bandwidth', from, at, 40);
    return {
      egress_bytes_per_second: codec.readU64(from, at),
      ingress_bytes_per_second: codec.readU64(from, at + 8),
      egress_paid_ns: codec.readU64(from, at + 16),
      ingress_paid_ns: codec.readU64(from, at + 24),
      here_paid_ns: codec.readU64(from, at + 32),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    egress_bytes_per_second: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    ingress_bytes_per_second: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    egress_paid_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    ingress_paid_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    here_paid_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
  },
} as const satisfies codec.StructCodec<bandwidth>;

export interface cidr_value {
  readonly identity: number;
}

export const cidr_value = {
  name: 'cidr_value',
  size: 4,
  offsets: {
    identity: 0,
  },
  encode(value: cidr_value, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('cidr_value', out, at, 4);
    out.writeUInt32LE(value.identity, at);
    return out;
  },
  decode(from: Buffer, at = 0): cidr_value {
    codec.need('cidr_value', from, at, 4);
    return {
      identity: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    identity: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<cidr_value>;

export interface ct_direction {
  readonly new_packets: bigint;
  readonly new_bytes: bigint;
  readonly last_ns: bigint;
  readonly reported_ns: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly tcp_flags: number;
  readonly number: number;
}

export const ct_direction = {
  name: 'ct_direction',
  size: 56,
  offsets: {
    new_packets: 0,
    new_bytes: 8,
    last_ns: 16,
    reported_ns: 24,
    packets: 32,
    bytes: 40,
    tcp_flags: 48,
    number: 52,
  },
  encode(value: ct_direction, out: Buffer = Buffer.allocUnsafe(56), at = 0): Buffer {
    codec.need('ct_direction', out, at, 56);
    codec.writeU64(out, value.new_packets, at);
    codec.writeU64(out, value.new_bytes, at + 8);
    codec.writeU64(out, value.last_ns, at + 16);
    codec.writeU64(out, value.reported_ns, at + 24);
    codec.writeU64(out, value.packets, at + 32);
    codec.writeU64(out, value.bytes, at + 40);
    out.writeUInt32LE(value.tcp_flags, at + 48);
    out.writeUInt32LE(value.number, at + 52);
    return out;
  },
  decode(from: Buffer, at = 0): ct_direction {
    codec.need('ct_direction', from, at, 56);
    return {
      new_packets: codec.readU64(from, at),
      new_bytes: codec.readU64(from, at + 8),
      last_ns: codec.readU64(from, at + 16),
      reported_ns: codec.readU64(from, at + 24),
      packets: codec.readU64(from, at + 32),
      bytes: codec.readU64(from, at + 40),
      tcp_flags: from.readUInt32LE(at + 48),
      number: from.readUInt32LE(at + 52),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    new_packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    new_bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    last_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    reported_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
    bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 40),
    tcp_flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 48),
    number: (from: Buffer, at = 0): number => from.readUInt32LE(at + 52),
  },
} as const satisfies codec.StructCodec<ct_direction>;

export interface ct_entry {
  readonly created_ns: bigint;
  readonly expires_ns: bigint;
  readonly flags: number;
  readonly policy_revision: number;
  readonly ifindex: number;
  readonly workload_id: number;
  readonly workload_identity: number;
  readonly peer_identity: number;
  readonly rule_id: number;
  readonly matched_identity: number;
  readonly trace_point: number;
  readonly views: number;
  readonly gateway: number;
  readonly peer_host: number;
  readonly orig: ct_direction;
  readonly reply: ct_direction;
  readonly owner: owner;
}

export const ct_entry = {
  name: 'ct_entry',
  size: 184,
  offsets: {
    created_ns: 0,
    expires_ns: 8,
    flags: 16,
    policy_revision: 20,
    ifindex: 24,
    workload_id: 28,
    workload_identity: 32,
    peer_identity: 36,
    rule_id: 40,
    matched_identity: 44,
    trace_point: 48,
    views: 49,
    gateway: 50,
    peer_host: 52,
    orig: 56,
    reply: 112,
    owner: 168,
  },
  encode(value: ct_entry, out: Buffer = Buffer.allocUnsafe(184), at = 0): Buffer {
    codec.need('ct_entry', out, at, 184);
    codec.writeU64(out, value.created_ns, at);
    codec.writeU64(out, value.expires_ns, at + 8);
    out.writeUInt32LE(value.flags, at + 16);
    out.writeUInt32LE(value.policy_revision, at + 20);
    out.writeUInt32LE(value.ifindex, at + 24);
    out.writeUInt32LE(value.workload_id, at + 28);
    out.writeUInt32LE(value.workload_identity, at + 32);
    out.writeUInt32LE(value.peer_identity, at + 36);
    out.writeUInt32LE(value.rule_id, at + 40);
    out.writeUInt32LE(value.matched_identity, at + 44);
    out.writeUInt8(value.trace_point, at + 48);
    out.writeUInt8(value.views, at + 49);
    out.writeUInt16LE(value.gateway, at + 50);
    out.writeUInt32LE(value.peer_host, at + 52);
    ct_direction.encode(value.orig, out, at + 56);
    ct_direction.encode(value.reply, out, at + 112);
    owner.encode(value.owner, out, at + 168);
    return out;
  },
  decode(from: Buffer, at = 0): ct_entry {
    codec.need('ct_entry', from, at, 184);
    return {
      created_ns: codec.readU64(from, at),
      expires_ns: codec.readU64(from, at + 8),
      flags: from.readUInt32LE(at + 16),
      policy_revision: from.readUInt32LE(at + 20),
      ifindex: from.readUInt32LE(at + 24),
      workload_id: from.readUInt32LE(at + 28),
      workload_identity: from.readUInt32LE(at + 32),
      peer_identity: from.readUInt32LE(at + 36),
      rule_id: from.readUInt32LE(at + 40),
      matched_identity: from.readUInt32LE(at + 44),
      trace_point: from.readUInt8(at + 48),
      views: from.readUInt8(at + 49),
      gateway: from.readUInt16LE(at + 50),
      peer_host: from.readUInt32LE(at + 52),
      orig: ct_direction.decode(from, at + 56),
      reply: ct_direction.decode(from, at + 112),
      owner: owner.decode(from, at + 168),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    created_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    expires_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
    policy_revision: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 24),
    workload_id: (from: Buffer, at = 0): number => from.readUInt32LE(at + 28),
    workload_identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 32),
    peer_identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 36),
    rule_id: (from: Buffer, at = 0): number => from.readUInt32LE(at + 40),
    matched_identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 44),
    trace_point: (from: Buffer, at = 0): number => from.readUInt8(at + 48),
    views: (from: Buffer, at = 0): number => from.readUInt8(at + 49),
    gateway: (from: Buffer, at = 0): number => from.readUInt16LE(at + 50),
    peer_host: (from: Buffer, at = 0): number => from.readUInt32LE(at + 52),
    orig: (from: Buffer, at = 0): ct_direction => ct_direction.decode(from, at + 56),
    reply: (from: Buffer, at = 0): ct_direction => ct_direction.decode(from, at + 112),
    owner: (from: Buffer, at = 0): owner => owner.decode(from, at + 168),
  },
} as const satisfies codec.StructCodec<ct_entry>;

export interface ct_key {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  readonly local_port: number;
  readonly remote_port: number;
  readonly protocol: number;
  readonly family: number;
  readonly icmp: number;
}

export const ct_key = {
  name: 'ct_key',
  size: 40,
  offsets: {
    local: 0,
    remote: 16,
    local_port: 32,
    remote_port: 34,
    protocol: 36,
    family: 37,
    icmp: 38,
    pad: 39,
  },
  encode(value: ct_key, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('ct_key', out, at, 40);
    codec.writeBytes(out, value.local, at, 16);
    codec.writeBytes(out, value.remote, at + 16, 16);
    out.writeUInt16BE(value.local_port, at + 32);
    out.writeUInt16BE(value.remote_port, at + 34);
    out.writeUInt8(value.protocol, at + 36);
    out.writeUInt8(value.family, at + 37);
    out.writeUInt8(value.icmp, at + 38);
    out.writeUInt8(0, at + 39);
    return out;
  },
  decode(from: Buffer, at = 0): ct_key {
    codec.need('ct_key', from, at, 40);
    return {
      local: codec.readBytes(from, at, 16),
      remote: codec.readBytes(from, at + 16, 16),
      local_port: from.readUInt16BE(at + 32),
      remote_port: from.readUInt16BE(at + 34),
      protocol: from.readUInt8(at + 36),
      family: from.readUInt8(at + 37),
      icmp: from.readUInt8(at + 38),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    local: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    remote: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    local_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 32),
    remote_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 34),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 36),
    family: (from: Buffer, at = 0): number => from.readUInt8(at + 37),
    icmp: (from: Buffer, at = 0): number => from.readUInt8(at + 38),
  },
} as const satisfies codec.StructCodec<ct_key>;

export interface drop_key {
  readonly reason: number;
  readonly direction: number;
}

export const drop_key = {
  name: 'drop_key',
  size: 4,
  offsets: {
    reason: 0,
    direction: 1,
    pad: 2,
  },
  encode(value: drop_key, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('drop_key', out, at, 4);
    out.writeUInt8(value.reason, at);
    out.writeUInt8(value.direction, at + 1);
    out.writeUInt16LE(0, at + 2);
    return out;
  },
  decode(from: Buffer, at = 0): drop_key {
    codec.need('drop_key', from, at, 4);
    return {
      reason: from.readUInt8(at),
      direction: from.readUInt8(at + 1),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    reason: (from: Buffer, at = 0): number => from.readUInt8(at),
    direction: (from: Buffer, at = 0): number => from.readUInt8(at + 1),
  },
} as const satisfies codec.StructCodec<drop_key>;

export interface drop_text {
  readonly reason: number;
  readonly text: string;
}

export const drop_text = {
  name: 'drop_text',
  size: 64,
  offsets: {
    reason: 0,
    text: 4,
  },
  encode(value: drop_text, out: Buffer = Buffer.allocUnsafe(64), at = 0): Buffer {
    codec.need('drop_text', out, at, 64);
    out.writeUInt32LE(value.reason, at);
    codec.writeText(out, value.text, at + 4, 60);
    return out;
  },
  decode(from: Buffer, at = 0): drop_text {
    codec.need('drop_text', from, at, 64);
    return {
      reason: from.readUInt32LE(at),
      text: codec.readText(from, at + 4, 60),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    reason: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    text: (from: Buffer, at = 0): string => codec.readText(from, at + 4, 60),
  },
} as const satisfies codec.StructCodec<drop_text>;

export interface drop_value {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export const drop_value = {
  name: 'drop_value',
  size: 16,
  offsets: {
    packets: 0,
    bytes: 8,
  },
  encode(value: drop_value, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('drop_value', out, at, 16);
    codec.writeU64(out, value.packets, at);
    codec.writeU64(out, value.bytes, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): drop_value {
    codec.need('drop_value', from, at, 16);
    return {
      packets: codec.readU64(from, at),
      bytes: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<drop_value>;

export interface egress_gateway {
  readonly group: number;
  readonly host: number;
  readonly flags: number;
  readonly ifindex: number;
  readonly ip4: Uint8Array;
  readonly ip6: Uint8Array;
}

export const egress_gateway = {
  name: 'egress_gateway',
  size: 48,
  offsets: {
    group: 0,
    host: 4,
    flags: 8,
    ifindex: 12,
    ip4: 16,
    ip6: 32,
  },
  encode(value: egress_gateway, out: Buffer = Buffer.allocUnsafe(48), at = 0): Buffer {
    codec.need('egress_gateway', out, at, 48);
    out.writeUInt32LE(value.group, at);
    out.writeUInt32LE(value.host, at + 4);
    out.writeUInt32LE(value.flags, at + 8);
    out.writeUInt32LE(value.ifindex, at + 12);
    codec.writeBytes(out, value.ip4, at + 16, 16);
    codec.writeBytes(out, value.ip6, at + 32, 16);
    return out;
  },
  decode(from: Buffer, at = 0): egress_gateway {
    codec.need('egress_gateway', from, at, 48);
    return {
      group: from.readUInt32LE(at),
      host: from.readUInt32LE(at + 4),
      flags: from.readUInt32LE(at + 8),
      ifindex: from.readUInt32LE(at + 12),
      ip4: codec.readBytes(from, at + 16, 16),
      ip6: codec.readBytes(from, at + 32, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    group: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    host: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    ip4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    ip6: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 32, 16),
  },
} as const satisfies codec.StructCodec<egress_gateway>;

export interface egress_group {
  readonly chosen: number;
  readonly own: number;
}

export const egress_group = {
  name: 'egress_group',
  size: 8,
  offsets: {
    chosen: 0,
    own: 4,
  },
  encode(value: egress_group, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('egress_group', out, at, 8);
    out.writeUInt32LE(value.chosen, at);
    out.writeUInt32LE(value.own, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): egress_group {
    codec.need('egress_group', from, at, 8);
    return {
      chosen: from.readUInt32LE(at),
      own: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    chosen: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    own: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<egress_group>;

export interface egress_key {
  readonly prefixlen: number;
  readonly set: number;
  readonly addr: Uint8Array;
}

export const egress_key = {
  name: 'egress_key',
  size: 24,
  offsets: {
    prefixlen: 0,
    set: 4,
    addr: 8,
  },
  encode(value: egress_key, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('egress_key', out, at, 24);
    out.writeUInt32LE(value.prefixlen, at);
    out.writeUInt32LE(value.set, at + 4);
    codec.writeBytes(out, value.addr, at + 8, 16);
    return out;
  },
  decode(from: Buffer, at = 0): egress_key {
    codec.need('egress_key', from, at, 24);
    return {
      prefixlen: from.readUInt32LE(at),
      set: from.readUInt32LE(at + 4),
      addr: codec.readBytes(from, at + 8, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    prefixlen: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    set: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 8, 16),
  },
} as const satisfies codec.StructCodec<egress_key>;

export interface egress_route {
  readonly group: number;
}

export const egress_route = {
  name: 'egress_route',
  size: 4,
  offsets: {
    group: 0,
  },
  encode(value: egress_route, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('egress_route', out, at, 4);
    out.writeUInt32LE(value.group, at);
    return out;
  },
  decode(from: Buffer, at = 0): egress_route {
    codec.need('egress_route', from, at, 4);
    return {
      group: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    group: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<egress_route>;

export interface egress_source {
  readonly set: number;
}

export const egress_source = {
  name: 'egress_source',
  size: 4,
  offsets: {
    set: 0,
  },
  encode(value: egress_source, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('egress_source', out, at, 4);
    out.writeUInt32LE(value.set, at);
    return out;
  },
  decode(from: Buffer, at = 0): egress_source {
    codec.need('egress_source', from, at, 4);
    return {
      set: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    set: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<egress_source>;

export interface event_header {
  readonly version: number;
  readonly kind: number;
  readonly cpu: number;
  readonly size: number;
  readonly time_ns: bigint;
}

export const event_header = {
  name: 'event_header',
  size: 16,
  offsets: {
    version: 0,
    kind: 1,
    cpu: 2,
    size: 4,
    time_ns: 8,
  },
  encode(value: event_header, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('event_header', out, at, 16);
    out.writeUInt8(value.version, at);
    out.writeUInt8(value.kind, at + 1);
    out.writeUInt16LE(value.cpu, at + 2);
    out.writeUInt32LE(value.size, at + 4);
    codec.writeU64(out, value.time_ns, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): event_header {
    codec.need('event_header', from, at, 16);
    return {
      version: from.readUInt8(at),
      kind: from.readUInt8(at + 1),
      cpu: from.readUInt16LE(at + 2),
      size: from.readUInt32LE(at + 4),
      time_ns: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    version: (from: Buffer, at = 0): number => from.readUInt8(at),
    kind: (from: Buffer, at = 0): number => from.readUInt8(at + 1),
    cpu: (from: Buffer, at = 0): number => from.readUInt16LE(at + 2),
    size: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    time_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<event_header>;

export interface flow_event {
  readonly header: event_header;
  readonly saddr: Uint8Array;
  readonly daddr: Uint8Array;
  readonly sport: number;
  readonly dport: number;
  readonly protocol: number;
  readonly family: number;
  readonly tcp_flags: number;
  readonly verdict: number;
  readonly source_identity: number;
  readonly destination_identity: number;
  readonly rule_id: number;
  readonly workload_id: number;
  readonly ifindex: number;
  readonly drop_reason: number;
  readonly direction: number;
  readonly is_reply: number;
  readonly trace_point: number;
  readonly trace_reason: number;
  readonly report: number;
  readonly icmp_type: number;
  readonly icmp_code: number;
  readonly encrypted: number;
  readonly pending: number;
  readonly sock_xlate: number;
  readonly frontend: number;
  readonly pending_rule: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly connection_ns: bigint;
  readonly xlated: Uint8Array;
  readonly owner: owner;
}

export const flow_event = {
  name: 'flow_event',
  size: 152,
  offsets: {
    header: 0,
    saddr: 16,
    daddr: 32,
    sport: 48,
    dport: 50,
    protocol: 52,
    family: 53,
    tcp_flags: 54,
    verdict: 55,
    source_identity: 56,
    destination_identity: 60,
    rule_id: 64,
    workload_id: 68,
    ifindex: 72,
    drop_reason: 76,
    direction: 77,
    is_reply: 78,
    trace_point: 79,
    trace_reason: 80,
    report: 81,
    icmp_type: 82,
    icmp_code: 83,
    encrypted: 84,
    pending: 85,
    sock_xlate: 86,
    pad: 87,
    frontend: 88,
    pending_rule: 92,
    packets: 96,
    bytes: 104,
    connection_ns: 112,
    xlated: 120,
    owner: 136,
  },
  encode(value: flow_event, out: Buffer = Buffer.allocUnsafe(152), at = 0): Buffer {
    codec.need('flow_event', out, at, 152);
    event_header.encode(value.header, out, at);
    codec.writeBytes(out, value.saddr, at + 16, 16);
    codec.writeBytes(out, value.daddr, at + 32, 16);
    out.writeUInt16BE(value.sport, at + 48);
    out.writeUInt16BE(value.dport, at + 50);
    out.writeUInt8(value.protocol, at + 52);
    out.writeUInt8(value.family, at + 53);
    out.writeUInt8(value.tcp_flags, at + 54);
    out.writeUInt8(value.verdict, at + 55);
    out.writeUInt32LE(value.source_identity, at + 56);
    out.writeUInt32LE(value.destination_identity, at + 60);
    out.writeUInt32LE(value.rule_id, at + 64);
    out.writeUInt32LE(value.workload_id, at + 68);
    out.writeUInt32LE(value.ifindex, at + 72);
    out.writeUInt8(value.drop_reason, at + 76);
    out.writeUInt8(value.direction, at + 77);
    out.writeUInt8(value.is_reply, at + 78);
    out.writeUInt8(value.trace_point, at + 79);
    out.writeUInt8(value.trace_reason, at + 80);
    out.writeUInt8(value.report, at + 81);
    out.writeUInt8(value.icmp_type, at + 82);
    out.writeUInt8(value.icmp_code, at + 83);
    out.writeUInt8(value.encrypted, at + 84);
    out.writeUInt8(value.pending, at + 85);
    out.writeUInt8(value.sock_xlate, at + 86);
    out.writeUInt8(0, at + 87);
    out.writeUInt32LE(value.frontend, at + 88);
    out.writeUInt32LE(value.pending_rule, at + 92);
    codec.writeU64(out, value.packets, at + 96);
    codec.writeU64(out, value.bytes, at + 104);
    codec.writeU64(out, value.connection_ns, at + 112);
    codec.writeBytes(out, value.xlated, at + 120, 16);
    owner.encode(value.owner, out, at + 136);
    return out;
  },
  decode(from: Buffer, at = 0): flow_event {
    codec.need('flow_event', from, at, 152);
    return {
      header: event_header.decode(from, at),
      saddr: codec.readBytes(from, at + 16, 16),
      daddr: codec.readBytes(from, at + 32, 16),
      sport: from.readUInt16BE(at + 48),
      dport: from.readUInt16BE(at + 50),
      protocol: from.readUInt8(at + 52),
      family: from.readUInt8(at + 53),
      tcp_flags: from.readUInt8(at + 54),
      verdict: from.readUInt8(at + 55),
      source_identity: from.readUInt32LE(at + 56),
      destination_identity: from.readUInt32LE(at + 60),
      rule_id: from.readUInt32LE(at + 64),
      workload_id: from.readUInt32LE(at + 68),
      ifindex: from.readUInt32LE(at + 72),
      drop_reason: from.readUInt8(at + 76),
      direction: from.readUInt8(at + 77),
      is_reply: from.readUInt8(at + 78),
      trace_point: from.readUInt8(at + 79),
      trace_reason: from.readUInt8(at + 80),
      report: from.readUInt8(at + 81),
      icmp_type: from.readUInt8(at + 82),
      icmp_code: from.readUInt8(at + 83),
      encrypted: from.readUInt8(at + 84),
      pending: from.readUInt8(at + 85),
      sock_xlate: from.readUInt8(at + 86),
      frontend: from.readUInt32LE(at + 88),
      pending_rule: from.readUInt32LE(at + 92),
      packets: codec.readU64(from, at + 96),
      bytes: codec.readU64(from, at + 104),
      connection_ns: codec.readU64(from, at + 112),
      xlated: codec.readBytes(from, at + 120, 16),
      owner: owner.decode(from, at + 136),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    header: (from: Buffer, at = 0): event_header => event_header.decode(from, at),
    saddr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    daddr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 32, 16),
    sport: (from: Buffer, at = 0): number => from.readUInt16BE(at + 48),
    dport: (from: Buffer, at = 0): number => from.readUInt16BE(at + 50),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 52),
    family: (from: Buffer, at = 0): number => from.readUInt8(at + 53),
    tcp_flags: (from: Buffer, at = 0): number => from.readUInt8(at + 54),
    verdict: (from: Buffer, at = 0): number => from.readUInt8(at + 55),
    source_identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 56),
    destination_identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 60),
    rule_id: (from: Buffer, at = 0): number => from.readUInt32LE(at + 64),
    workload_id: (from: Buffer, at = 0): number => from.readUInt32LE(at + 68),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 72),
    drop_reason: (from: Buffer, at = 0): number => from.readUInt8(at + 76),
    direction: (from: Buffer, at = 0): number => from.readUInt8(at + 77),
    is_reply: (from: Buffer, at = 0): number => from.readUInt8(at + 78),
    trace_point: (from: Buffer, at = 0): number => from.readUInt8(at + 79),
    trace_reason: (from: Buffer, at = 0): number => from.readUInt8(at + 80),
    report: (from: Buffer, at = 0): number => from.readUInt8(at + 81),
    icmp_type: (from: Buffer, at = 0): number => from.readUInt8(at + 82),
    icmp_code: (from: Buffer, at = 0): number => from.readUInt8(at + 83),
    encrypted: (from: Buffer, at = 0): number => from.readUInt8(at + 84),
    pending: (from: Buffer, at = 0): number => from.readUInt8(at + 85),
    sock_xlate: (from: Buffer, at = 0): number => from.readUInt8(at + 86),
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 88),
    pending_rule: (from: Buffer, at = 0): number => from.readUInt32LE(at + 92),
    packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 96),
    bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 104),
    connection_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 112),
    xlated: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 120, 16),
    owner: (from: Buffer, at = 0): owner => owner.decode(from, at + 136),
  },
} as const satisfies codec.StructCodec<flow_event>;

export interface frag_key {
  readonly saddr: Uint8Array;
  readonly daddr: Uint8Array;
  readonly id: number;
  readonly protocol: number;
  readonly family: number;
}

export const frag_key = {
  name: 'frag_key',
  size: 40,
  offsets: {
    saddr: 0,
    daddr: 16,
    id: 32,
    protocol: 36,
    family: 37,
    pad: 38,
  },
  encode(value: frag_key, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('frag_key', out, at, 40);
    codec.writeBytes(out, value.saddr, at, 16);
    codec.writeBytes(out, value.daddr, at + 16, 16);
    out.writeUInt32LE(value.id, at + 32);
    out.writeUInt8(value.protocol, at + 36);
    out.writeUInt8(value.family, at + 37);
    out.writeUInt16LE(0, at + 38);
    return out;
  },
  decode(from: Buffer, at = 0): frag_key {
    codec.need('frag_key', from, at, 40);
    return {
      saddr: codec.readBytes(from, at, 16),
      daddr: codec.readBytes(from, at + 16, 16),
      id: from.readUInt32LE(at + 32),
      protocol: from.readUInt8(at + 36),
      family: from.readUInt8(at + 37),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    saddr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    daddr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    id: (from: Buffer, at = 0): number => from.readUInt32LE(at + 32),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 36),
    family: (from: Buffer, at = 0): number => from.readUInt8(at + 37),
  },
} as const satisfies codec.StructCodec<frag_key>;

export interface frag_value {
  readonly sport: number;
  readonly dport: number;
  readonly protocol: number;
  readonly icmp_type: number;
  readonly icmp_code: number;
  readonly seen_ns: bigint;
}

export const frag_value = {
  name: 'frag_value',
  size: 16,
  offsets: {
    sport: 0,
    dport: 2,
    protocol: 4,
    icmp_type: 5,
    icmp_code: 6,
    pad: 7,
    seen_ns: 8,
  },
  encode(value: frag_value, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('frag_value', out, at, 16);
    out.writeUInt16BE(value.sport, at);
    out.writeUInt16BE(value.dport, at + 2);
    out.writeUInt8(value.protocol, at + 4);
    out.writeUInt8(value.icmp_type, at + 5);
    out.writeUInt8(value.icmp_code, at + 6);
    out.writeUInt8(0, at + 7);
    codec.writeU64(out, value.seen_ns, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): frag_value {
    codec.need('frag_value', from, at, 16);
    return {
      sport: from.readUInt16BE(at),
      dport: from.readUInt16BE(at + 2),
      protocol: from.readUInt8(at + 4),
      icmp_type: from.readUInt8(at + 5),
      icmp_code: from.readUInt8(at + 6),
      seen_ns: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    sport: (from: Buffer, at = 0): number => from.readUInt16BE(at),
    dport: (from: Buffer, at = 0): number => from.readUInt16BE(at + 2),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 4),
    icmp_type: (from: Buffer, at = 0): number => from.readUInt8(at + 5),
    icmp_code: (from: Buffer, at = 0): number => from.readUInt8(at + 6),
    seen_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<frag_value>;

export interface identity_value {
  readonly flags: number;
}

export const identity_value = {
  name: 'identity_value',
  size: 4,
  offsets: {
    flags: 0,
  },
  encode(value: identity_value, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('identity_value', out, at, 4);
    out.writeUInt32LE(value.flags, at);
    return out;
  },
  decode(from: Buffer, at = 0): identity_value {
    codec.need('identity_value', from, at, 4);
    return {
      flags: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<identity_value>;

export interface ipcache_value {
  readonly identity: number;
  readonly flags: number;
  readonly host4: number;
  readonly host: number;
}

export const ipcache_value = {
  name: 'ipcache_value',
  size: 16,
  offsets: {
    identity: 0,
    flags: 4,
    host4: 8,
    host: 12,
  },
  encode(value: ipcache_value, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('ipcache_value', out, at, 16);
    out.writeUInt32LE(value.identity, at);
    out.writeUInt32LE(value.flags, at + 4);
    out.writeUInt32BE(value.host4, at + 8);
    out.writeUInt32LE(value.host, at + 12);
    return out;
  },
  decode(from: Buffer, at = 0): ipcache_value {
    codec.need('ipcache_value', from, at, 16);
    return {
      identity: from.readUInt32LE(at),
      flags: from.readUInt32LE(at + 4),
      host4: from.readUInt32BE(at + 8),
      host: from.readUInt32LE(at + 12),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    identity: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    host4: (from: Buffer, at = 0): number => from.readUInt32BE(at + 8),
    host: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
  },
} as const satisfies codec.StructCodec<ipcache_value>;

export interface maglev_slot {
  readonly current: number;
  readonly previous: number;
}

export const maglev_slot = {
  name: 'maglev_slot',
  size: 8,
  offsets: {
    current: 0,
    previous: 4,
  },
  encode(value: maglev_slot, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('maglev_slot', out, at, 8);
    out.writeUInt32LE(value.current, at);
    out.writeUInt32LE(value.previous, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): maglev_slot {
    codec.need('maglev_slot', from, at, 8);
    return {
      current: from.readUInt32LE(at),
      previous: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    current: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    previous: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<maglev_slot>;

export interface nat64 {
  readonly prefix: Uint8Array;
  readonly hairpin4: Uint8Array;
  readonly ifindex: number;
  readonly uplink: number;
  readonly mac: Uint8Array;
}

export const nat64 = {
  name: 'nat64',
  size: 48,
  offsets: {
    prefix: 0,
    hairpin4: 16,
    ifindex: 32,
    uplink: 36,
    mac: 40,
    pad: 46,
  },
  encode(value: nat64, out: Buffer = Buffer.allocUnsafe(48), at = 0): Buffer {
    codec.need('nat64', out, at, 48);
    codec.writeBytes(out, value.prefix, at, 16);
    codec.writeBytes(out, value.hairpin4, at + 16, 16);
    out.writeUInt32LE(value.ifindex, at + 32);
    out.writeUInt32LE(value.uplink, at + 36);
    codec.writeBytes(out, value.mac, at + 40, 6);
    out.writeUInt16LE(0, at + 46);
    return out;
  },
  decode(from: Buffer, at = 0): nat64 {
    codec.need('nat64', from, at, 48);
    return {
      prefix: codec.readBytes(from, at, 16),
      hairpin4: codec.readBytes(from, at + 16, 16),
      ifindex: from.readUInt32LE(at + 32),
      uplink: from.readUInt32LE(at + 36),
      mac: codec.readBytes(from, at + 40, 6),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    prefix: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    hairpin4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 32),
    uplink: (from: Buffer, at = 0): number => from.readUInt32LE(at + 36),
    mac: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 40, 6),
  },
} as const satisfies codec.StructCodec<nat64>;

export interface nat_in_value {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly remote_port: number;
  readonly flags: number;
  readonly created_ns: bigint;
  readonly expires_ns: bigint;
}

export const nat_in_value = {
  name: 'nat_in_value',
  size: 40,
  offsets: {
    addr: 0,
    port: 16,
    remote_port: 18,
    flags: 20,
    created_ns: 24,
    expires_ns: 32,
  },
  encode(value: nat_in_value, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('nat_in_value', out, at, 40);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt16BE(value.port, at + 16);
    out.writeUInt16BE(value.remote_port, at + 18);
    out.writeUInt32LE(value.flags, at + 20);
    codec.writeU64(out, value.created_ns, at + 24);
    codec.writeU64(out, value.expires_ns, at + 32);
    return out;
  },
  decode(from: Buffer, at = 0): nat_in_value {
    codec.need('nat_in_value', from, at, 40);
    return {
      addr: codec.readBytes(from, at, 16),
      port: from.readUInt16BE(at + 16),
      remote_port: from.readUInt16BE(at + 18),
      flags: from.readUInt32LE(at + 20),
      created_ns: codec.readU64(from, at + 24),
      expires_ns: codec.readU64(from, at + 32),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 16),
    remote_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 18),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    created_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    expires_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
  },
} as const satisfies codec.StructCodec<nat_in_value>;

export interface nat_key {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  readonly local_port: number;
  readonly remote_port: number;
  readonly protocol: number;
  readonly family: number;
}

export const nat_key = {
  name: 'nat_key',
  size: 40,
  offsets: {
    local: 0,
    remote: 16,
    local_port: 32,
    remote_port: 34,
    protocol: 36,
    family: 37,
    pad: 38,
  },
  encode(value: nat_key, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('nat_key', out, at, 40);
    codec.writeBytes(out, value.local, at, 16);
    codec.writeBytes(out, value.remote, at + 16, 16);
    out.writeUInt16BE(value.local_port, at + 32);
    out.writeUInt16BE(value.remote_port, at + 34);
    out.writeUInt8(value.protocol, at + 36);
    out.writeUInt8(value.family, at + 37);
    out.writeUInt16LE(0, at + 38);
    return out;
  },
  decode(from: Buffer, at = 0): nat_key {
    codec.need('nat_key', from, at, 40);
    return {
      local: codec.readBytes(from, at, 16),
      remote: codec.readBytes(from, at + 16, 16),
      local_port: from.readUInt16BE(at + 32),
      remote_port: from.readUInt16BE(at + 34),
      protocol: from.readUInt8(at + 36),
      family: from.readUInt8(at + 37),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    local: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    remote: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    local_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 32),
    remote_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 34),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 36),
    family: (from: Buffer, at = 0): number => from.readUInt8(at + 37),
  },
} as const satisfies codec.StructCodec<nat_key>;

export interface nat_out_value {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly remote_port: number;
  readonly frontend: number;
}

export const nat_out_value = {
  name: 'nat_out_value',
  size: 24,
  offsets: {
    addr: 0,
    port: 16,
    remote_port: 18,
    frontend: 20,
  },
  encode(value: nat_out_value, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('nat_out_value', out, at, 24);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt16BE(value.port, at + 16);
    out.writeUInt16BE(value.remote_port, at + 18);
    out.writeUInt32LE(value.frontend, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): nat_out_value {
    codec.need('nat_out_value', from, at, 24);
    return {
      addr: codec.readBytes(from, at, 16),
      port: from.readUInt16BE(at + 16),
      remote_port: from.readUInt16BE(at + 18),
      frontend: from.readUInt32LE(at + 20),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 16),
    remote_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 18),
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
  },
} as const satisfies codec.StructCodec<nat_out_value>;

export interface nat_sweep_ctx {
  readonly now_ns: bigint;
  readonly flags: number;
  readonly failed: number;
  readonly entries: bigint;
  readonly expired: bigint;
  readonly orphans: bigint;
}

export const nat_sweep_ctx = {
  name: 'nat_sweep_ctx',
  size: 40,
  offsets: {
    now_ns: 0,
    flags: 8,
    failed: 12,
    entries: 16,
    expired: 24,
    orphans: 32,
  },
  encode(value: nat_sweep_ctx, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('nat_sweep_ctx', out, at, 40);
    codec.writeU64(out, value.now_ns, at);
    out.writeUInt32LE(value.flags, at + 8);
    out.writeUInt32LE(value.failed, at + 12);
    codec.writeU64(out, value.entries, at + 16);
    codec.writeU64(out, value.expired, at + 24);
    codec.writeU64(out, value.orphans, at + 32);
    return out;
  },
  decode(from: Buffer, at = 0): nat_sweep_ctx {
    codec.need('nat_sweep_ctx', from, at, 40);
    return {
      now_ns: codec.readU64(from, at),
      flags: from.readUInt32LE(at + 8),
      failed: from.readUInt32LE(at + 12),
      entries: codec.readU64(from, at + 16),
      expired: codec.readU64(from, at + 24),
      orphans: codec.readU64(from, at + 32),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    now_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    failed: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    entries: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    expired: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    orphans: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
  },
} as const satisfies codec.StructCodec<nat_sweep_ctx>;

export interface node_address {
  readonly flags: number;
}

export const node_address = {
  name: 'node_address',
  size: 4,
  offsets: {
    flags: 0,
  },
  encode(value: node_address, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('node_address', out, at, 4);
    out.writeUInt32LE(value.flags, at);
    return out;
  },
  decode(from: Buffer, at = 0): node_address {
    codec.need('node_address', from, at, 4);
    return {
      flags: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<node_address>;

export interface owner {
  readonly exec_ns: bigint;
  readonly pid: number;
  readonly uid: number;
}

export const owner = {
  name: 'owner',
  size: 16,
  offsets: {
    exec_ns: 0,
    pid: 8,
    uid: 12,
  },
  encode(value: owner, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('owner', out, at, 16);
    codec.writeU64(out, value.exec_ns, at);
    out.writeUInt32LE(value.pid, at + 8);
    out.writeUInt32LE(value.uid, at + 12);
    return out;
  },
  decode(from: Buffer, at = 0): owner {
    codec.need('owner', from, at, 16);
    return {
      exec_ns: codec.readU64(from, at),
      pid: from.readUInt32LE(at + 8),
      uid: from.readUInt32LE(at + 12),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    uid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
  },
} as const satisfies codec.StructCodec<owner>;

export interface policy_entry {
  readonly rule_id: number;
  readonly verdict: number;
  readonly prefix_bits: number;
  readonly rank: number;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export const policy_entry = {
  name: 'policy_entry',
  size: 24,
  offsets: {
    rule_id: 0,
    verdict: 4,
    prefix_bits: 5,
    rank: 6,
    packets: 8,
    bytes: 16,
  },
  encode(value: policy_entry, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('policy_entry', out, at, 24);
    out.writeUInt32LE(value.rule_id, at);
    out.writeUInt8(value.verdict, at + 4);
    out.writeUInt8(value.prefix_bits, at + 5);
    out.writeUInt16LE(value.rank, at + 6);
    codec.writeU64(out, value.packets, at + 8);
    codec.writeU64(out, value.bytes, at + 16);
    return out;
  },
  decode(from: Buffer, at = 0): policy_entry {
    codec.need('policy_entry', from, at, 24);
    return {
      rule_id: from.readUInt32LE(at),
      verdict: from.readUInt8(at + 4),
      prefix_bits: from.readUInt8(at + 5),
      rank: from.readUInt16LE(at + 6),
      packets: codec.readU64(from, at + 8),
      bytes: codec.readU64(from, at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    rule_id: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    verdict: (from: Buffer, at = 0): number => from.readUInt8(at + 4),
    prefix_bits: (from: Buffer, at = 0): number => from.readUInt8(at + 5),
    rank: (from: Buffer, at = 0): number => from.readUInt16LE(at + 6),
    packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
  },
} as const satisfies codec.StructCodec<policy_entry>;

export interface policy_key {
  readonly prefixlen: number;
  readonly identity: number;
  readonly section: number;
  readonly protocol: number;
  readonly port_hi: number;
  readonly port_lo: number;
}

export const policy_key = {
  name: 'policy_key',
  size: 12,
  offsets: {
    prefixlen: 0,
    identity: 4,
    section: 8,
    protocol: 9,
    port_hi: 10,
    port_lo: 11,
  },
  encode(value: policy_key, out: Buffer = Buffer.allocUnsafe(12), at = 0): Buffer {
    codec.need('policy_key', out, at, 12);
    out.writeUInt32LE(value.prefixlen, at);
    out.writeUInt32LE(value.identity, at + 4);
    out.writeUInt8(value.section, at + 8);
    out.writeUInt8(value.protocol, at + 9);
    out.writeUInt8(value.port_hi, at + 10);
    out.writeUInt8(value.port_lo, at + 11);
    return out;
  },
  decode(from: Buffer, at = 0): policy_key {
    codec.need('policy_key', from, at, 12);
    return {
      prefixlen: from.readUInt32LE(at),
      identity: from.readUInt32LE(at + 4),
      section: from.readUInt8(at + 8),
      protocol: from.readUInt8(at + 9),
      port_hi: from.readUInt8(at + 10),
      port_lo: from.readUInt8(at + 11),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    prefixlen: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    section: (from: Buffer, at = 0): number => from.readUInt8(at + 8),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 9),
    port_hi: (from: Buffer, at = 0): number => from.readUInt8(at + 10),
    port_lo: (from: Buffer, at = 0): number => from.readUInt8(at + 11),
  },
} as const satisfies codec.StructCodec<policy_key>;

export interface prefilter_value {
  readonly revision: bigint;
}

export const prefilter_value = {
  name: 'prefilter_value',
  size: 8,
  offsets: {
    revision: 0,
  },
  encode(value: prefilter_value, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('prefilter_value', out, at, 8);
    codec.writeU64(out, value.revision, at);
    return out;
  },
  decode(from: Buffer, at = 0): prefilter_value {
    codec.need('prefilter_value', from, at, 8);
    return {
      revision: codec.readU64(from, at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    revision: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
  },
} as const satisfies codec.StructCodec<prefilter_value>;

export interface prefix_key {
  readonly prefixlen: number;
  readonly addr: Uint8Array;
}

export const prefix_key = {
  name: 'prefix_key',
  size: 20,
  offsets: {
    prefixlen: 0,
    addr: 4,
  },
  encode(value: prefix_key, out: Buffer = Buffer.allocUnsafe(20), at = 0): Buffer {
    codec.need('prefix_key', out, at, 20);
    out.writeUInt32LE(value.prefixlen, at);
    codec.writeBytes(out, value.addr, at + 4, 16);
    return out;
  },
  decode(from: Buffer, at = 0): prefix_key {
    codec.need('prefix_key', from, at, 20);
    return {
      prefixlen: from.readUInt32LE(at),
      addr: codec.readBytes(from, at + 4, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    prefixlen: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 4, 16),
  },
} as const satisfies codec.StructCodec<prefix_key>;

export interface process {
  readonly exec_ns: bigint;
  readonly parent_exec_ns: bigint;
  readonly start_ns: bigint;
  readonly self_exec_id: bigint;
  readonly cgroup_id: bigint;
  readonly cap_permitted: bigint;
  readonly inode: bigint;
  readonly device: number;
  readonly parent_pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  readonly auid: number;
  readonly netns: number;
  readonly flags: number;
  readonly binary_length: number;
  readonly binary: Uint8Array;
}

export const process = {
  name: 'process',
  size: 352,
  offsets: {
    exec_ns: 0,
    parent_exec_ns: 8,
    start_ns: 16,
    self_exec_id: 24,
    cgroup_id: 32,
    cap_permitted: 40,
    inode: 48,
    device: 56,
    parent_pid: 60,
    uid: 64,
    gid: 68,
    euid: 72,
    egid: 76,
    auid: 80,
    netns: 84,
    flags: 88,
    binary_length: 92,
    binary: 96,
  },
  encode(value: process, out: Buffer = Buffer.allocUnsafe(352), at = 0): Buffer {
    codec.need('process', out, at, 352);
    codec.writeU64(out, value.exec_ns, at);
    codec.writeU64(out, value.parent_exec_ns, at + 8);
    codec.writeU64(out, value.start_ns, at + 16);
    codec.writeU64(out, value.self_exec_id, at + 24);
    codec.writeU64(out, value.cgroup_id, at + 32);
    codec.writeU64(out, value.cap_permitted, at + 40);
    codec.writeU64(out, value.inode, at + 48);
    out.writeUInt32LE(value.device, at + 56);
    out.writeUInt32LE(value.parent_pid, at + 60);
    out.writeUInt32LE(value.uid, at + 64);
    out.writeUInt32LE(value.gid, at + 68);
    out.writeUInt32LE(value.euid, at + 72);
    out.writeUInt32LE(value.egid, at + 76);
    out.writeUInt32LE(value.auid, at + 80);
    out.writeUInt32LE(value.netns, at + 84);
    out.writeUInt32LE(value.flags, at + 88);
    out.writeUInt32LE(value.binary_length, at + 92);
    codec.writeBytes(out, value.binary, at + 96, 256);
    return out;
  },
  decode(from: Buffer, at = 0): process {
    codec.need('process', from, at, 352);
    return {
      exec_ns: codec.readU64(from, at),
      parent_exec_ns: codec.readU64(from, at + 8),
      start_ns: codec.readU64(from, at + 16),
      self_exec_id: codec.readU64(from, at + 24),
      cgroup_id: codec.readU64(from, at + 32),
      cap_permitted: codec.readU64(from, at + 40),
      inode: codec.readU64(from, at + 48),
      device: from.readUInt32LE(at + 56),
      parent_pid: from.readUInt32LE(at + 60),
      uid: from.readUInt32LE(at + 64),
      gid: from.readUInt32LE(at + 68),
      euid: from.readUInt32LE(at + 72),
      egid: from.readUInt32LE(at + 76),
      auid: from.readUInt32LE(at + 80),
      netns: from.readUInt32LE(at + 84),
      flags: from.readUInt32LE(at + 88),
      binary_length: from.readUInt32LE(at + 92),
      binary: codec.readBytes(from, at + 96, 256),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    parent_exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    start_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    self_exec_id: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    cgroup_id: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
    cap_permitted: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 40),
    inode: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 48),
    device: (from: Buffer, at = 0): number => from.readUInt32LE(at + 56),
    parent_pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 60),
    uid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 64),
    gid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 68),
    euid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 72),
    egid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 76),
    auid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 80),
    netns: (from: Buffer, at = 0): number => from.readUInt32LE(at + 84),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 88),
    binary_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 92),
    binary: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 96, 256),
  },
} as const satisfies codec.StructCodec<process>;

export interface process_data_event {
  readonly header: event_header;
  readonly exec_ns: bigint;
  readonly pid: number;
  readonly what: number;
  readonly at: number;
  readonly length: number;
}

export const process_data_event = {
  name: 'process_data_event',
  size: 40,
  offsets: {
    header: 0,
    exec_ns: 16,
    pid: 24,
    what: 28,
    at: 32,
    length: 36,
  },
  encode(value: process_data_event, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('process_data_event', out, at, 40);
    event_header.encode(value.header, out, at);
    codec.writeU64(out, value.exec_ns, at + 16);
    out.writeUInt32LE(value.pid, at + 24);
    out.writeUInt32LE(value.what, at + 28);
    out.writeUInt32LE(value.at, at + 32);
    out.writeUInt32LE(value.length, at + 36);
    return out;
  },
  decode(from: Buffer, at = 0): process_data_event {
    codec.need('process_data_event', from, at, 40);
    return {
      header: event_header.decode(from, at),
      exec_ns: codec.readU64(from, at + 16),
      pid: from.readUInt32LE(at + 24),
      what: from.readUInt32LE(at + 28),
      at: from.readUInt32LE(at + 32),
      length: from.readUInt32LE(at + 36),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    header: (from: Buffer, at = 0): event_header => event_header.decode(from, at),
    exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 24),
    what: (from: Buffer, at = 0): number => from.readUInt32LE(at + 28),
    at: (from: Buffer, at = 0): number => from.readUInt32LE(at + 32),
    length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 36),
  },
} as const satisfies codec.StructCodec<process_data_event>;

export interface process_event {
  readonly header: event_header;
  readonly exec_ns: bigint;
  readonly parent_exec_ns: bigint;
  readonly previous_exec_ns: bigint;
  readonly start_ns: bigint;
  readonly cgroup_id: bigint;
  readonly cap_permitted: bigint;
  readonly cap_effective: bigint;
  readonly cap_inheritable: bigint;
  readonly inode: bigint;
  readonly device: number;
  readonly links: number;
  readonly file_mode: number;
  readonly pid: number;
  readonly tid: number;
  readonly own_pid: number;
  readonly parent_pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  readonly suid: number;
  readonly sgid: number;
  readonly fsuid: number;
  readonly fsgid: number;
  readonly auid: number;
  readonly securebits: number;
  readonly user_level: number;
  readonly ns_uts: number;
  readonly ns_ipc: number;
  readonly ns_mnt: number;
  readonly ns_pid: number;
  readonly ns_pid_for_children: number;
  readonly ns_net: number;
  readonly ns_time: number;
  readonly ns_time_for_children: number;
  readonly ns_cgroup: number;
  readonly ns_user: number;
  readonly flags: number;
  readonly exit_code: number;
  readonly args_size: number;
  readonly env_size: number;
  readonly args_sent: number;
  readonly env_sent: number;
  readonly binary_length: number;
  readonly cwd_length: number;
  readonly args_length: number;
  readonly env_length: number;
  readonly data_length: number;
  readonly comm: Uint8Array;
}

export const process_event = {
  name: 'process_event',
  size: 264,
  offsets: {
    header: 0,
    exec_ns: 16,
    parent_exec_ns: 24,
    previous_exec_ns: 32,
    start_ns: 40,
    cgroup_id: 48,
    cap_permitted: 56,
    cap_effective: 64,
    cap_inheritable: 72,
    inode: 80,
    device: 88,
    links: 92,
    file_mode: 96,
    pid: 100,
    tid: 104,
    own_pid: 108,
    parent_pid: 112,
    uid: 116,
    gid: 120,
    euid: 124,
    egid: 128,
    suid: 132,
    sgid: 136,
    fsuid: 140,
    fsgid: 144,
    auid: 148,
    securebits: 152,
    user_level: 156,
    ns_uts: 160,
    ns_ipc: 164,
    ns_mnt: 168,
    ns_pid: 172,
    ns_pid_for_children: 176,
    ns_net: 180,
    ns_time: 184,
    ns_time_for_children: 188,
    ns_cgroup: 192,
    ns_user: 196,
    flags: 200,
    exit_code: 204,
    args_size: 208,
    env_size: 212,
    args_sent: 216,
    env_sent: 220,
    binary_length: 224,
    cwd_length: 228,
    args_length: 232,
    env_length: 236,
    data_length: 240,
    comm: 244,
    pad: 260,
  },
  encode(value: process_event, out: Buffer = Buffer.allocUnsafe(264), at = 0): Buffer {
    codec.need('process_event', out, at, 264);
    event_header.encode(value.header, out, at);
    codec.writeU64(out, value.exec_ns, at + 16);
    codec.writeU64(out, value.parent_exec_ns, at + 24);
    codec.writeU64(out, value.previous_exec_ns, at + 32);
    codec.writeU64(out, value.start_ns, at + 40);
    codec.writeU64(out, value.cgroup_id, at + 48);
    codec.writeU64(out, value.cap_permitted, at + 56);
    codec.writeU64(out, value.cap_effective, at + 64);
    codec.writeU64(out, value.cap_inheritable, at + 72);
    codec.writeU64(out, value.inode, at + 80);
    out.writeUInt32LE(value.device, at + 88);
    out.writeUInt32LE(value.links, at + 92);
    out.writeUInt32LE(value.file_mode, at + 96);
    out.writeUInt32LE(value.pid, at + 100);
    out.writeUInt32LE(value.tid, at + 104);
    out.writeUInt32LE(value.own_pid, at + 108);
    out.writeUInt32LE(value.parent_pid, at + 112);
    out.writeUInt32LE(value.uid, at + 116);
    out.writeUInt32LE(value.gid, at + 120);
    out.writeUInt32LE(value.euid, at + 124);
    out.writeUInt32LE(value.egid, at + 128);
    out.writeUInt32LE(value.suid, at + 132);
    out.writeUInt32LE(value.sgid, at + 136);
    out.writeUInt32LE(value.fsuid, at + 140);
    out.writeUInt32LE(value.fsgid, at + 144);
    out.writeUInt32LE(value.auid, at + 148);
    out.writeUInt32LE(value.securebits, at + 152);
    out.writeUInt32LE(value.user_level, at + 156);
    out.writeUInt32LE(value.ns_uts, at + 160);
    out.writeUInt32LE(value.ns_ipc, at + 164);
    out.writeUInt32LE(value.ns_mnt, at + 168);
    out.writeUInt32LE(value.ns_pid, at + 172);
    out.writeUInt32LE(value.ns_pid_for_children, at + 176);
    out.writeUInt32LE(value.ns_net, at + 180);
    out.writeUInt32LE(value.ns_time, at + 184);
    out.writeUInt32LE(value.ns_time_for_children, at + 188);
    out.writeUInt32LE(value.ns_cgroup, at + 192);
    out.writeUInt32LE(value.ns_user, at + 196);
    out.writeUInt32LE(value.flags, at + 200);
    out.writeUInt32LE(value.exit_code, at + 204);
    out.writeUInt32LE(value.args_size, at + 208);
    out.writeUInt32LE(value.env_size, at + 212);
    out.writeUInt32LE(value.args_sent, at + 216);
    out.writeUInt32LE(value.env_sent, at + 220);
    out.writeUInt32LE(value.binary_length, at + 224);
    out.writeUInt32LE(value.cwd_length, at + 228);
    out.writeUInt32LE(value.args_length, at + 232);
    out.writeUInt32LE(value.env_length, at + 236);
    out.writeUInt32LE(value.data_length, at + 240);
    codec.writeBytes(out, value.comm, at + 244, 16);
    out.writeUInt32LE(0, at + 260);
    return out;
  },
  decode(from: Buffer, at = 0): process_event {
    codec.need('process_event', from, at, 264);
    return {
      header: event_header.decode(from, at),
      exec_ns: codec.readU64(from, at + 16),
      parent_exec_ns: codec.readU64(from, at + 24),
      previous_exec_ns: codec.readU64(from, at + 32),
      start_ns: codec.readU64(from, at + 40),
      cgroup_id: codec.readU64(from, at + 48),
      cap_permitted: codec.readU64(from, at + 56),
      cap_effective: codec.readU64(from, at + 64),
      cap_inheritable: codec.readU64(from, at + 72),
      inode: codec.readU64(from, at + 80),
      device: from.readUInt32LE(at + 88),
      links: from.readUInt32LE(at + 92),
      file_mode: from.readUInt32LE(at + 96),
      pid: from.readUInt32LE(at + 100),
      tid: from.readUInt32LE(at + 104),
      own_pid: from.readUInt32LE(at + 108),
      parent_pid: from.readUInt32LE(at + 112),
      uid: from.readUInt32LE(at + 116),
      gid: from.readUInt32LE(at + 120),
      euid: from.readUInt32LE(at + 124),
      egid: from.readUInt32LE(at + 128),
      suid: from.readUInt32LE(at + 132),
      sgid: from.readUInt32LE(at + 136),
      fsuid: from.readUInt32LE(at + 140),
      fsgid: from.readUInt32LE(at + 144),
      auid: from.readUInt32LE(at + 148),
      securebits: from.readUInt32LE(at + 152),
      user_level: from.readUInt32LE(at + 156),
      ns_uts: from.readUInt32LE(at + 160),
      ns_ipc: from.readUInt32LE(at + 164),
      ns_mnt: from.readUInt32LE(at + 168),
      ns_pid: from.readUInt32LE(at + 172),
      ns_pid_for_children: from.readUInt32LE(at + 176),
      ns_net: from.readUInt32LE(at + 180),
      ns_time: from.readUInt32LE(at + 184),
      ns_time_for_children: from.readUInt32LE(at + 188),
      ns_cgroup: from.readUInt32LE(at + 192),
      ns_user: from.readUInt32LE(at + 196),
      flags: from.readUInt32LE(at + 200),
      exit_code: from.readUInt32LE(at + 204),
      args_size: from.readUInt32LE(at + 208),
      env_size: from.readUInt32LE(at + 212),
      args_sent: from.readUInt32LE(at + 216),
      env_sent: from.readUInt32LE(at + 220),
      binary_length: from.readUInt32LE(at + 224),
      cwd_length: from.readUInt32LE(at + 228),
      args_length: from.readUInt32LE(at + 232),
      env_length: from.readUInt32LE(at + 236),
      data_length: from.readUInt32LE(at + 240),
      comm: codec.readBytes(from, at + 244, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    header: (from: Buffer, at = 0): event_header => event_header.decode(from, at),
    exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    parent_exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    previous_exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
    start_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 40),
    cgroup_id: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 48),
    cap_permitted: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 56),
    cap_effective: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 64),
    cap_inheritable: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 72),
    inode: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 80),
    device: (from: Buffer, at = 0): number => from.readUInt32LE(at + 88),
    links: (from: Buffer, at = 0): number => from.readUInt32LE(at + 92),
    file_mode: (from: Buffer, at = 0): number => from.readUInt32LE(at + 96),
    pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 100),
    tid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 104),
    own_pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 108),
    parent_pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 112),
    uid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 116),
    gid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 120),
    euid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 124),
    egid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 128),
    suid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 132),
    sgid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 136),
    fsuid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 140),
    fsgid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 144),
    auid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 148),
    securebits: (from: Buffer, at = 0): number => from.readUInt32LE(at + 152),
    user_level: (from: Buffer, at = 0): number => from.readUInt32LE(at + 156),
    ns_uts: (from: Buffer, at = 0): number => from.readUInt32LE(at + 160),
    ns_ipc: (from: Buffer, at = 0): number => from.readUInt32LE(at + 164),
    ns_mnt: (from: Buffer, at = 0): number => from.readUInt32LE(at + 168),
    ns_pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 172),
    ns_pid_for_children: (from: Buffer, at = 0): number => from.readUInt32LE(at + 176),
    ns_net: (from: Buffer, at = 0): number => from.readUInt32LE(at + 180),
    ns_time: (from: Buffer, at = 0): number => from.readUInt32LE(at + 184),
    ns_time_for_children: (from: Buffer, at = 0): number => from.readUInt32LE(at + 188),
    ns_cgroup: (from: Buffer, at = 0): number => from.readUInt32LE(at + 192),
    ns_user: (from: Buffer, at = 0): number => from.readUInt32LE(at + 196),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 200),
    exit_code: (from: Buffer, at = 0): number => from.readUInt32LE(at + 204),
    args_size: (from: Buffer, at = 0): number => from.readUInt32LE(at + 208),
    env_size: (from: Buffer, at = 0): number => from.readUInt32LE(at + 212),
    args_sent: (from: Buffer, at = 0): number => from.readUInt32LE(at + 216),
    env_sent: (from: Buffer, at = 0): number => from.readUInt32LE(at + 220),
    binary_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 224),
    cwd_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 228),
    args_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 232),
    env_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 236),
    data_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 240),
    comm: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 244, 16),
  },
} as const satisfies codec.StructCodec<process_event>;

export interface process_name {
  readonly exec_ns: bigint;
  readonly pid: number;
}

export const process_name = {
  name: 'process_name',
  size: 16,
  offsets: {
    exec_ns: 0,
    pid: 8,
    pad: 12,
  },
  encode(value: process_name, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('process_name', out, at, 16);
    codec.writeU64(out, value.exec_ns, at);
    out.writeUInt32LE(value.pid, at + 8);
    out.writeUInt32LE(0, at + 12);
    return out;
  },
  decode(from: Buffer, at = 0): process_name {
    codec.need('process_name', from, at, 16);
    return {
      exec_ns: codec.readU64(from, at),
      pid: from.readUInt32LE(at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
  },
} as const satisfies codec.StructCodec<process_name>;

export interface runtime_actions {
  readonly bits: number;
  readonly signal: number;
  readonly rate_scope: number;
  readonly rate_ms: number;
}

export const runtime_actions = {
  name: 'runtime_actions',
  size: 8,
  offsets: {
    bits: 0,
    signal: 1,
    rate_scope: 2,
    pad: 3,
    rate_ms: 4,
  },
  encode(value: runtime_actions, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('runtime_actions', out, at, 8);
    out.writeUInt8(value.bits, at);
    out.writeUInt8(value.signal, at + 1);
    out.writeUInt8(value.rate_scope, at + 2);
    out.writeUInt8(0, at + 3);
    out.writeUInt32LE(value.rate_ms, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_actions {
    codec.need('runtime_actions', from, at, 8);
    return {
      bits: from.readUInt8(at),
      signal: from.readUInt8(at + 1),
      rate_scope: from.readUInt8(at + 2),
      rate_ms: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    bits: (from: Buffer, at = 0): number => from.readUInt8(at),
    signal: (from: Buffer, at = 0): number => from.readUInt8(at + 1),
    rate_scope: (from: Buffer, at = 0): number => from.readUInt8(at + 2),
    rate_ms: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<runtime_actions>;

export interface runtime_address {
  readonly family: number;
  readonly port: number;
  readonly address: readonly bigint[];
}

export const runtime_address = {
  name: 'runtime_address',
  size: 24,
  offsets: {
    family: 0,
    port: 2,
    pad: 4,
    address: 8,
  },
  encode(value: runtime_address, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('runtime_address', out, at, 24);
    out.writeUInt16LE(value.family, at);
    out.writeUInt16LE(value.port, at + 2);
    out.writeUInt32LE(0, at + 4);
    codec.array(codec.u64, 2).encode(value.address, out, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_address {
    codec.need('runtime_address', from, at, 24);
    return {
      family: from.readUInt16LE(at),
      port: from.readUInt16LE(at + 2),
      address: codec.array(codec.u64, 2).decode(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    family: (from: Buffer, at = 0): number => from.readUInt16LE(at),
    port: (from: Buffer, at = 0): number => from.readUInt16LE(at + 2),
    address: (from: Buffer, at = 0): readonly bigint[] => codec.array(codec.u64, 2).decode(from, at + 8),
  },
} as const satisfies codec.StructCodec<runtime_address>;

export interface runtime_arg {
  readonly read: number;
  readonly place: number;
  readonly size_place: number;
  readonly flags: number;
}

export const runtime_arg = {
  name: 'runtime_arg',
  size: 4,
  offsets: {
    read: 0,
    place: 1,
    size_place: 2,
    flags: 3,
  },
  encode(value: runtime_arg, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('runtime_arg', out, at, 4);
    out.writeUInt8(value.read, at);
    out.writeUInt8(value.place, at + 1);
    out.writeUInt8(value.size_place, at + 2);
    out.writeUInt8(value.flags, at + 3);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_arg {
    codec.need('runtime_arg', from, at, 4);
    return {
      read: from.readUInt8(at),
      place: from.readUInt8(at + 1),
      size_place: from.readUInt8(at + 2),
      flags: from.readUInt8(at + 3),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    read: (from: Buffer, at = 0): number => from.readUInt8(at),
    place: (from: Buffer, at = 0): number => from.readUInt8(at + 1),
    size_place: (from: Buffer, at = 0): number => from.readUInt8(at + 2),
    flags: (from: Buffer, at = 0): number => from.readUInt8(at + 3),
  },
} as const satisfies codec.StructCodec<runtime_arg>;

export interface runtime_count {
  readonly post: bigint;
  readonly no_post: bigint;
  readonly signal: bigint;
  readonly monitor_signal: bigint;
  readonly limited: bigint;
  readonly lost: bigint;
  readonly failed: bigint;
}

export const runtime_count = {
  name: 'runtime_count',
  size: 56,
  offsets: {
    post: 0,
    no_post: 8,
    signal: 16,
    monitor_signal: 24,
    limited: 32,
    lost: 40,
    failed: 48,
  },
  encode(value: runtime_count, out: Buffer = Buffer.allocUnsafe(56), at = 0): Buffer {
    codec.need('runtime_count', out, at, 56);
    codec.writeU64(out, value.post, at);
    codec.writeU64(out, value.no_post, at + 8);
    codec.writeU64(out, value.signal, at + 16);
    codec.writeU64(out, value.monitor_signal, at + 24);
    codec.writeU64(out, value.limited, at + 32);
    codec.writeU64(out, value.lost, at + 40);
    codec.writeU64(out, value.failed, at + 48);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_count {
    codec.need('runtime_count', from, at, 56);
    return {
      post: codec.readU64(from, at),
      no_post: codec.readU64(from, at + 8),
      signal: codec.readU64(from, at + 16),
      monitor_signal: codec.readU64(from, at + 24),
      limited: codec.readU64(from, at + 32),
      lost: codec.readU64(from, at + 40),
      failed: codec.readU64(from, at + 48),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    post: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    no_post: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    signal: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    monitor_signal: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    limited: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
    lost: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 40),
    failed: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 48),
  },
} as const satisfies codec.StructCodec<runtime_count>;

export interface runtime_event {
  readonly header: event_header;
  readonly exec_ns: bigint;
  readonly began_ns: bigint;
  readonly result: bigint;
  readonly serial: number;
  readonly hook: number;
  readonly pid: number;
  readonly tid: number;
  readonly selector: number;
  readonly site: number;
  readonly actions: number;
  readonly signal: number;
  readonly returned: number;
  readonly values_count: number;
  readonly data_length: number;
  readonly values: readonly runtime_value[];
  readonly result_value: runtime_value;
}

export const runtime_event = {
  name: 'runtime_event',
  size: 304,
  offsets: {
    header: 0,
    exec_ns: 16,
    began_ns: 24,
    result: 32,
    serial: 40,
    hook: 44,
    pid: 48,
    tid: 52,
    selector: 56,
    site: 60,
    actions: 64,
    signal: 68,
    returned: 72,
    values_count: 76,
    data_length: 80,
    pad: 84,
    values: 88,
    result_value: 280,
  },
  encode(value: runtime_event, out: Buffer = Buffer.allocUnsafe(304), at = 0): Buffer {
    codec.need('runtime_event', out, at, 304);
    event_header.encode(value.header, out, at);
    codec.writeU64(out, value.exec_ns, at + 16);
    codec.writeU64(out, value.began_ns, at + 24);
    codec.writeS64(out, value.result, at + 32);
    out.writeUInt32LE(value.serial, at + 40);
    out.writeUInt32LE(value.hook, at + 44);
    out.writeUInt32LE(value.pid, at + 48);
    out.writeUInt32LE(value.tid, at + 52);
    out.writeInt32LE(value.selector, at + 56);
    out.writeUInt32LE(value.site, at + 60);
    out.writeUInt32LE(value.actions, at + 64);
    out.writeUInt32LE(value.signal, at + 68);
    out.writeUInt32LE(value.returned, at + 72);
    out.writeUInt32LE(value.values_count, at + 76);
    out.writeUInt32LE(value.data_length, at + 80);
    out.writeUInt32LE(0, at + 84);
    codec.array(runtime_value, 8).encode(value.values, out, at + 88);
    runtime_value.encode(value.result_value, out, at + 280);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_event {
    codec.need('runtime_event', from, at, 304);
    return {
      header: event_header.decode(from, at),
      exec_ns: codec.readU64(from, at + 16),
      began_ns: codec.readU64(from, at + 24),
      result: codec.readS64(from, at + 32),
      serial: from.readUInt32LE(at + 40),
      hook: from.readUInt32LE(at + 44),
      pid: from.readUInt32LE(at + 48),
      tid: from.readUInt32LE(at + 52),
      selector: from.readInt32LE(at + 56),
      site: from.readUInt32LE(at + 60),
      actions: from.readUInt32LE(at + 64),
      signal: from.readUInt32LE(at + 68),
      returned: from.readUInt32LE(at + 72),
      values_count: from.readUInt32LE(at + 76),
      data_length: from.readUInt32LE(at + 80),
      values: codec.array(runtime_value, 8).decode(from, at + 88),
      result_value: runtime_value.decode(from, at + 280),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    header: (from: Buffer, at = 0): event_header => event_header.decode(from, at),
    exec_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    began_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    result: (from: Buffer, at = 0): bigint => codec.readS64(from, at + 32),
    serial: (from: Buffer, at = 0): number => from.readUInt32LE(at + 40),
    hook: (from: Buffer, at = 0): number => from.readUInt32LE(at + 44),
    pid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 48),
    tid: (from: Buffer, at = 0): number => from.readUInt32LE(at + 52),
    selector: (from: Buffer, at = 0): number => from.readInt32LE(at + 56),
    site: (from: Buffer, at = 0): number => from.readUInt32LE(at + 60),
    actions: (from: Buffer, at = 0): number => from.readUInt32LE(at + 64),
    signal: (from: Buffer, at = 0): number => from.readUInt32LE(at + 68),
    returned: (from: Buffer, at = 0): number => from.readUInt32LE(at + 72),
    values_count: (from: Buffer, at = 0): number => from.readUInt32LE(at + 76),
    data_length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 80),
    values: (from: Buffer, at = 0): readonly runtime_value[] => codec.array(runtime_value, 8).decode(from, at + 88),
    result_value: (from: Buffer, at = 0): runtime_value => runtime_value.decode(from, at + 280),
  },
} as const satisfies codec.StructCodec<runtime_event>;

export interface runtime_filter {
  readonly kind: number;
  readonly comparison: number;
  readonly slot: number;
  readonly other_slot: number;
  readonly flags: number;
  readonly values_count: number;
  readonly bits: number;
  readonly table: number;
  readonly first: number;
  readonly entries: number;
  readonly values: readonly bigint[];
}

export const runtime_filter = {
  name: 'runtime_filter',
  size: 48,
  offsets: {
    kind: 0,
    comparison: 1,
    slot: 2,
    other_slot: 3,
    flags: 4,
    values_count: 5,
    bits: 6,
    table: 7,
    first: 8,
    entries: 12,
    values: 16,
  },
  encode(value: runtime_filter, out: Buffer = Buffer.allocUnsafe(48), at = 0): Buffer {
    codec.need('runtime_filter', out, at, 48);
    out.writeUInt8(value.kind, at);
    out.writeUInt8(value.comparison, at + 1);
    out.writeUInt8(value.slot, at + 2);
    out.writeUInt8(value.other_slot, at + 3);
    out.writeUInt8(value.flags, at + 4);
    out.writeUInt8(value.values_count, at + 5);
    out.writeUInt8(value.bits, at + 6);
    out.writeUInt8(value.table, at + 7);
    out.writeUInt32LE(value.first, at + 8);
    out.writeUInt32LE(value.entries, at + 12);
    codec.array(codec.u64, 4).encode(value.values, out, at + 16);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_filter {
    codec.need('runtime_filter', from, at, 48);
    return {
      kind: from.readUInt8(at),
      comparison: from.readUInt8(at + 1),
      slot: from.readUInt8(at + 2),
      other_slot: from.readUInt8(at + 3),
      flags: from.readUInt8(at + 4),
      values_count: from.readUInt8(at + 5),
      bits: from.readUInt8(at + 6),
      table: from.readUInt8(at + 7),
      first: from.readUInt32LE(at + 8),
      entries: from.readUInt32LE(at + 12),
      values: codec.array(codec.u64, 4).decode(from, at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    kind: (from: Buffer, at = 0): number => from.readUInt8(at),
    comparison: (from: Buffer, at = 0): number => from.readUInt8(at + 1),
    slot: (from: Buffer, at = 0): number => from.readUInt8(at + 2),
    other_slot: (from: Buffer, at = 0): number => from.readUInt8(at + 3),
    flags: (from: Buffer, at = 0): number => from.readUInt8(at + 4),
    values_count: (from: Buffer, at = 0): number => from.readUInt8(at + 5),
    bits: (from: Buffer, at = 0): number => from.readUInt8(at + 6),
    table: (from: Buffer, at = 0): number => from.readUInt8(at + 7),
    first: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    entries: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    values: (from: Buffer, at = 0): readonly bigint[] => codec.array(codec.u64, 4).decode(from, at + 16),
  },
} as const satisfies codec.StructCodec<runtime_filter>;

export interface runtime_hook {
  readonly serial: number;
  readonly flags: number;
  readonly workloads: number;
  readonly args_count: number;
  readonly selectors_count: number;
  readonly return_read: number;
  readonly args: readonly runtime_arg[];
  readonly selectors: readonly runtime_selector[];
  readonly filters: readonly runtime_filter[];
}

export const runtime_hook = {
  name: 'runtime_hook',
  size: 3240,
  offsets: {
    serial: 0,
    flags: 4,
    workloads: 8,
    args_count: 12,
    selectors_count: 13,
    return_read: 14,
    pad: 15,
    args: 16,
    selectors: 48,
    filters: 168,
  },
  encode(value: runtime_hook, out: Buffer = Buffer.allocUnsafe(3240), at = 0): Buffer {
    codec.need('runtime_hook', out, at, 3240);
    out.writeUInt32LE(value.serial, at);
    out.writeUInt32LE(value.flags, at + 4);
    out.writeUInt32LE(value.workloads, at + 8);
    out.writeUInt8(value.args_count, at + 12);
    out.writeUInt8(value.selectors_count, at + 13);
    out.writeUInt8(value.return_read, at + 14);
    out.writeUInt8(0, at + 15);
    codec.array(runtime_arg, 8).encode(value.args, out, at + 16);
    codec.array(runtime_selector, 5).encode(value.selectors, out, at + 48);
    codec.array(runtime_filter, 64).encode(value.filters, out, at + 168);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_hook {
    codec.need('runtime_hook', from, at, 3240);
    return {
      serial: from.readUInt32LE(at),
      flags: from.readUInt32LE(at + 4),
      workloads: from.readUInt32LE(at + 8),
      args_count: from.readUInt8(at + 12),
      selectors_count: from.readUInt8(at + 13),
      return_read: from.readUInt8(at + 14),
      args: codec.array(runtime_arg, 8).decode(from, at + 16),
      selectors: codec.array(runtime_selector, 5).decode(from, at + 48),
      filters: codec.array(runtime_filter, 64).decode(from, at + 168),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    serial: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    workloads: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    args_count: (from: Buffer, at = 0): number => from.readUInt8(at + 12),
    selectors_count: (from: Buffer, at = 0): number => from.readUInt8(at + 13),
    return_read: (from: Buffer, at = 0): number => from.readUInt8(at + 14),
    args: (from: Buffer, at = 0): readonly runtime_arg[] => codec.array(runtime_arg, 8).decode(from, at + 16),
    selectors: (from: Buffer, at = 0): readonly runtime_selector[] => codec.array(runtime_selector, 5).decode(from, at + 48),
    filters: (from: Buffer, at = 0): readonly runtime_filter[] => codec.array(runtime_filter, 64).decode(from, at + 168),
  },
} as const satisfies codec.StructCodec<runtime_hook>;

export interface runtime_member_key {
  readonly set: number;
  readonly netns: number;
  readonly cgroup: bigint;
}

export const runtime_member_key = {
  name: 'runtime_member_key',
  size: 16,
  offsets: {
    set: 0,
    netns: 4,
    cgroup: 8,
  },
  encode(value: runtime_member_key, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('runtime_member_key', out, at, 16);
    out.writeUInt32LE(value.set, at);
    out.writeUInt32LE(value.netns, at + 4);
    codec.writeU64(out, value.cgroup, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_member_key {
    codec.need('runtime_member_key', from, at, 16);
    return {
      set: from.readUInt32LE(at),
      netns: from.readUInt32LE(at + 4),
      cgroup: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    set: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    netns: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    cgroup: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<runtime_member_key>;

export interface runtime_prefix {
  readonly family: number;
  readonly bits: number;
  readonly address: readonly bigint[];
  readonly mask: readonly bigint[];
}

export const runtime_prefix = {
  name: 'runtime_prefix',
  size: 40,
  offsets: {
    family: 0,
    bits: 4,
    address: 8,
    mask: 24,
  },
  encode(value: runtime_prefix, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('runtime_prefix', out, at, 40);
    out.writeUInt32LE(value.family, at);
    out.writeUInt32LE(value.bits, at + 4);
    codec.array(codec.u64, 2).encode(value.address, out, at + 8);
    codec.array(codec.u64, 2).encode(value.mask, out, at + 24);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_prefix {
    codec.need('runtime_prefix', from, at, 40);
    return {
      family: from.readUInt32LE(at),
      bits: from.readUInt32LE(at + 4),
      address: codec.array(codec.u64, 2).decode(from, at + 8),
      mask: codec.array(codec.u64, 2).decode(from, at + 24),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    family: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    bits: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    address: (from: Buffer, at = 0): readonly bigint[] => codec.array(codec.u64, 2).decode(from, at + 8),
    mask: (from: Buffer, at = 0): readonly bigint[] => codec.array(codec.u64, 2).decode(from, at + 24),
  },
} as const satisfies codec.StructCodec<runtime_prefix>;

export interface runtime_range {
  readonly from: bigint;
  readonly to: bigint;
}

export const runtime_range = {
  name: 'runtime_range',
  size: 16,
  offsets: {
    from: 0,
    to: 8,
  },
  encode(value: runtime_range, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('runtime_range', out, at, 16);
    codec.writeU64(out, value.from, at);
    codec.writeU64(out, value.to, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_range {
    codec.need('runtime_range', from, at, 16);
    return {
      from: codec.readU64(from, at),
      to: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    from: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    to: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<runtime_range>;

export interface runtime_selector {
  readonly first: number;
  readonly filters: number;
  readonly return_filters: number;
  readonly actions: runtime_actions;
  readonly return_actions: runtime_actions;
}

export const runtime_selector = {
  name: 'runtime_selector',
  size: 24,
  offsets: {
    first: 0,
    filters: 2,
    return_filters: 4,
    pad: 6,
    actions: 8,
    return_actions: 16,
  },
  encode(value: runtime_selector, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('runtime_selector', out, at, 24);
    out.writeUInt16LE(value.first, at);
    out.writeUInt16LE(value.filters, at + 2);
    out.writeUInt16LE(value.return_filters, at + 4);
    out.writeUInt16LE(0, at + 6);
    runtime_actions.encode(value.actions, out, at + 8);
    runtime_actions.encode(value.return_actions, out, at + 16);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_selector {
    codec.need('runtime_selector', from, at, 24);
    return {
      first: from.readUInt16LE(at),
      filters: from.readUInt16LE(at + 2),
      return_filters: from.readUInt16LE(at + 4),
      actions: runtime_actions.decode(from, at + 8),
      return_actions: runtime_actions.decode(from, at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    first: (from: Buffer, at = 0): number => from.readUInt16LE(at),
    filters: (from: Buffer, at = 0): number => from.readUInt16LE(at + 2),
    return_filters: (from: Buffer, at = 0): number => from.readUInt16LE(at + 4),
    actions: (from: Buffer, at = 0): runtime_actions => runtime_actions.decode(from, at + 8),
    return_actions: (from: Buffer, at = 0): runtime_actions => runtime_actions.decode(from, at + 16),
  },
} as const satisfies codec.StructCodec<runtime_selector>;

export interface runtime_site {
  readonly count: bigint;
  readonly hooks: readonly bigint[];
}

export const runtime_site = {
  name: 'runtime_site',
  size: 72,
  offsets: {
    count: 0,
    hooks: 8,
  },
  encode(value: runtime_site, out: Buffer = Buffer.allocUnsafe(72), at = 0): Buffer {
    codec.need('runtime_site', out, at, 72);
    codec.writeU64(out, value.count, at);
    codec.array(codec.u64, 8).encode(value.hooks, out, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_site {
    codec.need('runtime_site', from, at, 72);
    return {
      count: codec.readU64(from, at),
      hooks: codec.array(codec.u64, 8).decode(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    count: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    hooks: (from: Buffer, at = 0): readonly bigint[] => codec.array(codec.u64, 8).decode(from, at + 8),
  },
} as const satisfies codec.StructCodec<runtime_site>;

export interface runtime_text {
  readonly length: number;
  readonly words: readonly bigint[];
}

export const runtime_text = {
  name: 'runtime_text',
  size: 264,
  offsets: {
    length: 0,
    pad: 4,
    words: 8,
  },
  encode(value: runtime_text, out: Buffer = Buffer.allocUnsafe(264), at = 0): Buffer {
    codec.need('runtime_text', out, at, 264);
    out.writeUInt32LE(value.length, at);
    out.writeUInt32LE(0, at + 4);
    codec.array(codec.u64, 32).encode(value.words, out, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_text {
    codec.need('runtime_text', from, at, 264);
    return {
      length: from.readUInt32LE(at),
      words: codec.array(codec.u64, 32).decode(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    length: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    words: (from: Buffer, at = 0): readonly bigint[] => codec.array(codec.u64, 32).decode(from, at + 8),
  },
} as const satisfies codec.StructCodec<runtime_text>;

export interface runtime_value {
  readonly number: bigint;
  readonly at: number;
  readonly length: number;
  readonly kind: number;
  readonly flags: number;
}

export const runtime_value = {
  name: 'runtime_value',
  size: 24,
  offsets: {
    number: 0,
    at: 8,
    length: 12,
    kind: 16,
    flags: 20,
  },
  encode(value: runtime_value, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('runtime_value', out, at, 24);
    codec.writeU64(out, value.number, at);
    out.writeUInt32LE(value.at, at + 8);
    out.writeUInt32LE(value.length, at + 12);
    out.writeUInt32LE(value.kind, at + 16);
    out.writeUInt32LE(value.flags, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): runtime_value {
    codec.need('runtime_value', from, at, 24);
    return {
      number: codec.readU64(from, at),
      at: from.readUInt32LE(at + 8),
      length: from.readUInt32LE(at + 12),
      kind: from.readUInt32LE(at + 16),
      flags: from.readUInt32LE(at + 20),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    number: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    at: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    length: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    kind: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
  },
} as const satisfies codec.StructCodec<runtime_value>;

export interface service {
  readonly frontend: number;
  readonly service: number;
  readonly flags: number;
  readonly table: number;
  readonly active: number;
  readonly terminating: number;
  readonly affinity_timeout_s: number;
  readonly maglev: number;
  readonly maglev_place: number;
}

export const service = {
  name: 'service',
  size: 36,
  offsets: {
    frontend: 0,
    service: 4,
    flags: 8,
    table: 12,
    active: 16,
    terminating: 20,
    affinity_timeout_s: 24,
    maglev: 28,
    maglev_place: 32,
  },
  encode(value: service, out: Buffer = Buffer.allocUnsafe(36), at = 0): Buffer {
    codec.need('service', out, at, 36);
    out.writeUInt32LE(value.frontend, at);
    out.writeUInt32LE(value.service, at + 4);
    out.writeUInt32LE(value.flags, at + 8);
    out.writeUInt32LE(value.table, at + 12);
    out.writeUInt32LE(value.active, at + 16);
    out.writeUInt32LE(value.terminating, at + 20);
    out.writeUInt32LE(value.affinity_timeout_s, at + 24);
    out.writeUInt32LE(value.maglev, at + 28);
    out.writeUInt32LE(value.maglev_place, at + 32);
    return out;
  },
  decode(from: Buffer, at = 0): service {
    codec.need('service', from, at, 36);
    return {
      frontend: from.readUInt32LE(at),
      service: from.readUInt32LE(at + 4),
      flags: from.readUInt32LE(at + 8),
      table: from.readUInt32LE(at + 12),
      active: from.readUInt32LE(at + 16),
      terminating: from.readUInt32LE(at + 20),
      affinity_timeout_s: from.readUInt32LE(at + 24),
      maglev: from.readUInt32LE(at + 28),
      maglev_place: from.readUInt32LE(at + 32),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    service: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    table: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    active: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
    terminating: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    affinity_timeout_s: (from: Buffer, at = 0): number => from.readUInt32LE(at + 24),
    maglev: (from: Buffer, at = 0): number => from.readUInt32LE(at + 28),
    maglev_place: (from: Buffer, at = 0): number => from.readUInt32LE(at + 32),
  },
} as const satisfies codec.StructCodec<service>;

export interface service_affinity {
  readonly last_ns: bigint;
  readonly backend: number;
}

export const service_affinity = {
  name: 'service_affinity',
  size: 16,
  offsets: {
    last_ns: 0,
    backend: 8,
    pad: 12,
  },
  encode(value: service_affinity, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('service_affinity', out, at, 16);
    codec.writeU64(out, value.last_ns, at);
    out.writeUInt32LE(value.backend, at + 8);
    out.writeUInt32LE(0, at + 12);
    return out;
  },
  decode(from: Buffer, at = 0): service_affinity {
    codec.need('service_affinity', from, at, 16);
    return {
      last_ns: codec.readU64(from, at),
      backend: from.readUInt32LE(at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    last_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
  },
} as const satisfies codec.StructCodec<service_affinity>;

export interface service_affinity_key {
  readonly client: Uint8Array;
  readonly table: number;
  readonly kind: number;
}

export const service_affinity_key = {
  name: 'service_affinity_key',
  size: 24,
  offsets: {
    client: 0,
    table: 16,
    kind: 20,
  },
  encode(value: service_affinity_key, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('service_affinity_key', out, at, 24);
    codec.writeBytes(out, value.client, at, 16);
    out.writeUInt32LE(value.table, at + 16);
    out.writeUInt32LE(value.kind, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): service_affinity_key {
    codec.need('service_affinity_key', from, at, 24);
    return {
      client: codec.readBytes(from, at, 16),
      table: from.readUInt32LE(at + 16),
      kind: from.readUInt32LE(at + 20),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    client: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    table: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
    kind: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
  },
} as const satisfies codec.StructCodec<service_affinity_key>;

export interface service_count {
  readonly connections: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly flow_hits: bigint;
  readonly flow_misses: bigint;
  readonly no_backend: bigint;
  readonly denied: bigint;
}

export const service_count = {
  name: 'service_count',
  size: 56,
  offsets: {
    connections: 0,
    packets: 8,
    bytes: 16,
    flow_hits: 24,
    flow_misses: 32,
    no_backend: 40,
    denied: 48,
  },
  encode(value: service_count, out: Buffer = Buffer.allocUnsafe(56), at = 0): Buffer {
    codec.need('service_count', out, at, 56);
    codec.writeU64(out, value.connections, at);
    codec.writeU64(out, value.packets, at + 8);
    codec.writeU64(out, value.bytes, at + 16);
    codec.writeU64(out, value.flow_hits, at + 24);
    codec.writeU64(out, value.flow_misses, at + 32);
    codec.writeU64(out, value.no_backend, at + 40);
    codec.writeU64(out, value.denied, at + 48);
    return out;
  },
  decode(from: Buffer, at = 0): service_count {
    codec.need('service_count', from, at, 56);
    return {
      connections: codec.readU64(from, at),
      packets: codec.readU64(from, at + 8),
      bytes: codec.readU64(from, at + 16),
      flow_hits: codec.readU64(from, at + 24),
      flow_misses: codec.readU64(from, at + 32),
      no_backend: codec.readU64(from, at + 40),
      denied: codec.readU64(from, at + 48),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    connections: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    flow_hits: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    flow_misses: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
    no_backend: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 40),
    denied: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 48),
  },
} as const satisfies codec.StructCodec<service_count>;

export interface service_count_ctx {
  readonly sockets: bigint;
  readonly clients: bigint;
  readonly failed: number;
}

export const service_count_ctx = {
  name: 'service_count_ctx',
  size: 24,
  offsets: {
    sockets: 0,
    clients: 8,
    failed: 16,
    pad: 20,
  },
  encode(value: service_count_ctx, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('service_count_ctx', out, at, 24);
    codec.writeU64(out, value.sockets, at);
    codec.writeU64(out, value.clients, at + 8);
    out.writeUInt32LE(value.failed, at + 16);
    out.writeUInt32LE(0, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): service_count_ctx {
    codec.need('service_count_ctx', from, at, 24);
    return {
      sockets: codec.readU64(from, at),
      clients: codec.readU64(from, at + 8),
      failed: from.readUInt32LE(at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    sockets: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    clients: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    failed: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
  },
} as const satisfies codec.StructCodec<service_count_ctx>;

export interface service_count_key {
  readonly frontend: number;
  readonly backend: number;
}

export const service_count_key = {
  name: 'service_count_key',
  size: 8,
  offsets: {
    frontend: 0,
    backend: 4,
  },
  encode(value: service_count_key, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('service_count_key', out, at, 8);
    out.writeUInt32LE(value.frontend, at);
    out.writeUInt32LE(value.backend, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): service_count_key {
    codec.need('service_count_key', from, at, 8);
    return {
      frontend: from.readUInt32LE(at),
      backend: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<service_count_key>;

export interface service_flood {
  readonly second: bigint;
  readonly remembered: bigint;
}

export const service_flood = {
  name: 'service_flood',
  size: 16,
  offsets: {
    second: 0,
    remembered: 8,
  },
  encode(value: service_flood, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('service_flood', out, at, 16);
    codec.writeU64(out, value.second, at);
    codec.writeU64(out, value.remembered, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): service_flood {
    codec.need('service_flood', from, at, 16);
    return {
      second: codec.readU64(from, at),
      remembered: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    second: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    remembered: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<service_flood>;

export interface service_flow {
  readonly last_ns: bigint;
  readonly backend: number;
  readonly table: number;
  readonly slot: number;
}

export const service_flow = {
  name: 'service_flow',
  size: 24,
  offsets: {
    last_ns: 0,
    backend: 8,
    table: 12,
    slot: 16,
    pad: 20,
  },
  encode(value: service_flow, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('service_flow', out, at, 24);
    codec.writeU64(out, value.last_ns, at);
    out.writeUInt32LE(value.backend, at + 8);
    out.writeUInt32LE(value.table, at + 12);
    out.writeUInt32LE(value.slot, at + 16);
    out.writeUInt32LE(0, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): service_flow {
    codec.need('service_flow', from, at, 24);
    return {
      last_ns: codec.readU64(from, at),
      backend: from.readUInt32LE(at + 8),
      table: from.readUInt32LE(at + 12),
      slot: from.readUInt32LE(at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    last_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    table: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    slot: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
  },
} as const satisfies codec.StructCodec<service_flow>;

export interface service_flow_key {
  readonly client: Uint8Array;
  readonly addr: Uint8Array;
  readonly client_port: number;
  readonly port: number;
  readonly protocol: number;
}

export const service_flow_key = {
  name: 'service_flow_key',
  size: 40,
  offsets: {
    client: 0,
    addr: 16,
    client_port: 32,
    port: 34,
    protocol: 36,
    pad: 37,
    pad2: 38,
  },
  encode(value: service_flow_key, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('service_flow_key', out, at, 40);
    codec.writeBytes(out, value.client, at, 16);
    codec.writeBytes(out, value.addr, at + 16, 16);
    out.writeUInt16BE(value.client_port, at + 32);
    out.writeUInt16BE(value.port, at + 34);
    out.writeUInt8(value.protocol, at + 36);
    out.writeUInt8(0, at + 37);
    out.writeUInt16LE(0, at + 38);
    return out;
  },
  decode(from: Buffer, at = 0): service_flow_key {
    codec.need('service_flow_key', from, at, 40);
    return {
      client: codec.readBytes(from, at, 16),
      addr: codec.readBytes(from, at + 16, 16),
      client_port: from.readUInt16BE(at + 32),
      port: from.readUInt16BE(at + 34),
      protocol: from.readUInt8(at + 36),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    client: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    client_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 32),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 34),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 36),
  },
} as const satisfies codec.StructCodec<service_flow_key>;

export interface service_key {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly protocol: number;
  readonly scope: number;
}

export const service_key = {
  name: 'service_key',
  size: 24,
  offsets: {
    addr: 0,
    port: 16,
    protocol: 18,
    scope: 19,
    pad: 20,
  },
  encode(value: service_key, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('service_key', out, at, 24);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt16BE(value.port, at + 16);
    out.writeUInt8(value.protocol, at + 18);
    out.writeUInt8(value.scope, at + 19);
    out.writeUInt32LE(0, at + 20);
    return out;
  },
  decode(from: Buffer, at = 0): service_key {
    codec.need('service_key', from, at, 24);
    return {
      addr: codec.readBytes(from, at, 16),
      port: from.readUInt16BE(at + 16),
      protocol: from.readUInt8(at + 18),
      scope: from.readUInt8(at + 19),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 16),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 18),
    scope: (from: Buffer, at = 0): number => from.readUInt8(at + 19),
  },
} as const satisfies codec.StructCodec<service_key>;

export interface service_load {
  readonly begun: bigint;
  readonly ended: bigint;
}

export const service_load = {
  name: 'service_load',
  size: 16,
  offsets: {
    begun: 0,
    ended: 8,
  },
  encode(value: service_load, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('service_load', out, at, 16);
    codec.writeU64(out, value.begun, at);
    codec.writeU64(out, value.ended, at + 8);
    return out;
  },
  decode(from: Buffer, at = 0): service_load {
    codec.need('service_load', from, at, 16);
    return {
      begun: codec.readU64(from, at),
      ended: codec.readU64(from, at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    begun: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    ended: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
  },
} as const satisfies codec.StructCodec<service_load>;

export interface service_member {
  readonly weight: number;
}

export const service_member = {
  name: 'service_member',
  size: 4,
  offsets: {
    weight: 0,
  },
  encode(value: service_member, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('service_member', out, at, 4);
    out.writeUInt32LE(value.weight, at);
    return out;
  },
  decode(from: Buffer, at = 0): service_member {
    codec.need('service_member', from, at, 4);
    return {
      weight: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    weight: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<service_member>;

export interface service_member_key {
  readonly table: number;
  readonly backend: number;
}

export const service_member_key = {
  name: 'service_member_key',
  size: 8,
  offsets: {
    table: 0,
    backend: 4,
  },
  encode(value: service_member_key, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('service_member_key', out, at, 8);
    out.writeUInt32LE(value.table, at);
    out.writeUInt32LE(value.backend, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): service_member_key {
    codec.need('service_member_key', from, at, 8);
    return {
      table: from.readUInt32LE(at),
      backend: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    table: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<service_member_key>;

export interface service_nat {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly flags: number;
  readonly backend: number;
  readonly frontend: number;
  readonly service: number;
}

export const service_nat = {
  name: 'service_nat',
  size: 32,
  offsets: {
    addr: 0,
    port: 16,
    flags: 18,
    backend: 20,
    frontend: 24,
    service: 28,
  },
  encode(value: service_nat, out: Buffer = Buffer.allocUnsafe(32), at = 0): Buffer {
    codec.need('service_nat', out, at, 32);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt16BE(value.port, at + 16);
    out.writeUInt16LE(value.flags, at + 18);
    out.writeUInt32LE(value.backend, at + 20);
    out.writeUInt32LE(value.frontend, at + 24);
    out.writeUInt32LE(value.service, at + 28);
    return out;
  },
  decode(from: Buffer, at = 0): service_nat {
    codec.need('service_nat', from, at, 32);
    return {
      addr: codec.readBytes(from, at, 16),
      port: from.readUInt16BE(at + 16),
      flags: from.readUInt16LE(at + 18),
      backend: from.readUInt32LE(at + 20),
      frontend: from.readUInt32LE(at + 24),
      service: from.readUInt32LE(at + 28),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 16),
    flags: (from: Buffer, at = 0): number => from.readUInt16LE(at + 18),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 24),
    service: (from: Buffer, at = 0): number => from.readUInt32LE(at + 28),
  },
} as const satisfies codec.StructCodec<service_nat>;

export interface service_range {
  readonly flags: number;
}

export const service_range = {
  name: 'service_range',
  size: 4,
  offsets: {
    flags: 0,
  },
  encode(value: service_range, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('service_range', out, at, 4);
    out.writeUInt32LE(value.flags, at);
    return out;
  },
  decode(from: Buffer, at = 0): service_range {
    codec.need('service_range', from, at, 4);
    return {
      flags: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<service_range>;

export interface service_range_key {
  readonly prefixlen: number;
  readonly service: number;
  readonly addr: Uint8Array;
}

export const service_range_key = {
  name: 'service_range_key',
  size: 24,
  offsets: {
    prefixlen: 0,
    service: 4,
    addr: 8,
  },
  encode(value: service_range_key, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('service_range_key', out, at, 24);
    out.writeUInt32LE(value.prefixlen, at);
    out.writeUInt32LE(value.service, at + 4);
    codec.writeBytes(out, value.addr, at + 8, 16);
    return out;
  },
  decode(from: Buffer, at = 0): service_range_key {
    codec.need('service_range_key', from, at, 24);
    return {
      prefixlen: from.readUInt32LE(at),
      service: from.readUInt32LE(at + 4),
      addr: codec.readBytes(from, at + 8, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    prefixlen: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    service: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 8, 16),
  },
} as const satisfies codec.StructCodec<service_range_key>;

export interface service_reverse {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly frontend: number;
  readonly service: number;
  readonly backend: number;
}

export const service_reverse = {
  name: 'service_reverse',
  size: 32,
  offsets: {
    addr: 0,
    port: 16,
    pad: 18,
    frontend: 20,
    service: 24,
    backend: 28,
  },
  encode(value: service_reverse, out: Buffer = Buffer.allocUnsafe(32), at = 0): Buffer {
    codec.need('service_reverse', out, at, 32);
    codec.writeBytes(out, value.addr, at, 16);
    out.writeUInt16BE(value.port, at + 16);
    out.writeUInt16LE(0, at + 18);
    out.writeUInt32LE(value.frontend, at + 20);
    out.writeUInt32LE(value.service, at + 24);
    out.writeUInt32LE(value.backend, at + 28);
    return out;
  },
  decode(from: Buffer, at = 0): service_reverse {
    codec.need('service_reverse', from, at, 32);
    return {
      addr: codec.readBytes(from, at, 16),
      port: from.readUInt16BE(at + 16),
      frontend: from.readUInt32LE(at + 20),
      service: from.readUInt32LE(at + 24),
      backend: from.readUInt32LE(at + 28),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 16),
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    service: (from: Buffer, at = 0): number => from.readUInt32LE(at + 24),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 28),
  },
} as const satisfies codec.StructCodec<service_reverse>;

export interface service_reverse_key {
  readonly cookie: bigint;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly protocol: number;
}

export const service_reverse_key = {
  name: 'service_reverse_key',
  size: 32,
  offsets: {
    cookie: 0,
    addr: 8,
    port: 24,
    protocol: 26,
    pad: 27,
    pad2: 28,
  },
  encode(value: service_reverse_key, out: Buffer = Buffer.allocUnsafe(32), at = 0): Buffer {
    codec.need('service_reverse_key', out, at, 32);
    codec.writeU64(out, value.cookie, at);
    codec.writeBytes(out, value.addr, at + 8, 16);
    out.writeUInt16BE(value.port, at + 24);
    out.writeUInt8(value.protocol, at + 26);
    out.writeUInt8(0, at + 27);
    out.writeUInt32LE(0, at + 28);
    return out;
  },
  decode(from: Buffer, at = 0): service_reverse_key {
    codec.need('service_reverse_key', from, at, 32);
    return {
      cookie: codec.readU64(from, at),
      addr: codec.readBytes(from, at + 8, 16),
      port: from.readUInt16BE(at + 24),
      protocol: from.readUInt8(at + 26),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    cookie: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 8, 16),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 24),
    protocol: (from: Buffer, at = 0): number => from.readUInt8(at + 26),
  },
} as const satisfies codec.StructCodec<service_reverse_key>;

export interface service_settings {
  readonly host_netns: bigint;
  readonly node_port_low: number;
  readonly node_port_high: number;
  readonly hash_seed1: number;
  readonly hash_seed2: number;
  readonly hash_seed3: number;
  readonly source4_bits: number;
  readonly source6_bits: number;
  readonly source4: Uint8Array;
  readonly source6: Uint8Array;
}

export const service_settings = {
  name: 'service_settings',
  size: 64,
  offsets: {
    host_netns: 0,
    node_port_low: 8,
    node_port_high: 10,
    hash_seed1: 12,
    hash_seed2: 16,
    hash_seed3: 20,
    source4_bits: 24,
    source6_bits: 28,
    source4: 32,
    source6: 48,
  },
  encode(value: service_settings, out: Buffer = Buffer.allocUnsafe(64), at = 0): Buffer {
    codec.need('service_settings', out, at, 64);
    codec.writeU64(out, value.host_netns, at);
    out.writeUInt16LE(value.node_port_low, at + 8);
    out.writeUInt16LE(value.node_port_high, at + 10);
    out.writeUInt32LE(value.hash_seed1, at + 12);
    out.writeUInt32LE(value.hash_seed2, at + 16);
    out.writeUInt32LE(value.hash_seed3, at + 20);
    out.writeUInt32BE(value.source4_bits, at + 24);
    out.writeUInt32BE(value.source6_bits, at + 28);
    codec.writeBytes(out, value.source4, at + 32, 16);
    codec.writeBytes(out, value.source6, at + 48, 16);
    return out;
  },
  decode(from: Buffer, at = 0): service_settings {
    codec.need('service_settings', from, at, 64);
    return {
      host_netns: codec.readU64(from, at),
      node_port_low: from.readUInt16LE(at + 8),
      node_port_high: from.readUInt16LE(at + 10),
      hash_seed1: from.readUInt32LE(at + 12),
      hash_seed2: from.readUInt32LE(at + 16),
      hash_seed3: from.readUInt32LE(at + 20),
      source4_bits: from.readUInt32BE(at + 24),
      source6_bits: from.readUInt32BE(at + 28),
      source4: codec.readBytes(from, at + 32, 16),
      source6: codec.readBytes(from, at + 48, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    host_netns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    node_port_low: (from: Buffer, at = 0): number => from.readUInt16LE(at + 8),
    node_port_high: (from: Buffer, at = 0): number => from.readUInt16LE(at + 10),
    hash_seed1: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    hash_seed2: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
    hash_seed3: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    source4_bits: (from: Buffer, at = 0): number => from.readUInt32BE(at + 24),
    source6_bits: (from: Buffer, at = 0): number => from.readUInt32BE(at + 28),
    source4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 32, 16),
    source6: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 48, 16),
  },
} as const satisfies codec.StructCodec<service_settings>;

export interface service_slot {
  readonly backend: number;
  readonly table: number;
}

export const service_slot = {
  name: 'service_slot',
  size: 8,
  offsets: {
    backend: 0,
    table: 4,
  },
  encode(value: service_slot, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('service_slot', out, at, 8);
    out.writeUInt32LE(value.backend, at);
    out.writeUInt32LE(value.table, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): service_slot {
    codec.need('service_slot', from, at, 8);
    return {
      backend: from.readUInt32LE(at),
      table: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    table: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<service_slot>;

export interface service_slot_key {
  readonly table: number;
  readonly slot: number;
}

export const service_slot_key = {
  name: 'service_slot_key',
  size: 8,
  offsets: {
    table: 0,
    slot: 4,
  },
  encode(value: service_slot_key, out: Buffer = Buffer.allocUnsafe(8), at = 0): Buffer {
    codec.need('service_slot_key', out, at, 8);
    out.writeUInt32LE(value.table, at);
    out.writeUInt32LE(value.slot, at + 4);
    return out;
  },
  decode(from: Buffer, at = 0): service_slot_key {
    codec.need('service_slot_key', from, at, 8);
    return {
      table: from.readUInt32LE(at),
      slot: from.readUInt32LE(at + 4),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    table: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    slot: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
  },
} as const satisfies codec.StructCodec<service_slot_key>;

export interface service_turn {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly source_port: number;
  readonly destination_port: number;
  readonly backend: number;
  readonly frontend: number;
  readonly flags: number;
  readonly checked_ns: bigint;
}

export const service_turn = {
  name: 'service_turn',
  size: 56,
  offsets: {
    source: 0,
    destination: 16,
    source_port: 32,
    destination_port: 34,
    backend: 36,
    frontend: 40,
    flags: 44,
    checked_ns: 48,
  },
  encode(value: service_turn, out: Buffer = Buffer.allocUnsafe(56), at = 0): Buffer {
    codec.need('service_turn', out, at, 56);
    codec.writeBytes(out, value.source, at, 16);
    codec.writeBytes(out, value.destination, at + 16, 16);
    out.writeUInt16BE(value.source_port, at + 32);
    out.writeUInt16BE(value.destination_port, at + 34);
    out.writeUInt32LE(value.backend, at + 36);
    out.writeUInt32LE(value.frontend, at + 40);
    out.writeUInt32LE(value.flags, at + 44);
    codec.writeU64(out, value.checked_ns, at + 48);
    return out;
  },
  decode(from: Buffer, at = 0): service_turn {
    codec.need('service_turn', from, at, 56);
    return {
      source: codec.readBytes(from, at, 16),
      destination: codec.readBytes(from, at + 16, 16),
      source_port: from.readUInt16BE(at + 32),
      destination_port: from.readUInt16BE(at + 34),
      backend: from.readUInt32LE(at + 36),
      frontend: from.readUInt32LE(at + 40),
      flags: from.readUInt32LE(at + 44),
      checked_ns: codec.readU64(from, at + 48),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    source: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    destination: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    source_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 32),
    destination_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 34),
    backend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 36),
    frontend: (from: Buffer, at = 0): number => from.readUInt32LE(at + 40),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 44),
    checked_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 48),
  },
} as const satisfies codec.StructCodec<service_turn>;

export interface service_way {
  readonly until: bigint;
  readonly addr: Uint8Array;
  readonly macs: Uint8Array;
  readonly mtu: number;
  readonly ifindex: number;
  readonly number: number;
  readonly port: number;
}

export const service_way = {
  name: 'service_way',
  size: 56,
  offsets: {
    until: 0,
    addr: 8,
    macs: 24,
    mtu: 36,
    ifindex: 40,
    number: 44,
    port: 48,
    pad: 50,
    pad2: 52,
  },
  encode(value: service_way, out: Buffer = Buffer.allocUnsafe(56), at = 0): Buffer {
    codec.need('service_way', out, at, 56);
    codec.writeU64(out, value.until, at);
    codec.writeBytes(out, value.addr, at + 8, 16);
    codec.writeBytes(out, value.macs, at + 24, 12);
    out.writeUInt32LE(value.mtu, at + 36);
    out.writeUInt32LE(value.ifindex, at + 40);
    out.writeUInt32LE(value.number, at + 44);
    out.writeUInt16BE(value.port, at + 48);
    out.writeUInt16LE(0, at + 50);
    out.writeUInt32LE(0, at + 52);
    return out;
  },
  decode(from: Buffer, at = 0): service_way {
    codec.need('service_way', from, at, 56);
    return {
      until: codec.readU64(from, at),
      addr: codec.readBytes(from, at + 8, 16),
      macs: codec.readBytes(from, at + 24, 12),
      mtu: from.readUInt32LE(at + 36),
      ifindex: from.readUInt32LE(at + 40),
      number: from.readUInt32LE(at + 44),
      port: from.readUInt16BE(at + 48),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    until: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    addr: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 8, 16),
    macs: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 24, 12),
    mtu: (from: Buffer, at = 0): number => from.readUInt32LE(at + 36),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 40),
    number: (from: Buffer, at = 0): number => from.readUInt32LE(at + 44),
    port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 48),
  },
} as const satisfies codec.StructCodec<service_way>;

export interface strict_value {
  readonly flags: number;
}

export const strict_value = {
  name: 'strict_value',
  size: 4,
  offsets: {
    flags: 0,
  },
  encode(value: strict_value, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('strict_value', out, at, 4);
    out.writeUInt32LE(value.flags, at);
    return out;
  },
  decode(from: Buffer, at = 0): strict_value {
    codec.need('strict_value', from, at, 4);
    return {
      flags: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<strict_value>;

export interface sweep_ctx {
  readonly now_ns: bigint;
  readonly flags: number;
  readonly failed: number;
  readonly entries: bigint;
  readonly reported: bigint;
  readonly expired: bigint;
  readonly deferred: bigint;
  readonly ifindex: number;
}

export const sweep_ctx = {
  name: 'sweep_ctx',
  size: 56,
  offsets: {
    now_ns: 0,
    flags: 8,
    failed: 12,
    entries: 16,
    reported: 24,
    expired: 32,
    deferred: 40,
    ifindex: 48,
    pad: 52,
  },
  encode(value: sweep_ctx, out: Buffer = Buffer.allocUnsafe(56), at = 0): Buffer {
    codec.need('sweep_ctx', out, at, 56);
    codec.writeU64(out, value.now_ns, at);
    out.writeUInt32LE(value.flags, at + 8);
    out.writeUInt32LE(value.failed, at + 12);
    codec.writeU64(out, value.entries, at + 16);
    codec.writeU64(out, value.reported, at + 24);
    codec.writeU64(out, value.expired, at + 32);
    codec.writeU64(out, value.deferred, at + 40);
    out.writeUInt32LE(value.ifindex, at + 48);
    out.writeUInt32LE(0, at + 52);
    return out;
  },
  decode(from: Buffer, at = 0): sweep_ctx {
    codec.need('sweep_ctx', from, at, 56);
    return {
      now_ns: codec.readU64(from, at),
      flags: from.readUInt32LE(at + 8),
      failed: from.readUInt32LE(at + 12),
      entries: codec.readU64(from, at + 16),
      reported: codec.readU64(from, at + 24),
      expired: codec.readU64(from, at + 32),
      deferred: codec.readU64(from, at + 40),
      ifindex: from.readUInt32LE(at + 48),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    now_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    failed: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    entries: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    reported: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
    expired: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 32),
    deferred: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 40),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 48),
  },
} as const satisfies codec.StructCodec<sweep_ctx>;

export interface throttle {
  readonly paid_ns: bigint;
  readonly started_ns: bigint;
  readonly last_ns: bigint;
  readonly episodes: bigint;
}

export const throttle = {
  name: 'throttle',
  size: 32,
  offsets: {
    paid_ns: 0,
    started_ns: 8,
    last_ns: 16,
    episodes: 24,
  },
  encode(value: throttle, out: Buffer = Buffer.allocUnsafe(32), at = 0): Buffer {
    codec.need('throttle', out, at, 32);
    codec.writeU64(out, value.paid_ns, at);
    codec.writeU64(out, value.started_ns, at + 8);
    codec.writeU64(out, value.last_ns, at + 16);
    codec.writeU64(out, value.episodes, at + 24);
    return out;
  },
  decode(from: Buffer, at = 0): throttle {
    codec.need('throttle', from, at, 32);
    return {
      paid_ns: codec.readU64(from, at),
      started_ns: codec.readU64(from, at + 8),
      last_ns: codec.readU64(from, at + 16),
      episodes: codec.readU64(from, at + 24),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    paid_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    started_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    last_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
    episodes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 24),
  },
} as const satisfies codec.StructCodec<throttle>;

export interface throttled_key {
  readonly ifindex: number;
  readonly workload_id: number;
  readonly reason: number;
  readonly direction: number;
}

export const throttled_key = {
  name: 'throttled_key',
  size: 12,
  offsets: {
    ifindex: 0,
    workload_id: 4,
    reason: 8,
    direction: 9,
    pad: 10,
  },
  encode(value: throttled_key, out: Buffer = Buffer.allocUnsafe(12), at = 0): Buffer {
    codec.need('throttled_key', out, at, 12);
    out.writeUInt32LE(value.ifindex, at);
    out.writeUInt32LE(value.workload_id, at + 4);
    out.writeUInt8(value.reason, at + 8);
    out.writeUInt8(value.direction, at + 9);
    out.writeUInt16LE(0, at + 10);
    return out;
  },
  decode(from: Buffer, at = 0): throttled_key {
    codec.need('throttled_key', from, at, 12);
    return {
      ifindex: from.readUInt32LE(at),
      workload_id: from.readUInt32LE(at + 4),
      reason: from.readUInt8(at + 8),
      direction: from.readUInt8(at + 9),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    workload_id: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    reason: (from: Buffer, at = 0): number => from.readUInt8(at + 8),
    direction: (from: Buffer, at = 0): number => from.readUInt8(at + 9),
  },
} as const satisfies codec.StructCodec<throttled_key>;

export interface throttled_value {
  readonly events: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export const throttled_value = {
  name: 'throttled_value',
  size: 24,
  offsets: {
    events: 0,
    packets: 8,
    bytes: 16,
  },
  encode(value: throttled_value, out: Buffer = Buffer.allocUnsafe(24), at = 0): Buffer {
    codec.need('throttled_value', out, at, 24);
    codec.writeU64(out, value.events, at);
    codec.writeU64(out, value.packets, at + 8);
    codec.writeU64(out, value.bytes, at + 16);
    return out;
  },
  decode(from: Buffer, at = 0): throttled_value {
    codec.need('throttled_value', from, at, 24);
    return {
      events: codec.readU64(from, at),
      packets: codec.readU64(from, at + 8),
      bytes: codec.readU64(from, at + 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    events: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    packets: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 8),
    bytes: (from: Buffer, at = 0): bigint => codec.readU64(from, at + 16),
  },
} as const satisfies codec.StructCodec<throttled_value>;

export interface tunnel {
  readonly remote: Uint8Array;
  readonly local: Uint8Array;
  readonly flags: number;
  readonly ifindex: number;
}

export const tunnel = {
  name: 'tunnel',
  size: 40,
  offsets: {
    remote: 0,
    local: 16,
    flags: 32,
    ifindex: 36,
  },
  encode(value: tunnel, out: Buffer = Buffer.allocUnsafe(40), at = 0): Buffer {
    codec.need('tunnel', out, at, 40);
    codec.writeBytes(out, value.remote, at, 16);
    codec.writeBytes(out, value.local, at + 16, 16);
    out.writeUInt32LE(value.flags, at + 32);
    out.writeUInt32LE(value.ifindex, at + 36);
    return out;
  },
  decode(from: Buffer, at = 0): tunnel {
    codec.need('tunnel', from, at, 40);
    return {
      remote: codec.readBytes(from, at, 16),
      local: codec.readBytes(from, at + 16, 16),
      flags: from.readUInt32LE(at + 32),
      ifindex: from.readUInt32LE(at + 36),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    remote: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at, 16),
    local: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 16, 16),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 32),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 36),
  },
} as const satisfies codec.StructCodec<tunnel>;

export interface turn_sweep_ctx {
  readonly now_ns: bigint;
  readonly failed: number;
}

export const turn_sweep_ctx = {
  name: 'turn_sweep_ctx',
  size: 16,
  offsets: {
    now_ns: 0,
    failed: 8,
    pad: 12,
  },
  encode(value: turn_sweep_ctx, out: Buffer = Buffer.allocUnsafe(16), at = 0): Buffer {
    codec.need('turn_sweep_ctx', out, at, 16);
    codec.writeU64(out, value.now_ns, at);
    out.writeUInt32LE(value.failed, at + 8);
    out.writeUInt32LE(0, at + 12);
    return out;
  },
  decode(from: Buffer, at = 0): turn_sweep_ctx {
    codec.need('turn_sweep_ctx', from, at, 16);
    return {
      now_ns: codec.readU64(from, at),
      failed: from.readUInt32LE(at + 8),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    now_ns: (from: Buffer, at = 0): bigint => codec.readU64(from, at),
    failed: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
  },
} as const satisfies codec.StructCodec<turn_sweep_ctx>;

export interface unmasqueraded_value {
  readonly flags: number;
}

export const unmasqueraded_value = {
  name: 'unmasqueraded_value',
  size: 4,
  offsets: {
    flags: 0,
  },
  encode(value: unmasqueraded_value, out: Buffer = Buffer.allocUnsafe(4), at = 0): Buffer {
    codec.need('unmasqueraded_value', out, at, 4);
    out.writeUInt32LE(value.flags, at);
    return out;
  },
  decode(from: Buffer, at = 0): unmasqueraded_value {
    codec.need('unmasqueraded_value', from, at, 4);
    return {
      flags: from.readUInt32LE(at),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at),
  },
} as const satisfies codec.StructCodec<unmasqueraded_value>;

export interface uplink {
  readonly flags: number;
  readonly port_low: number;
  readonly port_high: number;
  readonly ip4: Uint8Array;
  readonly ip6: Uint8Array;
  readonly nat64_ip4: Uint8Array;
  readonly wireguard_port: number;
  readonly tunnel_port: number;
  readonly service_ip4: Uint8Array;
  readonly service_ip6: Uint8Array;
}

export const uplink = {
  name: 'uplink',
  size: 96,
  offsets: {
    flags: 0,
    port_low: 4,
    port_high: 6,
    ip4: 8,
    ip6: 24,
    nat64_ip4: 40,
    wireguard_port: 56,
    tunnel_port: 58,
    pad: 60,
    service_ip4: 64,
    service_ip6: 80,
  },
  encode(value: uplink, out: Buffer = Buffer.allocUnsafe(96), at = 0): Buffer {
    codec.need('uplink', out, at, 96);
    out.writeUInt32LE(value.flags, at);
    out.writeUInt16BE(value.port_low, at + 4);
    out.writeUInt16BE(value.port_high, at + 6);
    codec.writeBytes(out, value.ip4, at + 8, 16);
    codec.writeBytes(out, value.ip6, at + 24, 16);
    codec.writeBytes(out, value.nat64_ip4, at + 40, 16);
    out.writeUInt16BE(value.wireguard_port, at + 56);
    out.writeUInt16BE(value.tunnel_port, at + 58);
    out.writeUInt32LE(0, at + 60);
    codec.writeBytes(out, value.service_ip4, at + 64, 16);
    codec.writeBytes(out, value.service_ip6, at + 80, 16);
    return out;
  },
  decode(from: Buffer, at = 0): uplink {
    codec.need('uplink', from, at, 96);
    return {
      flags: from.readUInt32LE(at),
      port_low: from.readUInt16BE(at + 4),
      port_high: from.readUInt16BE(at + 6),
      ip4: codec.readBytes(from, at + 8, 16),
      ip6: codec.readBytes(from, at + 24, 16),
      nat64_ip4: codec.readBytes(from, at + 40, 16),
      wireguard_port: from.readUInt16BE(at + 56),
      tunnel_port: from.readUInt16BE(at + 58),
      service_ip4: codec.readBytes(from, at + 64, 16),
      service_ip6: codec.readBytes(from, at + 80, 16),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    port_low: (from: Buffer, at = 0): number => from.readUInt16BE(at + 4),
    port_high: (from: Buffer, at = 0): number => from.readUInt16BE(at + 6),
    ip4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 8, 16),
    ip6: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 24, 16),
    nat64_ip4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 40, 16),
    wireguard_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 56),
    tunnel_port: (from: Buffer, at = 0): number => from.readUInt16BE(at + 58),
    service_ip4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 64, 16),
    service_ip6: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 80, 16),
  },
} as const satisfies codec.StructCodec<uplink>;

export interface workload {
  readonly id: number;
  readonly identity: number;
  readonly flags: number;
  readonly policy_revision: number;
  readonly default_rule_ingress: number;
  readonly default_rule_egress: number;
  readonly ip4: Uint8Array;
  readonly ip6: Uint8Array;
  readonly mac: Uint8Array;
  readonly host_mac: Uint8Array;
  readonly ifindex: number;
}

export const workload = {
  name: 'workload',
  size: 72,
  offsets: {
    id: 0,
    identity: 4,
    flags: 8,
    policy_revision: 12,
    default_rule_ingress: 16,
    default_rule_egress: 20,
    ip4: 24,
    ip6: 40,
    mac: 56,
    host_mac: 62,
    ifindex: 68,
  },
  encode(value: workload, out: Buffer = Buffer.allocUnsafe(72), at = 0): Buffer {
    codec.need('workload', out, at, 72);
    out.writeUInt32LE(value.id, at);
    out.writeUInt32LE(value.identity, at + 4);
    out.writeUInt32LE(value.flags, at + 8);
    out.writeUInt32LE(value.policy_revision, at + 12);
    out.writeUInt32LE(value.default_rule_ingress, at + 16);
    out.writeUInt32LE(value.default_rule_egress, at + 20);
    codec.writeBytes(out, value.ip4, at + 24, 16);
    codec.writeBytes(out, value.ip6, at + 40, 16);
    codec.writeBytes(out, value.mac, at + 56, 6);
    codec.writeBytes(out, value.host_mac, at + 62, 6);
    out.writeUInt32LE(value.ifindex, at + 68);
    return out;
  },
  decode(from: Buffer, at = 0): workload {
    codec.need('workload', from, at, 72);
    return {
      id: from.readUInt32LE(at),
      identity: from.readUInt32LE(at + 4),
      flags: from.readUInt32LE(at + 8),
      policy_revision: from.readUInt32LE(at + 12),
      default_rule_ingress: from.readUInt32LE(at + 16),
      default_rule_egress: from.readUInt32LE(at + 20),
      ip4: codec.readBytes(from, at + 24, 16),
      ip6: codec.readBytes(from, at + 40, 16),
      mac: codec.readBytes(from, at + 56, 6),
      host_mac: codec.readBytes(from, at + 62, 6),
      ifindex: from.readUInt32LE(at + 68),
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
    id: (from: Buffer, at = 0): number => from.readUInt32LE(at),
    identity: (from: Buffer, at = 0): number => from.readUInt32LE(at + 4),
    flags: (from: Buffer, at = 0): number => from.readUInt32LE(at + 8),
    policy_revision: (from: Buffer, at = 0): number => from.readUInt32LE(at + 12),
    default_rule_ingress: (from: Buffer, at = 0): number => from.readUInt32LE(at + 16),
    default_rule_egress: (from: Buffer, at = 0): number => from.readUInt32LE(at + 20),
    ip4: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 24, 16),
    ip6: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 40, 16),
    mac: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 56, 6),
    host_mac: (from: Buffer, at = 0): Uint8Array => codec.readBytes(from, at + 62, 6),
    ifindex: (from: Buffer, at = 0): number => from.readUInt32LE(at + 68),
  },
} as const satisfies codec.StructCodec<workload>;
