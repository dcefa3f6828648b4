// SPDX-License-Identifier: Apache-2.0
/** The directory's tables: names survive a restart, and history can be asked for in SQL. */
import type pg from 'pg';
import { Directory, type DirectoryChange } from '../domain/directory.ts';

const ms = (date: Date | null): number | null => (date === null ? null : date.getTime());
const date = (at: number | null): Date | null => (at === null ? null : new Date(at));

export const loadDirectory = async (pool: pg.Pool): Promise<Directory> => {
  const directory = new Directory();
  const labels = await pool.query('select identity, valid_from, labels, removed_at from identity_labels');
  for (const row of labels.rows) {
    directory.load({
      kind: 'labels',
      span: {
        identity: row.identity,
        fromMs: row.valid_from.getTime(),
        labels: row.labels,
        removedMs: ms(row.removed_at),
      },
    });
  }
  const addresses = await pool.query(
    'select host(ip) as ip, valid_from, workload_id, name, namespace, host, identity, removed_at from workload_addresses',
  );
  for (const row of addresses.rows) {
    directory.load({
      kind: 'address',
      span: {
        ip: row.ip,
        fromMs: row.valid_from.getTime(),
        workloadId: row.workload_id,
        name: row.name,
        namespace: row.namespace,
        host: row.host,
        identity: row.identity,
        removedMs: ms(row.removed_at),
      },
    });
  }
  const rules = await pool.query('select id, policy_key, path, policy_revision, log from rules');
  for (const row of rules.rows) {
    directory.load({
      kind: 'rule',
      rule: {
        id: row.id,
        policyKey: row.policy_key,
        path: row.path,
        policyRevision: Number(row.policy_revision),
        log: row.log,
      },
    });
  }
  const frontends = await pool.query('select number, namespace, name, type, address, port, protocol from frontends');
  for (const frontend of frontends.rows) directory.load({ kind: 'frontend', frontend });
  return directory;
};

const saveChange = (client: Pick<pg.ClientBase, 'query'>, change: DirectoryChange): Promise<unknown> => {
  switch (change.kind) {
    case 'labels': {
      const { identity, fromMs, labels, removedMs } = change.span;
      return client.query(
        `insert into identity_labels (identity, valid_from, labels, removed_at) values ($1, $2, $3, $4)
         on conflict (identity, valid_from) do update set labels = excluded.labels, removed_at = excluded.removed_at`,
        [identity, date(fromMs), labels, date(removedMs)],
      );
    }
    case 'address': {
      const { ip, fromMs, workloadId, name, namespace, host, identity, removedMs } = change.span;
      return client.query(
        `insert into workload_addresses (ip, valid_from, workload_id, name, namespace, host, identity, removed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (ip, valid_from) do update set
           workload_id = excluded.workload_id, name = excluded.name, namespace = excluded.namespace,
           host = excluded.host, identity = excluded.identity, removed_at = excluded.removed_at`,
        [ip, date(fromMs), workloadId, name, namespace, host, identity, date(removedMs)],
      );
    }
    case 'rule': {
      const { id, policyKey, path, policyRevision, log } = change.rule;
      return client.query(
        `insert into rules (id, policy_key, path, policy_revision, log) values ($1, $2, $3, $4, $5)
         on conflict (id) do nothing`,
        [id, policyKey, path, policyRevision, log],
      );
    }
    case 'frontend': {
      const { number, namespace, name, type, address, port, protocol } = change.frontend;
      return client.query(
        `insert into frontends (number, namespace, name, type, address, port, protocol)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (number) do update set
           namespace = excluded.namespace, name = excluded.name, type = excluded.type, address = excluded.address,
           port = excluded.port, protocol = excluded.protocol`,
        [number, namespace, name, type, address, port, protocol],
      );
    }
  }
};

/** All or none. Saving the same changes again, or from two replicas, gives the same rows. */
export const saveChanges = async (pool: pg.Pool, changes: readonly DirectoryChange[]): Promise<void> => {
  if (changes.length === 0) return;
  const client = await pool.connect();
  let failed = true;
  try {
    await client.query('begin');
    for (const change of changes) await saveChange(client, change);
    await client.query('commit');
    failed = false;
  } finally {
    client.release(failed);
  }
};

/** Rows that ended before anything that is still stored; rules and frontends are kept for ever. */
export const pruneDirectory = async (pool: pg.Pool, beforeMs: number): Promise<void> => {
  const before = new Date(beforeMs);
  await pool.query('delete from identity_labels where removed_at < $1', [before]);
  await pool.query('delete from workload_addresses where removed_at < $1', [before]);
};
