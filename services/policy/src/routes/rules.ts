// SPDX-License-Identifier: Apache-2.0
/** /v1/rules: what the rule id of a verdict or a flow means, however old it is. */

import { weirError } from '@weir/errors';
import { type HttpApp, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { getRule, getRules, RULE_IDS_MAX } from '../operations/rules.ts';
import { RuleSchema, ruleView } from './views.ts';

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

export const ruleRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['rules'];

  app.get(
    '/v1/rules',
    {
      schema: {
        tags,
        summary: 'Show several rules; unknown ids are left out',
        querystring: Type.Object(
          { ids: Type.String({ minLength: 1, maxLength: 12 * RULE_IDS_MAX, examples: ['1,2,3'] }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ items: Type.Array(ref(RuleSchema)) }) },
      },
    },
    async ({ query }) => ({ items: (await getRules(operations, parseIds(query.ids))).map(ruleView) }),
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
