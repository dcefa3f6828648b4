// SPDX-License-Identifier: Apache-2.0
/**
 * Time partitions of a table. Their truth is Postgres' catalogue; what is kept here is only what was last seen of it.
 * A partition is made as a table of its own and then attached, because that locks nobody out, whereas
 * CREATE TABLE ... PARTITION OF stops every reader and writer of the parent.
 */
import type pg from 'pg';

export interface Partition {
  readonly name: string;
  /** Unix milliseconds, half open. */
  readonly fromMs: number;
  readonly toMs: number;
  /** An interrupted DETACH CONCURRENTLY. */
  readonly detaching: boolean;
  /** Names of its indexes that are whole. */
  readonly indexes: readonly string[];
}

type Queryable = Pick<pg.ClientBase, 'query'>;

/** Class of our advisory locks; the second key tells what is locked. */
export const LOCK_CLASS = 0x0a7a;
const LOCK_CREATE = 1;

export const readPartitions = async (client: Queryable, parent: string): Promise<Partition[]> => {
  const { rows } = await client.query<{ name: string; from: Date; to: Date; detaching: boolean; indexes: string[] }>(
    `select c.relname as name, bound[1]::timestamptz as from, bound[2]::timestamptz as to, i.inhdetachpending as detaching,
            array(select x.relname::text from pg_index n join pg_class x on x.oid = n.indexrelid
                   where n.indrelid = c.oid and n.indisvalid) as indexes
       from pg_inherits i
       join pg_class c on c.oid = i.inhrelid
       cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)') as bound
      where i.inhparent = $1::regclass
      order by 2`,
    [parent],
  );
  return rows.map(({ name, from, to, detaching, indexes }) => ({
    name,
    fromMs: from.getTime(),
    toMs: to.getTime(),
    detaching,
    indexes,
  }));
};

export const partitionName = (parent: string, fromMs: number): string =>
  `${parent}_${new Date(fromMs)
    .toISOString()
    .replaceAll(/[-:]|\..*/g, '')
    .replace('T', '_')}`;

/** The slot of `timeMs`, made smaller where partitions of another length are in its way; undefined: covered. */
export const freeSlot = (
  partitions: readonly Partition[],
  timeMs: number,
  lengthMs: number,
): { readonly fromMs: number; readonly toMs: number } | undefined => {
  let fromMs = Math.floor(timeMs / lengthMs) * lengthMs;
  let toMs = fromMs + lengthMs;
  for (const partition of partitions) {
    if (partition.fromMs <= timeMs && timeMs < partition.toMs) return undefined;
    if (partition.toMs <= timeMs) fromMs = Math.max(fromMs, partition.toMs);
    else toMs = Math.min(toMs, partition.fromMs);
  }
  return { fromMs, toMs };
};

export class Partitions {
  readonly parent: string;
  readonly lengthMs: number;
  readonly #pool: pg.Pool;
  readonly #fillfactor: number;
  #known: readonly Partition[] = [];
  /** Hit nearly always: flows come in order. */
  #last: Partition | undefined;
  readonly #touched = new Set<string>();
  #touchedBefore: readonly string[] = [];

  /** `fillfactor`: room left in each page for rows that are updated where they are. */
  constructor(pool: pg.Pool, parent: string, lengthMs: number, fillfactor = 100) {
    this.#pool = pool;
    this.parent = parent;
    this.lengthMs = lengthMs;
    this.#fillfactor = fillfactor;
  }

  get known(): readonly Partition[] {
    return this.#known;
  }

  /** The partition in which rows of that time go. */
  at(timeMs: number): Partition | undefined {
    const last = this.#last;
    if (last !== undefined && last.fromMs <= timeMs && timeMs < last.toMs) return last;
    this.#last = this.#known.find(({ fromMs, toMs }) => fromMs <= timeMs && timeMs < toMs);
    if (this.#last !== undefined) this.#touched.add(this.#last.name);
    return this.#last;
  }

  /** Names of partitions that rows were written to since the call before the last: theirs are committed by now. */
  takeTouched(): string[] {
    const names = [...new Set([...this.#touched, ...this.#touchedBefore])];
    this.#touchedBefore = [...this.#touched];
    this.#touched.clear();
    // Rows may go on coming without another look for their partition.
    this.#last = undefined;
    return names;
  }

  touch(name: string): void {
    this.#touched.add(name);
  }

  async refresh(client: Queryable = this.#pool): Promise<readonly Partition[]> {
    this.#known = (await readPartitions(client, this.parent)).filter(({ detaching }) => !detaching);
    this.#last = undefined;
    return this.#known;
  }

  /** Makes what is missing so that rows of these times have a place. Several replicas may do it at once. */
  async ensure(timesMs: readonly number[]): Promise<void> {
    if (timesMs.every((timeMs) => this.at(timeMs) !== undefined)) return;
    const client = await this.#pool.connect();
    let failed = true;
    try {
      await client.query('begin');
      await client.query('select pg_advisory_xact_lock($1, $2)', [LOCK_CLASS, LOCK_CREATE]);
      const partitions = [...(await readPartitions(client, this.parent))];
      for (const timeMs of timesMs) {
        const slot = freeSlot(partitions, timeMs, this.lengthMs);
        if (slot === undefined) continue;
        const name = await this.#create(client, slot.fromMs, slot.toMs);
        partitions.push({ name, ...slot, detaching: false, indexes: [] });
      }
      await client.query('commit');
      await this.refresh(client);
      failed = false;
    } finally {
      client.release(failed);
    }
  }

  async #create(client: Queryable, fromMs: number, toMs: number): Promise<string> {
    const name = partitionName(this.parent, fromMs);
    const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toISOString());
    // A table of that name that is not attached was left by a drop that did not get to its end.
    const { rowCount } = await client.query(`select 1 from pg_class where oid = to_regclass($1)`, [name]);
    if (rowCount !== 0) await client.query(`drop table ${name}`);
    await client.query(`create table ${name} (like ${this.parent} including defaults including storage)
      with (fillfactor = ${this.#fillfactor})`);
    await client.query(`alter table ${this.parent} attach partition ${name} for values from ('${from}') to ('${to}')`);
    return name;
  }
}
