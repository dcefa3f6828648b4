// SPDX-License-Identifier: Apache-2.0
/**
 * The desired ipcache, kept incrementally: a fleet has hundreds of thousands of addresses, a change concerns a few.
 *
 * Several documents may claim one prefix for a moment (a workload is deleted and its address given again, and the two
 * documents arrive in either order): the higher layer wins, then the higher revision, and what is withdrawn uncovers
 * what lies below.
 *
 * The kernel's map holds only so many. What finds no room waits, hosts' addresses last, and is said (`unplaced`): to the
 * datapath its addresses are the world's, which may be more than they are allowed (lockdown.ts).
 */
import { ipcache_value, prefix_key, weir_limits } from '@weir/bpf';
import { breathing } from '../breathe.ts';

export interface IpcacheEntry {
  readonly identity: number;
  /** Underlay IPv4 of the owning host in host byte order; 0 = this host or unknown. */
  readonly host4: number;
  /** That host's number in `tunnels`; 0 = this host, or nobody goes there by tunnel. With identity 0 it is a pool. */
  readonly host?: number;
}

/** Higher wins. */
export const LAYER = { POOL: 0, WORKLOAD: 1, REMOTE_HOST: 2, OWN_HOST: 3 } as const;

interface Claim extends IpcacheEntry {
  readonly source: string;
  readonly layer: number;
  readonly revision: bigint;
}

/** Prefix length (from bit 0 of 16 bytes) and address as one string: maps of bytes need a key that compares. */
export type PrefixText = string;

export const prefixText = (addr: Uint8Array, bits128: number): PrefixText =>
  String.fromCharCode(bits128) + Buffer.from(addr).toString('latin1');

export const prefixParts = (text: PrefixText): { addr: Uint8Array; bits128: number } => ({
  addr: Buffer.from(text.slice(1), 'latin1'),
  bits128: text.charCodeAt(0),
});

export const encodePrefixKey = (text: PrefixText, out?: Buffer, at?: number): Buffer => {
  const { addr, bits128 } = prefixParts(text);
  return prefix_key.encode({ prefixlen: bits128, addr }, out, at);
};

export const encodeIpcacheValue = ({ identity, host4, host = 0 }: IpcacheEntry, out?: Buffer, at?: number): Buffer =>
  ipcache_value.encode({ identity, flags: 0, host4, host }, out, at);

export interface IpcacheDelta {
  readonly puts: readonly (readonly [PrefixText, IpcacheEntry])[];
  readonly deletes: readonly PrefixText[];
  /** An address that had an identity gets another or none: known connections must be judged again. */
  readonly rejudge: boolean;
}

/** An address that the kernel's map has no room for. */
export interface Unplaced {
  readonly key: PrefixText;
  /** Subject of the document that claims it. */
  readonly source: string;
  readonly revision: bigint;
  readonly identity: number;
}

const before = (a: Claim, b: Claim): boolean => a.layer > b.layer || (a.layer === b.layer && a.revision >= b.revision);

const sameEntry = (a: IpcacheEntry | undefined, b: IpcacheEntry | undefined): boolean =>
  a?.identity === b?.identity && a?.host4 === b?.host4 && (a?.host ?? 0) === (b?.host ?? 0);

export class Ipcache {
  /** One claim, or, rarely, several, best first. */
  readonly #claims = new Map<PrefixText, Claim | Claim[]>();
  /** Keys that may differ from what was last confirmed as written, with what that was. */
  #dirty = new Map<PrefixText, IpcacheEntry | undefined>();
  readonly #capacity: number;

  constructor(capacity: number = weir_limits.WEIR_MAX_IPCACHE) {
    this.#capacity = capacity;
  }

  /** Of what is desired, whether it has room or not. */
  get size(): number {
    return this.#claims.size;
  }

  get(key: PrefixText): IpcacheEntry | undefined {
    return this.#claim(key);
  }

