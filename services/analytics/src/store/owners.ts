// SPDX-License-Identifier: Apache-2.0
/** Numbers for the processes that flows name, given at first sight; a row of flows has one number for all of it. */
import type pg from 'pg';
import { type FlowOwner, keyOfOwner } from '../domain/flow-owners.ts';

export interface HostOwners {
  readonly hostId: number;
  /** By ownerKey. */
  readonly owners: ReadonlyMap<string, FlowOwner>;
}

interface OwnerRow {
  readonly id: bigint;
  readonly exec_ns: bigint;
  readonly pid: number;
  readonly uid: bigint;
  readonly image: string;
  readonly unit: string;
  readonly unit_kind: string;
}

/** Remembered at once; what runs for long is met again and again. */
const KNOWN_MAX = 100_000;
/** Then its row is told that the process is still there: rows go with the flows that name them. */
const TELL_AGAIN_MS = 3_600_000;

export class Owners {
  readonly #pool: pg.Pool;
  readonly #ids = new Map<string, { readonly id: number; readonly toldMs: number }>();
  readonly #byId = new Map<number, FlowOwner>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** `<host>:<ownerKey>` -> number, of all of these. */
  async idsOf(hosts: readonly HostOwners[]): Promise<ReadonlyMap<string, number>> {
    const nowMs = Date.now();
    const found = new Map<string, number>();
    const unknown = new Map<string, { readonly hostId: number; readonly owner: FlowOwner }>();
    for (const { hostId, owners } of hosts) {
      for (const [key, owner] of owners) {
        const name = `${hostId}:${key}`;
        const known = this.#ids.get(name);
        if (known && nowMs - known.toldMs < TELL_AGAIN_MS) found.set(name, known.id);
        else unknown.set(name, { hostId, owner });
      }
    }
    if (unknown.size === 0) return found;
    // In one order, so that two replicas do not wait for each other.
    const rows = [...unknown].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
    const { rows: made } = await this.#pool.query<OwnerRow & { readonly host_id: number }>(
      `insert into flow_owners as o (host_id, exec_ns, pid, uid, image, unit, unit_kind)
         select * from unnest($1::int4[], $2::int8[], $3::int4[], $4::int8[], $5::text[], $6::text[], $7::text[])
       on conflict (host_id, exec_ns, pid, uid) do update set seen_at = now(),
         image = case when excluded.image = '' then o.image else excluded.image end,
         unit = case when excluded.unit = '' then o.unit else excluded.unit end,
         unit_kind = case when excluded.unit = '' then o.unit_kind else excluded.unit_kind end
       returning id, host_id, exec_ns, pid, uid`,
      [
        rows.map(({ hostId }) => hostId),
        rows.map(({ owner }) => owner.execNs),
        rows.map(({ owner }) => owner.pid),
        rows.map(({ owner }) => owner.uid),
        rows.map(({ owner }) => owner.binary),
        rows.map(({ owner }) => owner.unit),
        rows.map(({ owner }) => owner.unitKind),
      ],
    );
    for (const { id, host_id, exec_ns, pid, uid } of made) {
      const name = `${host_id}:${keyOfOwner({ execNs: BigInt(exec_ns), pid, uid: Number(uid) })}`;
      this.#ids.delete(name);
      this.#ids.set(name, { id: Number(id), toldMs: nowMs });
      found.set(name, Number(id));
    }
    for (const [oldest] of this.#ids) {
      if (this.#ids.size <= KNOWN_MAX) break;
      this.#ids.delete(oldest);
    }
    return found;
  }

  /** Of flows that are shown. */
  async byIds(ids: Iterable<number>): Promise<ReadonlyMap<number, FlowOwner>> {
    const unknown = [...new Set(ids)].filter((id) => id !== 0 && !this.#byId.has(id));
    if (unknown.length > 0) {
      if (this.#byId.size > KNOWN_MAX) this.#byId.clear();
      const { rows } = await this.#pool.query<OwnerRow>(
        'select id, exec_ns, pid, uid, image, unit, unit_kind from flow_owners where id = any($1)',
        [unknown],
      );
      for (const { id, exec_ns, pid, uid, image, unit, unit_kind } of rows)
        this.#byId.set(Number(id), {
          ...{ execNs: BigInt(exec_ns), pid, uid: Number(uid) },
          ...{ binary: image, unit, unitKind: unit_kind },
        });
    }
    return this.#byId;
  }
}

/** Those that no flow that is kept can name. */
export const pruneOwners = async (client: Pick<pg.ClientBase, 'query'>, keptMs: number): Promise<void> => {
  await client.query(
    `delete from flow_owners where seen_at < now() - $1 * interval '1 millisecond' - interval '2 days'`,
    [keptMs],
  );
};
