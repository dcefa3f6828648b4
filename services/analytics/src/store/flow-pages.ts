// SPDX-License-Identifier: Apache-2.0
/**
 * Pages of stored flows, newest first (or oldest first, to resume a stream), by keyset: what arrives meanwhile shifts
 * nothing. The reader walks through time in windows that grow while they are cheap: recent flows are found without an
 * index, partitions that are not needed are never opened, and however rare the flows asked for are, a request ends in
 * time, with the place where it stopped as its cursor.
 */
import { type Kysely, sql } from 'kysely';
import type { Condition } from '../domain/conditions.ts';
import type { StoredFlow } from '../domain/flow-view.ts';
import { flowWhere } from './flow-where.ts';
import type { Hosts } from './hosts.ts';
import type { Partitions } from './partitions.ts';

/** Sort key of a flow. Flows are strictly ordered by it. */
export interface FlowKey {
  readonly timeUs: number;
  readonly hostId: number;
  readonly boot: number;
  readonly seq: number;
}

export interface PageRequest {
  readonly conditions: readonly Condition[];
  readonly sinceUs?: number;
  readonly untilUs?: number;
  readonly limit: number;
  /** Goes on behind this one (in the order asked for). */
  readonly after?: FlowKey;
  readonly order?: 'newest' | 'oldest';
}

export interface FlowPage {
  readonly flows: readonly (StoredFlow & { readonly key: FlowKey })[];
  /** Where the next page begins; undefined: there is nothing more. */
  readonly next?: FlowKey;
}

/** A thousand flows of a busy fleet. */
const FIRST_WINDOW_US = 10_000;
const GROWTH = 4;
/** A window that took longer is not made larger. */
const CHEAP_MS = 150;
/** Then the page ends, full or not. */
const BUDGET_MS = 2_000;
/** Clocks of hosts may be ahead; the store keeps flows up to two hours from now. */
const AHEAD_US = 3 * 3_600_000_000;

interface Row {
  readonly time_us: bigint;
  readonly boot: bigint;
  readonly seq: bigint;
  readonly connection_ns: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly host_id: number;
  readonly source_identity: number;
  readonly destination_identity: number;
  readonly rule_id: number;
  readonly workload_id: number;
  readonly source_port: number;
  readonly destination_port: number;
  readonly detail: number;
  readonly protocol: number;
  readonly verdict: number;
  readonly drop_reason: number;
  readonly source_ip: string;
  readonly destination_ip: string;
}

const COLUMNS = sql`(extract(epoch from time) * 1000000)::int8 as time_us, boot, seq, connection_ns, packets, bytes,
  host_id, source_identity, destination_identity, rule_id, workload_id, source_port, destination_port, detail,
  protocol, verdict, drop_reason, host(source_ip) as source_ip, host(destination_ip) as destination_ip`;

/** Exact: timestamptz + interval of whole microseconds; a double of seconds would not be. */
const at = (us: number) => sql`(timestamptz 'epoch' + ${us}::int8 * interval '1 microsecond')`;

export interface FlowReaderDeps {
  // biome-ignore lint/suspicious/noExplicitAny: the queries are written out
  readonly kysely: Kysely<any>;
  readonly hosts: Hosts;
  readonly flows: Partitions;
}

export class FlowPages {
  readonly #deps: FlowReaderDeps;

  constructor(deps: FlowReaderDeps) {
    this.#deps = deps;
  }