  #claim(key: PrefixText): Claim | undefined {
    const held = this.#claims.get(key);
    return Array.isArray(held) ? held[0] : held;
  }

  *entries(): Iterable<readonly [PrefixText, IpcacheEntry]> {
    for (const [key, held] of this.#claims) yield [key, (Array.isArray(held) ? held[0] : held) as Claim];
  }

  put(key: PrefixText, source: string, layer: number, revision: bigint, entry: IpcacheEntry): void {
    this.#touch(key);
    const claim: Claim = { ...entry, source, layer, revision };
    const held = this.#claims.get(key);
    if (!held || (!Array.isArray(held) && held.source === source)) {
      this.#claims.set(key, claim);
      return;
    }
    const others = (Array.isArray(held) ? held : [held]).filter((other) => other.source !== source);
    const place = others.findIndex((other) => before(claim, other));
    others.splice(place < 0 ? others.length : place, 0, claim);
    this.#claims.set(key, others);
  }

  withdraw(key: PrefixText, source: string): void {
    const held = this.#claims.get(key);
    if (!held) return;
    const rest = (Array.isArray(held) ? held : [held]).filter((claim) => claim.source !== source);
    if (rest.length === (Array.isArray(held) ? held.length : 1)) return;
    this.#touch(key);
    const [only] = rest;
    if (!only) this.#claims.delete(key);
    else this.#claims.set(key, rest.length === 1 ? only : rest);
  }

  #touch(key: PrefixText): void {
    if (!this.#dirty.has(key)) this.#dirty.set(key, this.get(key));
  }

  /** Keys that the kernel lacks: those that have room in its map, and those that have none. */
  #additions(): { readonly placed: readonly PrefixText[]; readonly waiting: readonly PrefixText[] } {
    const lacking: PrefixText[] = [];
    let held = this.#claims.size;
    for (const [key, old] of this.#dirty) {
      const claimed = this.#claims.has(key);
      if (claimed && !old) lacking.push(key);
      if (!claimed && old) held++;
    }
    held -= lacking.length;
    // What is taken away in the same change is written last: its room is there for the next one.
    const room = Math.max(0, this.#capacity - held);
    if (lacking.length <= room) return { placed: lacking, waiting: [] };
    const layer = (key: PrefixText): number => this.#claim(key)?.layer ?? 0;
    lacking.sort((a, b) => layer(b) - layer(a));
    return { placed: lacking.slice(0, room), waiting: lacking.slice(room) };
  }

  /** What `delta` leaves out, because the map is full. */
  unplaced(): Unplaced[] {
    return this.#additions().waiting.map((key) => {
      const { source, revision, identity } = this.#claim(key) as Claim;
      return { key, source, revision, identity };
    });
  }

  /** What to write, as far as it has room. Nothing is forgotten until `written`. */
  delta(): IpcacheDelta {
    const { placed } = this.#additions();
    const puts = placed.map((key): readonly [PrefixText, IpcacheEntry] => [key, this.#claim(key) as Claim]);
    const deletes: PrefixText[] = [];
    let rejudge = false;
    for (const [key, old] of this.#dirty) {
      if (!old) continue;
      const entry = this.get(key);
      if (sameEntry(entry, old)) continue;
      if (entry) puts.push([key, entry]);
      else deletes.push(key);
      if (old.identity !== entry?.identity || (old.host ?? 0) !== (entry?.host ?? 0)) rejudge = true;
    }
    return { puts, deletes, rejudge };
  }

  /** The kernel holds what `delta` said. What was touched since stays dirty. */
  written(delta: IpcacheDelta): void {
    const now = new Map<PrefixText, IpcacheEntry | undefined>(delta.puts);
    for (const key of delta.deletes) now.set(key, undefined);
    const dirty = new Map<PrefixText, IpcacheEntry | undefined>();
    for (const [key, old] of this.#dirty) {
      const written = now.has(key) ? now.get(key) : old;
      if (!sameEntry(this.get(key), written)) dirty.set(key, written);
    }
    this.#dirty = dirty;
  }

  /** What the kernel was last known to hold at the key. */
  #believed(key: PrefixText): IpcacheEntry | undefined {
    return this.#dirty.has(key) ? this.#dirty.get(key) : this.get(key);
  }

  /**
   * Corrects what is believed of the kernel by what it was found to hold; `delta` then writes the difference. Returns
   * how many entries were not as believed. Documents may come in meanwhile, but nobody may write to the map.
   */
  async compareWith(actual: ReadonlyMap<PrefixText, IpcacheEntry>): Promise<number> {
    let different = 0;
    const correct = (key: PrefixText, found: IpcacheEntry | undefined): void => {
      if (sameEntry(this.#believed(key), found)) return;
      this.#dirty.set(key, found);
      different++;
    };
    const breathe = breathing();
    for (const [key, found] of actual) {
      correct(key, found);
      const pause = breathe();
      if (pause) await pause;
    }
    for (const key of this.#claims.keys()) {
      if (!actual.has(key)) correct(key, undefined);
      const pause = breathe();
      if (pause) await pause;
    }
    return different;
  }
}
