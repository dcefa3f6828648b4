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
import { unpackPending } from '../domain/pending.ts';
import { isIndexed, served } from './closed-indexes.ts';
import { flowWhere, negated, ownedByAny } from './flow-where.ts';
import type { Hosts } from './hosts.ts';
import type { Owners } from './owners.ts';
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
/** In one query: each is locked with its indexes, and the room for locks is shared by all who read. */
const PARTITIONS_MAX = 32;
/** More are looked up while flows are read. */
const OWNERS_MAX = 100;
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
  readonly frontend: number;
  readonly pending: number;
  readonly source_xlated: string | null;
  readonly owner: bigint;
}

const COLUMNS = sql`(extract(epoch from time) * 1000000)::int8 as time_us, boot, seq, connection_ns, packets, bytes,
  host_id, source_identity, destination_identity, rule_id, workload_id, source_port, destination_port, detail,
  protocol, verdict, drop_reason, host(source_ip) as source_ip, host(destination_ip) as destination_ip,
  frontend, pending, host(source_xlated) as source_xlated, owner`;

/**
 * As text, which has whole microseconds; a double of seconds would not. A plain parameter and no expression, so that the
 * planner knows it and looks at the partitions of the window only.
 */
const at = (us: number) => {
  const ms = Math.floor(us / 1000);
  const text = new Date(ms).toISOString().replace('Z', `${String(us - ms * 1000).padStart(3, '0')}Z`);
  return sql`${text}::timestamptz`;
};

type Where = ReturnType<typeof flowWhere>;

/** The filter as parts that do not overlap, each with an index of its own; undefined: there are none. */
const indexedBranches = (conditions: readonly Condition[], hostIds: readonly number[]): Where[] | undefined => {
  // All flows: by time alone.
  if (conditions.length === 0) return [flowWhere(conditions, hostIds)];
  const found = served(conditions);
  return found?.alternatives.map(({ condition, not }) => {
    const where = flowWhere(conditions.with(found.index, condition), hostIds);
    return not === undefined ? where : sql`${where} and ${negated(flowWhere([not], hostIds))}`;
  });
};

