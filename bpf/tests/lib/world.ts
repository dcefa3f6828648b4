// SPDX-License-Identifier: Apache-2.0
/**
 * The object under test with small maps, and the little world that all packet tests share: one workload under test
 * (on interface 1, because a test run needs an interface that exists), a second workload of the same host, the host,
 * a managed peer elsewhere, and addresses of the world.
 */
import { rmSync } from 'node:fs';
import { type BpfObject, createInner, ensureBpffs, openObject, readSkbContext, skbContext } from '@weir/loader';
import {
  address_key,
  address_value,
  bandwidth,
  CONFIG,
  cidr_value,
  ct_entry,
  ct_key,
  drop_key,
  ipcache_value,
  MAPS,
  nat64,
  policy_entry,
  prefix_key,
  sweep_ctx,
  tunnel,
  weir_identity,
  weir_workload_flags,
  workload,
  type workload_config,
} from '../../gen/index.ts';
import { type ObjectName, objectPath } from '../../objects.ts';
import { mac, mapped } from './bytes.ts';
import { policyEntry, policyKey, type Rule } from './policy-rule.ts';
import { SERVICE_MAPS, ServiceTables } from './service-tables.ts';

export type { Rule } from './policy-rule.ts';

export interface Workload {
  readonly ifindex: number;
  readonly id: number;
  readonly identity: number;
  readonly ip4: string;
  readonly ip6: string;
  readonly mac: string;
  readonly hostMac: string;
}

export const WEB: Workload = {
  ifindex: 1,
  id: 7,
  identity: 1000,
  ip4: '10.1.0.1',
  ip6: 'fd01::1',
  mac: '02:00:00:00:00:01',
  hostMac: '02:00:00:00:ff:01',
};
export const DB: Workload = {
  ifindex: 1002,
  id: 8,
  identity: 2000,
  ip4: '10.1.0.2',
  ip6: 'fd01::2',
  mac: '02:00:00:00:00:02',
  hostMac: '02:00:00:00:ff:02',
};
export const PEER = { identity: 3000, ip4: '10.2.0.1', ip6: 'fd02::1' } as const;
export const HOST = { identity: weir_identity.IDENTITY_HOST, ip4: '10.1.0.254', ip6: 'fd01::fe' } as const;
export const WORLD = { ip4: '192.0.2.10', ip6: '2001:db8::10' } as const;
/** An interface that is no workload's: where packets from elsewhere enter the host. */
export const UPLINK = 99;

const FLAGS = weir_workload_flags;
export const OPEN = FLAGS.WORKLOAD_READY;
export const CLOSED = FLAGS.WORKLOAD_READY | FLAGS.WORKLOAD_ENFORCE_INGRESS | FLAGS.WORKLOAD_ENFORCE_EGRESS;
export const DEFAULT_RULE = { ingress: 901, egress: 902 } as const;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const prefix = (text: string): Buffer => {
  const [address = '', bits] = text.split('/');
  const offset = address.includes(':') ? 0 : 96;
  return prefix_key.encode({ prefixlen: offset + Number(bits ?? (offset ? 32 : 128)), addr: mapped(address) });
};

export interface Tunnelled {
  readonly remote: string;
  readonly local: string;
  readonly flags: number;
  readonly ifindex: number;
}

export interface Verdict {
  readonly action: number;
  readonly packet: Buffer;
}

export type ProgramName = 'from_workload' | 'to_workload' | 'from_uplink' | 'to_uplink' | 'to_nat64' | 'from_tunnel';

