// SPDX-License-Identifier: Apache-2.0
/** Rules by their number, whatever version they belong to. */
import { findRules, type RuleWithVersion } from '../store/rules.ts';
import { notFound, type Operations } from './context.ts';

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
