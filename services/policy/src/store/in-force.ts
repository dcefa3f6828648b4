// SPDX-License-Identifier: Apache-2.0
/** All documents in force with their rules, as of one moment. */
import { type Database, withTransaction } from '@weir/db';
import { sql } from 'kysely';
import { listPolicies, type PolicyRow, type RuleRow } from './policies.ts';
import { rulesOf } from './rules.ts';
import type { Tables } from './tables.ts';

/** Documents in one statement. */
const CHUNK = 500;

export interface PolicyInForce extends PolicyRow {
  readonly rules: readonly RuleRow[];
}

export const allInForce = (db: Database<Tables>): Promise<PolicyInForce[]> =>
  withTransaction(db, async (trx) => {
    await sql`set transaction isolation level repeatable read, read only`.execute(trx);
    const all: PolicyInForce[] = [];
    for (let after = ''; ; ) {
      const rows = await listPolicies(trx, {}, after, CHUNK);
      const rules = await rulesOf(trx, rows);
      for (const row of rows) all.push({ ...row, rules: rules.get(row.key) ?? [] });
      const last = rows.at(-1);
      if (last === undefined || rows.length < CHUNK) return all;
      after = last.key;
    }
  });