/** Objects meet in pinned maps. */
const openTogether = async (
  names: readonly ObjectName[],
  { rodata, maxEntries }: { rodata: Record<string, Buffer>; maxEntries: Record<string, number> },
): Promise<BpfObject[]> => {
  const has = (name: ObjectName, map: string) => MAPS[map as keyof typeof MAPS].objects.includes(name as never);
  const optionsOf = (name: ObjectName) => ({
    ...{ rodata, maxEntries: Object.fromEntries(Object.entries(maxEntries).filter(([map]) => has(name, map))) },
  });
  const open = (name: ObjectName, more = {}) => openObject(objectPath(name), { ...optionsOf(name), ...more });
  if (names.length === 1) return [await open(names[0] as ObjectName)];
  const pinDir = await ensureBpffs(`/sys/fs/bpf/weir-packets-${process.pid}-${++opened}`);
  try {
    const objects: BpfObject[] = [];
    for (const name of names) {
      objects.push(await open(name, { pinDir }));
      await objects.at(-1)?.commitPins();
    }
    return objects;
  } finally {
    rmSync(pinDir, { recursive: true, force: true });
  }
};
let opened = 0;

/** Maps that no program makes entries in: empty unless a test has asked for them. A look into each takes an emulated machine long. */
const TOLD = ['cidrs', 'policies', 'bandwidths', 'uplinks', 'vlans', 'unmasqueraded', 'strict'];

export class World {
  readonly object: BpfObject;
  readonly services = new ServiceTables((name) => this.map(name));
  readonly #others: readonly BpfObject[];
  /** Path of the network namespace whose interfaces and routes packets meet; without it that of this process. */
  netns: string | undefined;
  /** Maps that somebody has asked for since the last reset. */
  readonly #touched = new Set<string>();

  private constructor(object: BpfObject, others: readonly BpfObject[]) {
    this.object = object;
    this.#others = others;
  }

  /** `others`: objects whose programs work with this one's maps. Small maps: every case looks through all of them. */
  static async open(
    config: workload_config = {},
    maxConntrack = 4096,
    ringBytes = 1 << 20,
    others: readonly ObjectName[] = [],
    maxNat?: number,
  ): Promise<World> {
    const [object, ...rest] = await openTogether(['workload', ...others], {
      rodata: CONFIG.workload.encode(config),
      maxEntries: {
        ...{ conntrack: maxConntrack, fragments: 64, events: ringBytes, throttled: 1024 },
        // an emulated machine is long in walking through empty buckets
        ...{ drops: 128, throttles: 64, answers: 64, drains: 64, policies: 64, bandwidths: 64, vlans: 64 },
        ...(maxNat === undefined ? {} : { nat_in: maxNat, nat_out: maxNat }),
      },
    });
    const world = new World(object as BpfObject, rest);
    world.managed(PEER.ip4, PEER.identity);
    world.managed(PEER.ip6, PEER.identity);
    world.managed(HOST.ip4, HOST.identity);
    world.managed(HOST.ip6, HOST.identity);
    for (const who of [WEB, DB]) {
      for (const address of [who.ip4, who.ip6]) {
        world.managed(address, who.identity);
        world
          .map('addresses')
          .update(address_key.encode({ addr: mapped(address) }), address_value.encode({ ifindex: who.ifindex }));
      }
    }
    await world.reset();
    return world;
  }

