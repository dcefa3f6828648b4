// SPDX-License-Identifier: Apache-2.0
/** Rules by their number, whatever version they belong to. */
import { Cursors, type Page } from '@weir/http';
import { Type } from 'typebox';
import { findRules, listRules, type RuleFilter, type RuleWithVersion } from '../store/rules.ts';
import { notFound, type Operations } from './context.ts';
import type { PageRequest } from './policies.ts';

export const RULE_IDS_MAX = 1_000;

export const getRule = async ({ db }: Operations, id: number): Promise<RuleWithVersion> => {
  const [rule] = await findRules(db.kysely, [id]);
  if (rule === undefined) {
    throw notFound('rule', String(id), 'use the rule id of a flow; 0 means that no rule decided');
  }
  return rule;
};

export const getRules = ({ db }: Operations, ids: readonly number[]): Promise<RuleWithVersion[]> =>
  findRules(db.kysely, ids);

const RULES = new Cursors('rules', Type.Integer());

/** Rules in force, by number. */
export const pageOfRules = async (
  { db }: Operations,
  filter: RuleFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<RuleWithVersion>> => {
  const scope = { ...filter };
  const rows = await listRules(db.kysely, filter, RULES.decode(cursor, scope) ?? 0, limit + 1);
  return RULES.page(
    rows,
    limit,
    (row) => row,
    ({ id }) => id,
    scope,
  );
};
