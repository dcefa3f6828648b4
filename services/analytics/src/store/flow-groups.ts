// SPDX-License-Identifier: Apache-2.0
/**
 * Distinct groups of stored flows. Postgres adds up, partition after partition, so that millions of rows become
 * thousands before they leave it; what is read at once is bounded, and ends when nobody waits for it.
 */
import type pg from 'pg';
import type { Directory } from '../domain/directory.ts';
import { type FlowEnd, type FlowGroup, GroupBook, type GroupRow } from '../domain/flow-groups.ts';
import { cancellable } from './cancellable.ts';
import { ENDS, OUTSIDE_IPS, readSummed, WHAT } from './group-sums.ts';
import type { Partition, Partitions } from './partitions.ts';

export interface GroupsRequest {
  readonly sinceUs?: number;
  readonly untilUs?: number;
  readonly workloadAddresses: boolean;
}

export interface GroupsPart {
  readonly ends: readonly FlowEnd[];
  readonly groups: readonly FlowGroup[];
  readonly done: number;
  readonly flows: bigint;
}

export interface GroupsSummary {
  readonly sinceUs: number;
  readonly untilUs: number;
  readonly flows: bigint;
  readonly lost: bigint;
  readonly storedSinceUs: number | undefined;
}

/**
 * For the pool: whole partitions are read, by all that helps. The planner expects a million groups and would sort every row, which
 * takes 2.2 us each instead of 1.5 us by a table of the groups.
 */
export const GROUP_READER_SETTINGS = {
  jit: 'off',
  work_mem: '65536',
  hash_mem_multiplier: '4',
  enable_sort: 'off',
};

/** In one query: each is locked with its indexes, and the room for locks is shared by all who read. */
const PARTITIONS_MAX = 16;
/** Of whose sums one query reads: they are a tenth of the flows, and less. */
const SUMMED_MAX = 64;
/** Rows of one query, some 300 bytes each here. */
const ROWS_MAX = 200_000;
/** A window this short is read whole, whatever comes. */
const WINDOW_MIN_US = 1_000_000;
/** Groups kept together before they are sent; as many fit into 20 MB. */
const BOOK_MAX = 50_000;
const AHEAD_US = 3 * 3_600_000_000;
const at = (us: number): string => new Date(us / 1000).toISOString();

export interface FlowGroupsDeps {
  /** Made with GROUP_READER_SETTINGS. */
  readonly pool: pg.Pool;
  readonly flows: Partitions;
  readonly directory: Directory;
}

interface Window {
  readonly fromUs: number;
  readonly toUs: number;
  /** Partitions whose sums are read instead of their flows, and the era they lie in. */
  readonly summed?: { readonly partitions: readonly string[]; readonly era: number };
}

type Eras = ReturnType<Directory['labelChanges']>;

/** Columns of a group's two numbers, taken apart. */
const COLUMNS = `(ends >> 32)::int4 as source_identity, (ends & 4294967295)::int4 as destination_identity,
  host(source_ip) as source_ip, host(destination_ip) as destination_ip,
  (what >> 32)::int4 as port, (what >> 24 & 255)::int4 as protocol, (what >> 20 & 15)::int4 as verdict,
  (what >> 12 & 255)::int4 as drop_reason, (what >> 9 & 7)::int4 as seen, (what & 256) <> 0 as related,
  (what & 255)::int4 as icmp_type, era, flows::int8, packets::int8, bytes::int8,
  (extract(epoch from last) * 1000000)::int8 as last_us`;

export class FlowGroups {
  readonly #deps: FlowGroupsDeps;

  constructor(deps: FlowGroupsDeps) {
    this.#deps = deps;
  }

  /** Parts, the last one with done = 1; returns the summary. */
  async *read(request: GroupsRequest, signal: AbortSignal): AsyncGenerator<GroupsPart, GroupsSummary> {
    const { pool, flows, directory } = this.#deps;
    const [known, summed] = await cancellable(pool, signal, async (client) => [
      await flows.refresh(client),
      // Sums have no addresses of workloads.
      request.workloadAddresses ? new Set<string>() : await readSummed(client),
    ]);
    const storedSinceUs = known[0] === undefined ? undefined : known[0].fromMs * 1000;
    const nowUs = Date.now() * 1000;
    const sinceUs = Math.max(request.sinceUs ?? 0, storedSinceUs ?? 0);
    const untilUs = Math.max(sinceUs, Math.min(request.untilUs ?? nowUs, nowUs + AHEAD_US));
    const eras = directory.labelChanges(sinceUs / 1000, untilUs / 1000);
    const book = new GroupBook(directory, eras, untilUs / 1000);
    let total = 0n;
    yield { ends: [], groups: [], done: 0, flows: 0n };
    const windows = storedSinceUs === undefined ? [] : this.#windows({ fromUs: sinceUs, toUs: untilUs }, summed, eras);
    for (let window = windows.shift(); window !== undefined; window = windows.shift()) {
      const { fromUs, toUs } = window;
      const rows = window.summed
        ? await this.#summed(window.summed, eras, signal)
        : await this.#rows(window, request, eras, signal);
      if (rows === undefined) {
        const middleUs = Math.floor((fromUs + toUs) / 2);
        windows.unshift({ fromUs, toUs: middleUs }, { fromUs: middleUs, toUs });
        continue;
      }
      for (const row of rows) {
        book.add(row);
        total += row.flows;
      }
      const done = (toUs - sinceUs) / (untilUs - sinceUs);
      const taken = book.size >= BOOK_MAX ? book.take() : { ends: [], groups: [] };
      yield { ...taken, done, flows: total };
    }
    yield { ...book.take(), done: 1, flows: total };
    const { rows: losses } = await cancellable(pool, signal, (client) =>
      client.query<{ lost: bigint }>(
        `select coalesce(sum(lost), 0)::int8 as lost from losses
          where (from_time is null or from_time < $2) and (to_time is null or to_time >= $1)`,
        [at(sinceUs), at(untilUs)],
      ),
    );
    return { sinceUs, untilUs, flows: total, lost: losses[0]?.lost ?? 0n, storedSinceUs };
  }

