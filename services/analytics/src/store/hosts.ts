// SPDX-License-Identifier: Apache-2.0
/** Numbers for host names, given at first sight. They never change, so they are remembered for good. */
import type pg from 'pg';
import type { KindTables } from './kinds.ts';

export class Hosts {
  readonly #pool: pg.Pool;
  readonly #idOf = new Map<string, number>();
  readonly #nameOf = new Map<number, string>();
  readonly #agents = new Set<string>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  #remember(rows: readonly { readonly id: number; readonly name: string }[]): void {
    for (const { id, name } of rows) {
      this.#idOf.set(name, id);
      this.#nameOf.set(id, name);
    }
  }

  /** Number of a host, which is made when it is new. */
  async idsOf(names: Iterable<string>): Promise<ReadonlyMap<string, number>> {
    const unknown = [...new Set(names)].filter((name) => !this.#idOf.has(name));
    if (unknown.length > 0) {
      await this.#pool.query('insert into hosts (name) select unnest($1::text[]) on conflict do nothing', [unknown]);
      this.#remember((await this.#pool.query('select id, name from hosts where name = any($1)', [unknown])).rows);
    }
    return this.#idOf;
  }

  /** Numbers of those that were ever heard. */
  async known(names: readonly string[]): Promise<number[]> {
    const unknown = names.filter((name) => !this.#idOf.has(name));
    if (unknown.length > 0) {
      this.#remember((await this.#pool.query('select id, name from hosts where name = any($1)', [unknown])).rows);
    }
    return names.flatMap((name) => this.#idOf.get(name) ?? []);
  }

  async namesOf(ids: Iterable<number>): Promise<ReadonlyMap<number, string>> {
    const unknown = [...new Set(ids)].filter((id) => !this.#nameOf.has(id));
    if (unknown.length > 0) {
      this.#remember((await this.#pool.query('select id, name from hosts where id = any($1)', [unknown])).rows);
    }
    return this.#nameOf;
  }

  /** Makes sure that the runs of agents have their rows, which the ledger refers to. */
  async ensureAgents(
    { kind, agents }: KindTables,
    runs: readonly { readonly hostId: number; readonly boot: number }[],
  ): Promise<void> {
    const unknown = runs.filter(({ hostId, boot }) => !this.#agents.has(`${kind}:${hostId}:${boot}`));
    if (unknown.length === 0) return;
    await this.#pool.query(
      `insert into ${agents} (host_id, boot) select * from unnest($1::int4[], $2::int8[]) on conflict do nothing`,
      [unknown.map(({ hostId }) => hostId), unknown.map(({ boot }) => boot)],
    );
    for (const { hostId, boot } of unknown) this.#agents.add(`${kind}:${hostId}:${boot}`);
  }

  /** After old runs were removed. */
  forgetAgents(): void {
    this.#agents.clear();
  }
}