export interface FlowReaderDeps {
  // biome-ignore lint/suspicious/noExplicitAny: the queries are written out
  readonly kysely: Kysely<any>;
  readonly hosts: Hosts;
  readonly owners: Owners;
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
    const hostIds = await this.#deps.hosts.known(names);
    const conditions = await this.#withNumbers(request.conditions);
    const plain = [flowWhere(conditions, hostIds)];
    const byIndex = indexedBranches(conditions, hostIds);
    const startedAt = performance.now();
    const rows: Row[] = [];
    let windowUs = FIRST_WINDOW_US;
    let edgeUs = !newest ? lowUs : after ? highUs : await this.#newestBefore(lowUs, highUs);
    while (rows.length <= limit && (newest ? edgeUs > lowUs : edgeUs < highUs)) {
      const stretch = this.#stretch(edgeUs, newest);
      // By index a window costs what it finds, not what it spans.
      const wholeUs = this.#deps.flows.lengthMs * 1000;
      if (stretch.indexed && byIndex) windowUs = Math.max(windowUs, wholeUs);
      const fromUs = newest ? Math.max(lowUs, edgeUs - windowUs, stretch.fromUs) : edgeUs;
      const toUs = newest ? edgeUs : Math.min(highUs, edgeUs + windowUs, stretch.toUs);
      const windowAt = performance.now();
      const branches = (stretch.indexed ? byIndex : undefined) ?? plain;
      rows.push(...(await this.#read(branches, fromUs, toUs, after, newest, limit + 1 - rows.length)));
      edgeUs = newest ? fromUs : toUs;
      if (performance.now() - windowAt < CHEAP_MS) windowUs *= GROWTH;
      if (performance.now() - startedAt > BUDGET_MS) break;
    }
    return this.#answer(rows, limit, newest ? edgeUs > lowUs : edgeUs < highUs, edgeUs);
  }

  /** A few processes are asked for by their numbers, for which there is an index. */
  async #withNumbers(conditions: readonly Condition[]): Promise<Condition[]> {
    const found: Condition[] = [];
    for (const condition of conditions) {
      if (condition.kind !== 'owner') {
        found.push(condition);
        continue;
      }
      const query = sql<{ id: bigint }>`
        select id from flow_owners where ${ownedByAny(condition.of)} limit ${sql.lit(OWNERS_MAX + 1)}`;
      const { rows } = await query.execute(this.#deps.kysely);
      const values = rows.map(({ id }) => Number(id));
      found.push(values.length > OWNERS_MAX ? condition : { kind: 'owned', values });
    }
    return found;
  }

  /** Nothing older is stored; undefined: nothing is. */
  async keptFromUs(): Promise<number | undefined> {
    return (await this.#bounds())?.fromUs;
  }

  /** Upper bound of the newest flow there that stands in no index; where those begin that do when there is none. */
  async #newestBefore(lowUs: number, highUs: number): Promise<number> {
    const indexed = this.#deps.flows.known.filter(isIndexed).at(-1);
    const fromUs = Math.max(lowUs, (indexed?.toMs ?? 0) * 1000);
    if (fromUs >= highUs) return highUs;
    const { rows } = await sql<{ us: bigint | null }>`
      select (extract(epoch from newest_flow(${at(fromUs)}, ${at(highUs)})) * 1000000)::int8 as us`.execute(
      this.#deps.kysely,
    );
    return Number(rows[0]?.us ?? fromUs);
  }

  /** How far one window may reach: over partitions that all have indexes or all have none, and not too many. */
  #stretch(edgeUs: number, newest: boolean): { indexed: boolean; fromUs: number; toUs: number } {
    const { known } = this.#deps.flows;
    const edgeMs = edgeUs / 1000;
    const first = newest
      ? known.findLastIndex(({ fromMs }) => fromMs < edgeMs)
      : known.findIndex(({ toMs }) => toMs > edgeMs);
    const here = known[first];
    if (here === undefined) return { indexed: false, fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };
    const indexed = isIndexed(here);
    const step = newest ? -1 : 1;
    let end = here;
    for (let count = 1; count < PARTITIONS_MAX; count += 1) {
      const next = known[first + step * count];
      if (next === undefined || isIndexed(next) !== indexed) break;
      end = next;
    }
    return newest
      ? { indexed, fromUs: end.fromMs * 1000, toUs: edgeUs }
      : { indexed, fromUs: edgeUs, toUs: end.toMs * 1000 };
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
    branches: readonly Where[],
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
    const [only, ...more] = branches.map(
      (where) => sql`(select * from flows
        where time >= ${at(fromUs)} and time < ${at(toUs)} and ${where}${behind}
        order by ${order} limit ${sql.lit(limit)})`,
    );
    const all = more.length === 0 ? only : sql.join([only, ...more], sql` union all `);
    const query = sql<Row>`select ${COLUMNS} from (${all}) found order by ${order} limit ${sql.lit(limit)}`;
    return (await query.execute(this.#deps.kysely)).rows;
  }

  async #answer(rows: readonly Row[], limit: number, unfinished: boolean, edgeUs: number): Promise<FlowPage> {
    const shown = rows.slice(0, limit);
    const names = await this.#deps.hosts.namesOf(shown.map(({ host_id }) => host_id));
    const owners = await this.#deps.owners.byIds(shown.map(({ owner }) => Number(owner)));
    const flows = shown.map((row) => {
      const owner = owners.get(Number(row.owner));
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
        frontend: row.frontend,
        sourceXlated: row.source_xlated,
        ...unpackPending(row.pending),
        ...(owner ? { owner } : {}),
      };
    });
    if (rows.length > limit) return { flows, next: flows.at(-1)?.key };
    // Nothing at or behind the edge was looked at: host 0 sorts before all.
    return unfinished ? { flows, next: { timeUs: edgeUs, hostId: 0, boot: 0, seq: 0 } } : { flows };
  }
}