  async page(request: PageRequest): Promise<FlowPage> {
    const newest = request.order !== 'oldest';
    const { after, limit } = request;
    const known = await this.#bounds();
    if (known === undefined) return { flows: [] };
    const nowUs = Date.now() * 1000;
    const lowUs = Math.max(request.sinceUs ?? 0, known.fromUs, newest ? 0 : (after?.timeUs ?? 0));
    // Rows at the very time of the key are before or behind it by host and sequence: they stay in.
    const highUs = Math.min(
      request.untilUs ?? nowUs + AHEAD_US,
      known.toUs,
      newest && after ? after.timeUs + 1 : Number.MAX_SAFE_INTEGER,
    );
    const names = request.conditions.flatMap((condition) => (condition.kind === 'host' ? condition.names : []));
    const where = flowWhere(request.conditions, await this.#deps.hosts.known(names));
    const startedAt = performance.now();
    const rows: Row[] = [];
    let windowUs = FIRST_WINDOW_US;
    let edgeUs = !newest ? lowUs : after ? highUs : await this.#newestBefore(lowUs, highUs);
    while (rows.length <= limit && (newest ? edgeUs > lowUs : edgeUs < highUs)) {
      const fromUs = newest ? Math.max(lowUs, edgeUs - windowUs) : edgeUs;
      const toUs = newest ? edgeUs : Math.min(highUs, edgeUs + windowUs);
      const windowAt = performance.now();
      rows.push(...(await this.#read(where, fromUs, toUs, after, newest, limit + 1 - rows.length)));
      edgeUs = newest ? fromUs : toUs;
      if (performance.now() - windowAt < CHEAP_MS) windowUs *= GROWTH;
      if (performance.now() - startedAt > BUDGET_MS) break;
    }
    return this.#answer(rows, limit, newest ? edgeUs > lowUs : edgeUs < highUs, edgeUs);
  }

  /** Nothing older is stored; undefined: nothing is. */
  async keptFromUs(): Promise<number | undefined> {
    return (await this.#bounds())?.fromUs;
  }

  /** Upper bound of the newest flow there; `lowUs` when there is none. */
  async #newestBefore(lowUs: number, highUs: number): Promise<number> {
    const { rows } = await sql<{ us: bigint | null }>`
      select (extract(epoch from newest_flow(${at(lowUs)}, ${at(highUs)})) * 1000000)::int8 as us`.execute(
      this.#deps.kysely,
    );
    return Number(rows[0]?.us ?? lowUs);
  }

  async #bounds(): Promise<{ fromUs: number; toUs: number } | undefined> {
    const { flows } = this.#deps;
    const known = flows.known.length > 0 ? flows.known : await flows.refresh();
    const [first, last] = [known[0], known.at(-1)];
    // Another replica may have made newer partitions than we have seen; older ones only appear when time is turned back.
    return first && last
      ? { fromUs: first.fromMs * 1000, toUs: Math.max(last.toMs * 1000, Date.now() * 1000 + AHEAD_US) }
      : undefined;
  }

  async #read(
    where: ReturnType<typeof flowWhere>,
    fromUs: number,
    toUs: number,
    after: FlowKey | undefined,
    newest: boolean,
    limit: number,
  ): Promise<readonly Row[]> {
    const behind = after
      ? sql` and (time, host_id, boot, seq) ${newest ? sql`<` : sql`>`} (${at(after.timeUs)}, ${after.hostId}, ${after.boot}::int8, ${after.seq}::int8)`
      : sql``;
    const order = newest ? sql`time desc, host_id desc, boot desc, seq desc` : sql`time, host_id, boot, seq`;
    const query = sql<Row>`select ${COLUMNS} from flows
      where time >= ${at(fromUs)} and time < ${at(toUs)} and ${where}${behind}
      order by ${order} limit ${sql.lit(limit)}`;
    return (await query.execute(this.#deps.kysely)).rows;
  }

  async #answer(rows: readonly Row[], limit: number, unfinished: boolean, edgeUs: number): Promise<FlowPage> {
    const shown = rows.slice(0, limit);
    const names = await this.#deps.hosts.namesOf(shown.map(({ host_id }) => host_id));
    const flows = shown.map((row) => {
      const key = { timeUs: Number(row.time_us), hostId: row.host_id, boot: Number(row.boot), seq: Number(row.seq) };
      return {
        key,
        timeUs: key.timeUs,
        host: names.get(row.host_id) as string,
        boot: key.boot,
        seq: key.seq,
        connectionNs: row.connection_ns,
        packets: row.packets,
        bytes: row.bytes,
        sourceIdentity: row.source_identity,
        destinationIdentity: row.destination_identity,
        ruleId: row.rule_id,
        workloadId: row.workload_id,
        sourcePort: row.source_port,
        destinationPort: row.destination_port,
        detail: row.detail,
        protocol: row.protocol,
        verdict: row.verdict,
        dropReason: row.drop_reason,
        sourceIp: row.source_ip,
        destinationIp: row.destination_ip,
      };
    });
    if (rows.length > limit) return { flows, next: flows.at(-1)?.key };
    // Nothing at or behind the edge was looked at: host 0 sorts before all.
    return unfinished ? { flows, next: { timeUs: edgeUs, hostId: 0, boot: 0, seq: 0 } } : { flows };
  }
}