  map(name: string) {
    this.#touched.add(name);
    return (this.#others.find(({ maps }) => maps.has(name)) ?? this.object).map(name);
  }

  program(name: string) {
    return (this.#others.find(({ programs }) => programs.has(name)) ?? this.object).program(name);
  }

  /** Everything that packets and policies leave behind is gone; both workloads are ready and let all pass. */
  async reset(): Promise<void> {
    for (const name of ['conntrack', 'fragments', 'drops', 'throttles', 'throttled', 'answers', 'drains'])
      await this.clear(name);
    for (const name of ['nat_in', 'nat_out', ...SERVICE_MAPS])
      if (this.#others.some(({ maps }) => maps.has(name))) await this.clear(name);
    for (const name of TOLD) if (this.#touched.has(name)) await this.clear(name);
    this.#touched.clear();
    this.map('nat64').update(u32(0), Buffer.alloc(nat64.size));
    await this.clear('workloads');
    for (const who of [WEB, DB]) this.workload(who, OPEN);
    this.map('pacing').update(u32(0), u32(0));
  }

  async clear(name: string): Promise<void> {
    const map = this.map(name);
    const { keys, count } = await map.lookupAll();
    for (let at = 0; at < count; at++) map.delete(keys.subarray(at * map.keySize, (at + 1) * map.keySize));
  }

  workload(who: Workload, flags: number, revision = 1, change: Partial<workload> = {}): void {
    this.map('workloads').update(
      u32(who.ifindex),
      workload.encode({
        id: who.id,
        identity: who.identity,
        flags,
        policy_revision: revision,
        default_rule_ingress: DEFAULT_RULE.ingress,
        default_rule_egress: DEFAULT_RULE.egress,
        ip4: mapped(who.ip4),
        ip6: mapped(who.ip6),
        mac: mac(who.mac),
        host_mac: mac(who.hostMac),
        ifindex: who.ifindex,
        ...change,
      }),
    );
  }

  /** Bytes per second; 0 = no limit. */
  limit(who: Workload, egress: number, ingress: number): void {
    const rates = { egress_bytes_per_second: BigInt(egress), ingress_bytes_per_second: BigInt(ingress) };
    this.map('bandwidths').update(
      u32(who.ifindex),
      bandwidth.encode({ ...rates, egress_paid_ns: 0n, ingress_paid_ns: 0n, here_paid_ns: 0n }),
    );
    this.workload(who, OPEN | FLAGS.WORKLOAD_LIMITED);
  }

  /** Its answers to refused packets have used their allowance until so many seconds from now. */
  answersPaid(who: Workload, seconds: number): void {
    const paid = Buffer.alloc(8);
    const until = process.hrtime.bigint() + BigInt(seconds) * 1_000_000_000n;
    paid.writeBigUInt64LE(until > 0n ? until : 0n);
    this.map('answers').update(u32(who.ifindex), paid);
  }

  /** Its connections that have begun until then may go on, whatever policy says; 0: they are cut. */
  drain(who: Workload, until = process.hrtime.bigint()): void {
    const before = Buffer.alloc(8);
    if (until === 0n) return void this.map('drains').delete(u32(who.ifindex));
    before.writeBigUInt64LE(until);
    this.map('drains').update(u32(who.ifindex), before);
  }

  removeWorkload(who: Workload): void {
    this.map('workloads').delete(u32(who.ifindex));
  }

  async policy(who: Workload, rules: readonly Rule[], flags: number = CLOSED, revision = 1): Promise<void> {
    const inner = await createInner(this.map('policies'), `policy${who.id}`);
    for (const rule of rules) {
      inner.update(policyKey(rule), policyEntry(rule));
    }
    this.map('policies').updateInner(u32(who.ifindex), inner);
    this.#inner.get(who.ifindex)?.close();
    this.#inner.set(who.ifindex, inner);
    this.workload(who, flags, revision);
  }

  readonly #inner = new Map<number, Awaited<ReturnType<typeof createInner>>>();

  /** What the policy entry of that rule has counted. */
  policyCounts(who: Workload, rule: Rule): { packets: number; bytes: number } {
    const bytes = this.#inner.get(who.ifindex)?.lookup(policyKey(rule));
    if (bytes === undefined) throw new Error(`rule ${rule.id} is not in the policy of workload ${who.id}`);
    const entry = policy_entry.decode(bytes);
    return { packets: Number(entry.packets), bytes: Number(entry.bytes) };
  }

  managed(text: string, identity: number, host = 0): void {
    this.map('ipcache').update(prefix(text), ipcache_value.encode({ identity, flags: 0, host4: 0, host }));
  }

  /** How the host with that number is reached. */
  tunnel(host: number, { remote, local, flags, ifindex }: Tunnelled): void {
    this.map('tunnels').update(
      u32(host),
      tunnel.encode({ remote: mapped(remote), local: mapped(local), flags, ifindex }),
    );
  }

  noTunnel(host: number): void {
    this.map('tunnels').update(u32(host), Buffer.alloc(tunnel.size));
  }

  identityExists(identity: number): void {
    this.map('identities').update(u32(identity), Buffer.alloc(4));
  }

  local(text: string, ifindex: number): void {
    this.map('addresses').update(address_key.encode({ addr: mapped(text) }), address_value.encode({ ifindex }));
  }

  notLocal(text: string): void {
    this.map('addresses').delete(address_key.encode({ addr: mapped(text) }));
  }

  cidr(text: string, identity: number): void {
    this.map('cidrs').update(prefix(text), cidr_value.encode({ identity }));
  }

  async run(
    program: ProgramName,
    frame: Buffer,
    context: { ingressIfindex?: number; gsoSegs?: number; gsoSize?: number; mark?: number } = {},
    repeat = 1,
  ): Promise<Verdict & { durationNs: number; leavesAtNs: bigint }> {
    const ctx = skbContext({ ifindex: WEB.ifindex, ...context });
    const { retval, dataOut, ctxOut, durationNs } = await this.program(program).testRun({
      ...{ data: frame, ctx, repeat },
      ...(this.netns === undefined ? {} : { netns: this.netns }),
    });
    const packet = Buffer.from(dataOut ?? Buffer.alloc(0));
    const leavesAtNs = ctxOut ? readSkbContext(ctxOut).tstampNs : 0n;
    return { action: retval, packet, leavesAtNs, durationNs: Number(durationNs) };
  }

  /** Packets by reason, all CPUs and directions together. */
  async drops(): Promise<Map<number, number>> {
    const map = this.map('drops');
    const { keys, values, count } = await map.lookupAll();
    const byReason = new Map<number, number>();
    for (let at = 0; at < count; at++) {
      const { reason } = drop_key.decode(keys, at * map.keySize);
      for (let cpu = 0; cpu < map.valueStride; cpu += 16) {
        const packets = Number(values.readBigUInt64LE(at * map.valueStride + cpu));
        if (packets) byReason.set(reason, (byReason.get(reason) ?? 0) + packets);
      }
    }
    return byReason;
  }

  async counter(number: number): Promise<number> {
    const value = this.map('counters').lookup(u32(number)) ?? Buffer.alloc(0);
    let sum = 0;
    for (let at = 0; at < value.length; at += 8) sum += Number(value.readBigUInt64LE(at));
    return sum;
  }

  async connections(): Promise<{ key: ct_key; entry: ct_entry }[]> {
    const map = this.map('conntrack');
    const { keys, values, count } = await map.lookupAll();
    return Array.from({ length: count }, (_, at) => ({
      key: ct_key.decode(keys, at * ct_key.size),
      entry: ct_entry.decode(values, at * ct_entry.size),
    }));
  }

  setConnection(key: ct_key, entry: ct_entry): void {
    this.map('conntrack').update(ct_key.encode(key), ct_entry.encode(entry));
  }

  /** As if so much time had passed for every connection. */
  async pass(seconds: number): Promise<void> {
    const ns = BigInt(Math.round(seconds * 1e9));
    /** 0 means never and stays; the machine may have booted less than `seconds` ago. */
    const before = (time: bigint): bigint => (time === 0n ? 0n : time > ns ? time - ns : 1n);
    for (const { key, entry } of await this.connections()) {
      const earlier = <T extends ct_entry['orig']>(direction: T): T => ({
        ...direction,
        last_ns: before(direction.last_ns),
        reported_ns: before(direction.reported_ns),
      });
      const aged = {
        ...entry,
        expires_ns: before(entry.expires_ns),
        orig: earlier(entry.orig),
        reply: earlier(entry.reply),
      };
      this.setConnection(key, aged);
    }
  }

  async sweep(options: Partial<sweep_ctx> = {}): Promise<sweep_ctx> {
    const none = {
      ...{ now_ns: 0n, flags: 0, failed: 0, ifindex: 0 },
      ...{ entries: 0n, reported: 0n, expired: 0n, deferred: 0n },
    };
    const { ctxOut } = await this.object
      .program('ct_sweep')
      .testRun({ ctx: sweep_ctx.encode({ ...none, ...options }) });
    return sweep_ctx.decode(Buffer.from(ctxOut as Uint8Array));
  }

  close(): void {
    for (const inner of this.#inner.values()) inner.close();
    for (const object of [this.object, ...this.#others]) object.close();
  }
}
