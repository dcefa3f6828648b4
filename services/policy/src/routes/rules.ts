// SPDX-License-Identifier: Apache-2.0
/** /v1/rules: what the rule id of a verdict or a flow means, however old it is. */

import { weirError } from '@weir/errors';
import { type HttpApp, mapPage, PAGE_LIMIT_DEFAULT, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { pageOfRuleHits } from '../operations/rule-hits.ts';
import { getRule, getRules, pageOfRules, RULE_IDS_MAX } from '../operations/rules.ts';
import { RuleHitsSchema, RuleSchema, ruleHitsView, ruleView } from './views.ts';

const INT4_MAX = 2 ** 31 - 1;
const RuleId = Type.Integer({ minimum: 1, maximum: INT4_MAX });

const parseIds = (text: string): number[] => {
  const ids = text.split(',').map((part) => part.trim());
  const wrong = ids.find((part) => !/^[1-9]\d{0,9}$/.test(part) || Number(part) > INT4_MAX);
  if (wrong !== undefined || ids.length > RULE_IDS_MAX) {
    throw weirError(
      'INVALID_ARGUMENT',
      wrong === undefined
        ? `ids names more than ${RULE_IDS_MAX} rules`
        : `ids: ${JSON.stringify(wrong)} is not a rule id`,
      {
        field: 'ids',
        value: wrong ?? ids.length,
        fix: `give up to ${RULE_IDS_MAX} numbers from 1 to ${INT4_MAX}, separated by commas`,
      },
    );
  }
  return ids.map(Number);
};

const notBoth = (): Error =>
  weirError('INVALID_ARGUMENT', 'ids names rules, the other parameters choose among those in force', {
    field: 'ids',
    fix: 'leave out ids, or everything else',
  });

const chosen = {
  policy: Type.Optional(Type.String({ maxLength: 400, description: 'kind/namespace/name of their document' })),
  kind: Type.Optional(Type.String({ maxLength: 63 })),
  namespace: Type.Optional(Type.String({ maxLength: 63, description: '- for cluster-wide ones' })),
};

export const ruleRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['rules'];

  app.get(
    '/v1/rules',
    {
      schema: {
        tags,
        summary: 'List the rules in force; or show those with certain ids, however old',
        querystring: Type.Object(
          {
            ...pageQuery,
            ids: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 12 * RULE_IDS_MAX,
                examples: ['1,2,3'],
                description: 'These, on one page; unknown ones are left out. Not together with other parameters',
              }),
            ),
            ...chosen,
          },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(RuleSchema)) },
      },
    },
    async ({ query }) => {
      const { limit = PAGE_LIMIT_DEFAULT, cursor, ids, ...filter } = query;
      if (ids === undefined) return mapPage(await pageOfRules(operations, filter, { limit, cursor }), ruleView);
      if (cursor !== undefined || Object.keys(filter).length > 0) throw notBoth();
      return { items: (await getRules(operations, parseIds(ids))).map(ruleView), next_cursor: null };
    },
  );

  app.get(
    '/v1/rules/hits',
    {
      schema: {
        tags,
        summary: 'How often the rules in force decided, and when last; or which did not for a long time',
        querystring: Type.Object(
          {
            ...pageQuery,
            ...chosen,
            unused_for: Type.Optional(
              Type.String({
                maxLength: 20,
                examples: ['30d'],
                description: 'Only rules that did not decide for as long, though they were in force and counted',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(RuleHitsSchema)) },
      },
    },
    async ({ query }) => {
      const { limit = PAGE_LIMIT_DEFAULT, cursor, unused_for: unusedFor, ...filter } = query;
      const wanted = unusedFor === undefined ? filter : { ...filter, unusedFor };
      return mapPage(await pageOfRuleHits(operations, wanted, { limit, cursor }), ruleHitsView);
    },
  );

  app.get(
    '/v1/rules/:id',
    {
      schema: {
        tags,
        summary: 'Show a rule',
        params: Type.Object({ id: RuleId }, { additionalProperties: false }),
        response: { 200: ref(RuleSchema) },
      },
    },
    async ({ params }) => ruleView(await getRule(operations, params.id)),
  );
};
