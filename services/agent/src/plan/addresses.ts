// SPDX-License-Identifier: Apache-2.0
/**
 * Which address has which identity, from hosts, workloads and the host's own facts into the desired ipcache.
 *
 * An address whose identity's labels are not known yet is `init`: its number would match no rule that selects labels,
 * neither those that allow it nor those that deny it.
 */
import { weir_identity } from '@weir/bpf';
import { type Cidr, cidrOfAddress, isV4Mapped, parseCidr, parseIp } from '@weir/net';
import type { Host, Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import { type Ipcache, LAYER, type PrefixText, prefixText } from './ipcache.ts';
import { GATEWAY4, GATEWAY6 } from './names.ts';

const { IDENTITY_UNKNOWN, IDENTITY_HOST, IDENTITY_REMOTE_NODE, IDENTITY_INIT } = weir_identity;

const addressKey = (text: string): PrefixText => {
  const { addr, bits128 }: Cidr = cidrOfAddress(parseIp(text));
  return prefixText(addr, bits128);
};

const hostOrder = (ip4: string): number => {
  const addr = parseIp(ip4);
  return isV4Mapped(addr) ? Buffer.from(addr).readUInt32BE(12) : 0;
};

/** Text that can't be an address was said to be wrong where the document was read; here it has no effect. */
const keysOf = (texts: readonly string[]): PrefixText[] =>
  texts.flatMap((text) => {
    try {
      return text === '' ? [] : [addressKey(text)];
    } catch {
      return [];
    }
  });

const poolKeys = (pools: readonly string[]): PrefixText[] =>
  pools.flatMap((pool) => {
    try {
      const { addr, bits128 } = parseCidr(pool);
      return [prefixText(addr, bits128)];
    } catch {
      return [];
    }
  });

interface KnownHost {
  readonly subject: string;
  readonly revision: bigint;
  readonly keys: readonly PrefixText[];
  readonly pools: readonly PrefixText[];
  readonly host4: number;
}

interface Known {
  readonly keys: readonly PrefixText[];
  readonly identity: number;
  readonly hostId: string;
  readonly revision: bigint;
}

export class Addresses {
  readonly #ipcache: Ipcache;
  readonly #ownHost: string;
  readonly #knowsLabels: (identity: number) => boolean;
  readonly #workloads = new Map<string, Known>();
  readonly #byHost = new Map<string, Set<string>>();
  readonly #byIdentity = new Map<number, Set<string>>();
  readonly #hosts = new Map<string, KnownHost>();
  /** Hosts that are reached by tunnel. */
  #numbers: ReadonlyMap<string, number> = new Map();
  #facts: readonly PrefixText[] = [];

  constructor(ipcache: Ipcache, ownHost: string, knowsLabels: (identity: number) => boolean) {
    this.#ipcache = ipcache;
    this.#ownHost = ownHost;
    this.#knowsLabels = knowsLabels;
  }

  putWorkload(subject: string, revision: bigint, workload: Workload): void {
    this.removeWorkload(subject, keysOf([workload.ip4, workload.ip6]));
    const known: Known = {
      keys: keysOf([workload.ip4, workload.ip6]),
      identity: workload.identity,
      hostId: workload.hostId,
      revision,
    };
    this.#workloads.set(subject, known);
    add(this.#byHost, workload.hostId, subject);
    add(this.#byIdentity, workload.identity, subject);
    this.#claim(subject, known);
  }

  /** `kept`: keys that are claimed again at once and need not be withdrawn. */
  removeWorkload(subject: string, kept: readonly PrefixText[] = []): void {
    const known = this.#workloads.get(subject);
    if (!known) return;
    this.#workloads.delete(subject);
    drop(this.#byHost, known.hostId, subject);
    drop(this.#byIdentity, known.identity, subject);
    for (const key of known.keys) if (!kept.includes(key)) this.#ipcache.withdraw(key, subject);
  }

  #claim(subject: string, { keys, identity, hostId, revision }: Known): void {
    const entry = {
      identity: this.#knowsLabels(identity) ? identity : IDENTITY_INIT,
      host4: hostId === this.#ownHost ? 0 : (this.#hosts.get(hostId)?.host4 ?? 0),
      ...this.#numberOf(hostId),
    };
    for (const key of keys) this.#ipcache.put(key, subject, LAYER.WORKLOAD, revision, entry);
  }

  /** Its labels came or went. */
  identityChanged(identity: number): void {
    for (const subject of this.#byIdentity.get(identity) ?? [])
      this.#claim(subject, this.#workloads.get(subject) as Known);
  }

  putHost(subject: string, revision: bigint, host: Host): void {
    const keys = keysOf([host.underlayIp4, host.underlayIp6]);
    this.removeHost(subject, host.id, keys);
    let host4 = 0;
    try {
      host4 = host.underlayIp4 === '' ? 0 : hostOrder(host.underlayIp4);
    } catch {
      // As in keysOf.
    }
    const known: KnownHost = { subject, revision, keys, pools: poolKeys(host.pools), host4 };
    this.#hosts.set(host.id, known);
    this.#claimHost(host.id, known);
    this.#hostMoved(host.id);
  }

  removeHost(subject: string, id: string, kept: readonly PrefixText[] = []): void {
    const known = this.#hosts.get(id);
    if (!known) return;
    this.#hosts.delete(id);
    for (const key of known.keys) if (!kept.includes(key)) this.#ipcache.withdraw(key, subject);
    for (const key of known.pools) this.#ipcache.withdraw(key, subject);
    if (kept.length === 0) this.#hostMoved(id);
  }

  #hostMoved(id: string): void {
    for (const subject of this.#byHost.get(id) ?? []) this.#claim(subject, this.#workloads.get(subject) as Known);
  }

  #numberOf(hostId: string): { readonly host?: number } {
    const host = hostId === this.#ownHost ? undefined : this.#numbers.get(hostId);
    return host === undefined ? {} : { host };
  }

  #claimHost(id: string, { subject, revision, keys, pools, host4 }: KnownHost): void {
    const own = id === this.#ownHost;
    const number = this.#numberOf(id);
    const entry = own ? { identity: IDENTITY_HOST, host4: 0 } : { identity: IDENTITY_REMOTE_NODE, host4, ...number };
    for (const key of keys) {
      this.#ipcache.put(key, subject, own ? LAYER.OWN_HOST : LAYER.REMOTE_HOST, revision, entry);
    }
    // Whose an address is, before the workload that has it is known here. This host's own: no packet out of the tunnel
    // leaves for the world because nobody has that address.
    const isSaid = own ? this.#numbers.size > 0 : number.host !== undefined;
    for (const key of pools) {
      const pool = { identity: IDENTITY_UNKNOWN, host4: own ? 0 : host4, ...number };
      if (isSaid) this.#ipcache.put(key, subject, LAYER.POOL, revision, pool);
      else this.#ipcache.withdraw(key, subject);
    }
  }

  /** Which hosts are reached by tunnel, and by which number. */
  setHostNumbers(numbers: ReadonlyMap<string, number>): void {
    const before = this.#numbers;
    this.#numbers = numbers;
    for (const id of new Set([...before.keys(), ...numbers.keys()])) {
      if (before.get(id) === numbers.get(id)) continue;
      const known = this.#hosts.get(id);
      if (known) this.#claimHost(id, known);
      this.#hostMoved(id);
    }
    const own = this.#hosts.get(this.#ownHost);
    if (own && before.size > 0 !== numbers.size > 0) this.#claimHost(this.#ownHost, own);
  }

  /** Addresses of the host's own interfaces: they are the host, whatever the control plane knows of them. */
  setOwn(addresses: readonly string[]): void {
    const keys = keysOf([GATEWAY4, GATEWAY6, ...addresses]);
    for (const key of this.#facts) if (!keys.includes(key)) this.#ipcache.withdraw(key, 'facts');
    for (const key of keys) {
      if (this.#facts.includes(key)) continue;
      this.#ipcache.put(key, 'facts', LAYER.OWN_HOST, 0n, { identity: IDENTITY_HOST, host4: 0 });
    }
    this.#facts = keys;
  }
}

const add = <K>(index: Map<K, Set<string>>, key: K, subject: string): void => {
  const set = index.get(key);
  if (set) set.add(subject);
  else index.set(key, new Set([subject]));
};

const drop = <K>(index: Map<K, Set<string>>, key: K, subject: string): void => {
  const set = index.get(key);
  if (!set) return;
  set.delete(subject);
  if (set.size === 0) index.delete(key);
};
