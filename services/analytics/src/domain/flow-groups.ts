// SPDX-License-Identifier: Apache-2.0
/**
 * Flows of connections that are alike, as whoever judges them again needs them: ends by what their identities meant then,
 * what the client wanted of the server, what became of it, and sums. Rows of the store are of packets, one way or the
 * other; here client and server are those of the connection, as in the edges.
 */
import { DETAIL, isIcmp } from './detail.ts';
import type { Directory } from './directory.ts';
import { FIRST_LOCAL, isWorkload, WORLD } from './identities.ts';

export interface GroupRow {
  readonly source_identity: number;
  readonly destination_identity: number;
  readonly source_ip: string | null;
  readonly destination_ip: string | null;
  readonly protocol: number;
  /** Of the server. */
  readonly port: number;
  /** The upper bits of flows.detail: direction, and 4 for a reply. */
  readonly seen: number;
  readonly icmp_type: number;
  readonly verdict: number;
  readonly drop_reason: number;
  readonly related: boolean;
  readonly era: number;
  readonly flows: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly last_us: bigint;
}

export interface FlowEnd {
  readonly number: number;
  readonly identity: number;
  readonly labels: readonly string[];
  readonly workloads: readonly string[];
  readonly workloadCount: number;
}

export interface FlowGroup {
  readonly client: number;
  readonly server: number;
  readonly clientIp: string;
  readonly serverIp: string;
  readonly protocol: number;
  readonly port: number;
  readonly icmpType: number;
  readonly direction: number;
  readonly verdict: number;
  readonly dropReason: number;
  readonly related: boolean;
  flows: bigint;
  packets: bigint;
  bytes: bigint;
  lastUs: bigint;
}

const WORKLOADS_SHOWN = 10;
const REMOTE_NODE_SCOPE = 0x02;
const REMOTE_NODE = 6;
const REPLY = 4;
/** Types of answers, and of what they answer (IANA, ICMP and ICMPv6 parameters). */
const ASKED: ReadonlyMap<number, number> = new Map([
  [0, 8],
  [14, 13],
  [16, 15],
  [18, 17],
  [129, 128],
]);

/** Identities of prefixes are one host's own: what they mean to others is the world. */
const globalIdentity = (identity: number): number => {
  if (identity < FIRST_LOCAL) return identity;
  return identity >>> 24 === REMOTE_NODE_SCOPE ? REMOTE_NODE : WORLD;
};

/** Adds up rows. Ends get numbers in the order in which they appear, the same ones as long as this lives. */
export class GroupBook {
  readonly #directory: Directory;
  readonly #boundsMs: readonly number[];
  readonly #changing: ReadonlySet<number>;
  readonly #endMs: number;
  readonly #numbers = new Map<string, number>();
  #newEnds: FlowEnd[] = [];
  readonly #groups = new Map<string, FlowGroup>();
  readonly #workloads = new Map<number, ReturnType<Directory['workloadsByIdentity']>>();

  /** `eras`: where an era ends and the next one begins, for the identities that change. */
  constructor(directory: Directory, eras: ReturnType<Directory['labelChanges']>, endMs: number) {
    this.#directory = directory;
    this.#boundsMs = eras.boundsMs;
    this.#changing = new Set(eras.identities);
    this.#endMs = endMs;
  }

  get size(): number {
    return this.#groups.size;
  }

  #end(given: number, eraOfRow: number): number {
    const identity = globalIdentity(given);
    const era = this.#changing.has(identity) ? eraOfRow : this.#boundsMs.length;
    const key = `${identity}:${era}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#numbers.size + 1;
    this.#numbers.set(key, number);
    // The last moment of the era.
    const atMs = (this.#boundsMs[era] ?? this.#endMs + 1) - 1;
    const labels = this.#directory.labels(identity, atMs);
    const owners = isWorkload(identity) ? (this.#workloadsAt(atMs).get(identity) ?? []) : [];
    const workloads = [...new Set(owners.map(({ namespace, name }) => `${namespace}/${name}`))].sort();
    this.#newEnds.push({
      number,
      identity,
      labels,
      workloads: workloads.slice(0, WORKLOADS_SHOWN),
      workloadCount: workloads.length,
    });
    return number;
  }

  #workloadsAt(atMs: number): ReturnType<Directory['workloadsByIdentity']> {
    let known = this.#workloads.get(atMs);
    if (known === undefined) {
      known = this.#directory.workloadsByIdentity(atMs);
      this.#workloads.set(atMs, known);
    }
    return known;
  }

  add(row: GroupRow): void {
    const isReply = (row.seen & REPLY) !== 0;
    const source = { end: this.#end(row.source_identity, row.era), ip: row.source_ip ?? '' };
    const destination = { end: this.#end(row.destination_identity, row.era), ip: row.destination_ip ?? '' };
    const [client, server] = isReply ? [destination, source] : [source, destination];
    const direction = row.seen & DETAIL.direction.mask;
    const type = isIcmp(row.protocol) ? row.icmp_type : 0;
    const icmpType = isReply && isIcmp(row.protocol) ? (ASKED.get(type) ?? type) : type;
    const port = isIcmp(row.protocol) ? 0 : row.port;
    const key = `${client.end} ${client.ip} ${server.end} ${server.ip} ${row.protocol} ${port} ${icmpType} ${direction} ${row.verdict} ${row.drop_reason} ${row.related}`;
    const known = this.#groups.get(key);
    if (known === undefined) {
      this.#groups.set(key, {
        client: client.end,
        server: server.end,
        clientIp: client.ip,
        serverIp: server.ip,
        protocol: row.protocol,
        port,
        icmpType,
        direction,
        verdict: row.verdict,
        dropReason: row.drop_reason,
        related: row.related,
        flows: row.flows,
        packets: row.packets,
        bytes: row.bytes,
        lastUs: row.last_us,
      });
      return;
    }
    known.flows += row.flows;
    known.packets += row.packets;
    known.bytes += row.bytes;
    if (row.last_us > known.lastUs) known.lastUs = row.last_us;
  }

  /** What was added since the last call. */
  take(): { readonly ends: readonly FlowEnd[]; readonly groups: readonly FlowGroup[] } {
    const taken = { ends: this.#newEnds, groups: [...this.#groups.values()] };
    this.#newEnds = [];
    this.#groups.clear();
    return taken;
  }
}
