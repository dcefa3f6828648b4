// SPDX-License-Identifier: Apache-2.0
/**
 * Verdicts of hosts about backends, who asks whom, and slow starts. Each is one transaction a batch of services: their rows
 * are locked as everywhere, so a verdict and a change by somebody else come one after the other.
 */
import { type Database, withTransaction } from '@weir/db';
import { sql } from 'kysely';
import { afterVerdict, askedBy, ramped, type Told } from '../domain/backend-health.ts';
import { ABLE, hashOf, wantedProber } from '../domain/probers.ts';
import {
  type BackendRow,
  endpointKey,
  lockServices,
  saveStandings,
  type WholeService,
  withParts,
} from '../store/services.ts';
import type { Tables } from '../store/tables.ts';
import { enqueueWith, momentOf } from './service-backends.ts';

/** Services written in one transaction. */
const AT_ONCE = 200;

export interface ToldVerdict extends Told {
  readonly host: string;
  /** Numbers. */
  readonly service: number;
  readonly backend: number;
}

type Change = (backend: BackendRow, whole: WholeService) => BackendRow;

/** What agents would do with the two is the same. */
const looksSame = (a: BackendRow, b: BackendRow): boolean =>
  a.state === b.state && a.weight === b.weight && a.share === b.share && a.prober === b.prober;

/** How many services have another document now. */
const changeBackends = (db: Database<Tables>, ids: readonly string[], change: Change): Promise<number> =>
  withTransaction(db, async (trx) => {
    const changed: string[] = [];
    const rows = await lockServices(trx, ids);
    for (const whole of await withParts(trx, rows)) {
      const pairs = whole.backends.map((before) => ({ before, after: change(before, whole) }));
      await saveStandings(
        trx,
        pairs.filter(({ before, after }) => before !== after).map(({ after }) => after),
      );
      if (pairs.some(({ before, after }) => !looksSame(before, after))) changed.push(whole.row.id);
    }
    const written = await withParts(
      trx,
      rows.filter(({ id }) => changed.includes(id)),
    );
    await enqueueWith(trx, [], written);
    return written.length;
  });

const inBatches = async (db: Database<Tables>, ids: readonly string[], change: Change): Promise<number> => {
  let changed = 0;
  for (let at = 0; at < ids.length; at += AT_ONCE)
    changed += await changeBackends(db, ids.slice(at, at + AT_ONCE), change);
  return changed;
};

const keyOf = (host: string, service: number | bigint, backend: number | bigint): string =>
  `${host} ${service} ${backend}`;

/** Of a host that does not ask the backend (any more) nothing is believed. How many services changed by it. */
export const applyVerdicts = async (db: Database<Tables>, verdicts: readonly ToldVerdict[]): Promise<number> => {
  if (verdicts.length === 0) return 0;
  const { rows } = await sql<{ id: string }>`
    select distinct s.id
    from unnest(${verdicts.map(({ host }) => host)}::text[], ${verdicts.map(({ service }) => service)}::bigint[],
      ${verdicts.map(({ backend }) => backend)}::bigint[], ${verdicts.map(({ boot }) => boot.toString())}::bigint[],
      ${verdicts.map(({ sequence }) => sequence.toString())}::bigint[]) as v (host, service, backend, boot, sequence)
    join services s on s.number = v.service
    join service_backends b on b.number = v.backend and b.service_id = s.id
    where b.prober = v.host and (v.boot, v.sequence) > (b.verdict_boot, b.verdict_sequence)
    order by s.id`.execute(db.kysely);
  const told = new Map(verdicts.map((one) => [keyOf(one.host, one.service, one.backend), one]));
  return inBatches(
    db,
    rows.map(({ id }) => id),
    (backend, { row }) => {
      const verdict = told.get(keyOf(backend.prober ?? '', row.number, backend.number));
      return verdict ? afterVerdict(backend, verdict, momentOf(row.spec)) : backend;
    },
  );
};

/**
 * Backends whose prober is silent, gone or not able get another one, and those whose own host is back get it again. A silent
 * prober keeps them unless `takeOver`: after an outage of the control plane everybody seems silent for a while. How many
 * services changed.
 */
export const assignProbers = async (db: Database<Tables>, { takeOver }: { takeOver: boolean }): Promise<number> => {
  const able = sql`features @> array[${ABLE}]`;
  const { rows } = await sql<{ service_id: string }>`
    select service_id from (
      select b.service_id from service_backends b join host_status p on p.host_id = b.prober
        where (p.stale and ${takeOver}) or not p.${able}
      union select b.service_id from service_backends b join host_status h on h.host_id = b.host_id
        where b.prober <> b.host_id and not h.stale and h.${able}
      union select service_id from service_backends where prober = '') as found
    where exists (select 1 from host_status where not stale and ${able})
    order by service_id limit ${AT_ONCE}`.execute(db.kysely);
  if (rows.length === 0) return 0;
  const { rows: hosts } = await sql<{ host_id: string; stale: boolean }>`
    select host_id, stale from host_status where ${able} order by host_id`.execute(db.kysely);
  const alive = hosts.filter(({ stale }) => !stale).map(({ host_id }) => host_id);
  const crew = {
    alive,
    isAlive: new Set(alive),
    mayStay: new Set(takeOver ? alive : hosts.map(({ host_id }) => host_id)),
  };
  return inBatches(
    db,
    rows.map(({ service_id }) => service_id),
    (backend) => {
      if (backend.prober === null) return backend;
      return askedBy(backend, wantedProber(backend, hashOf(endpointKey(backend)), crew));
    },
  );
};

/** Backends that start slowly get more of their weight. How many services changed. */
export const rampUp = async (db: Database<Tables>): Promise<number> => {
  const { rows } = await sql<{ service_id: string }>`
    select distinct service_id from service_backends where slow_since is not null order by service_id`.execute(
    db.kysely,
  );
  return inBatches(
    db,
    rows.map(({ service_id }) => service_id),
    (backend, { row }) => ramped(backend, momentOf(row.spec)),
  );
};