  /** Some partitions each, of one kind. What was made since they were looked up is in the last one. */
  #windows(range: Window, summed: ReadonlySet<string>, { boundsMs }: Eras): Window[] {
    const touched = this.#deps.flows.known.filter(
      ({ fromMs, toMs }) => toMs * 1000 > range.fromUs && fromMs * 1000 < range.toUs,
    );
    const eraOf = ({ name, fromMs, toMs }: Partition): number | undefined => {
      const isWhole = fromMs * 1000 >= range.fromUs && toMs * 1000 <= range.toUs;
      if (!isWhole || !summed.has(name) || boundsMs.some((ms) => ms > fromMs && ms < toMs)) return undefined;
      return boundsMs.filter((ms) => ms <= fromMs).length;
    };
    const windows: Window[] = [];
    let names: string[] = [];
    let [fromUs, era] = [range.fromUs, undefined as number | undefined];
    const end = (toUs: number): void => {
      if (fromUs < toUs)
        windows.push({ fromUs, toUs, ...(era === undefined ? {} : { summed: { partitions: names, era } }) });
      [fromUs, names] = [toUs, []];
    };
    for (const partition of touched) {
      const next = eraOf(partition);
      const isFull = names.length >= (era === undefined ? PARTITIONS_MAX : SUMMED_MAX);
      if (next !== era || isFull) end(Math.max(fromUs, partition.fromMs * 1000));
      era = next;
      names.push(partition.name);
    }
    if (era !== undefined) {
      end((touched.at(-1)?.toMs ?? 0) * 1000);
      era = undefined;
    }
    end(range.toUs);
    return windows;
  }

  async #summed(
    { partitions, era }: NonNullable<Window['summed']>,
    { identities }: Eras,
    signal: AbortSignal,
  ): Promise<readonly GroupRow[]> {
    const changed = `(ends >> 32)::int4 = any($2::int4[]) or (ends & 4294967295)::int4 = any($2::int4[])`;
    const { rows } = await cancellable(this.#deps.pool, signal, (client) =>
      client.query<GroupRow>(
        `select ${COLUMNS}
           from (select ends, what, source_ip, destination_ip,
                        case when ${changed} then $3::int4 else 0 end as era,
                        sum(flows) as flows, sum(packets) as packets, sum(bytes) as bytes, max(last) as last
                   from flow_groups where partition = any($1) group by 1, 2, 3, 4) found`,
        [partitions, identities, era],
      ),
    );
    return rows;
  }

  /** Undefined: they are too many for one window. */
  async #rows(
    { fromUs, toUs }: Window,
    { workloadAddresses }: GroupsRequest,
    { identities, boundsMs }: Eras,
    signal: AbortSignal,
  ): Promise<readonly GroupRow[] | undefined> {
    const [sourceIp, destinationIp] = workloadAddresses ? ['source_ip', 'destination_ip'] : OUTSIDE_IPS;
    const changed = `(source_identity = any($3::int4[]) or destination_identity = any($3::int4[]))`;
    const [era, parameters] =
      identities.length === 0
        ? ['0', []]
        : [
            `case when ${changed} then width_bucket(time, $4::timestamptz[]) else 0 end`,
            [identities, boundsMs.map((ms) => at(ms * 1000))],
          ];
    const whole = toUs - fromUs <= WINDOW_MIN_US;
    const { rows } = await cancellable(this.#deps.pool, signal, (client) =>
      client.query<GroupRow>(
        `select ${COLUMNS}
           from (select ${ENDS} as ends, ${WHAT} as what,
                        ${sourceIp} as source_ip, ${destinationIp} as destination_ip, ${era} as era,
                        count(*) as flows, sum(packets) as packets, sum(bytes) as bytes, max(time) as last
                   from flows
                  where time >= $1 and time < $2
                  group by 1, 2, 3, 4, 5
                  ${whole ? '' : `limit ${ROWS_MAX + 1}`}) found`,
        [at(fromUs), at(toUs), ...parameters],
      ),
    );
    return whole || rows.length <= ROWS_MAX ? rows : undefined;
  }
}
