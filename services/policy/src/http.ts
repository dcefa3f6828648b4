// SPDX-License-Identifier: Apache-2.0
/** The REST door: all routes of the service on one HTTP application. */
import { createHttp, type HttpApp } from '@weir/http';
import { MAX_BYTES } from '@weir/policy-engine';
import type { Operations } from './operations/context.ts';
import { policyRoutes } from './routes/policies.ts';
import { revisionRoutes } from './routes/revisions.ts';
import { ruleRoutes } from './routes/rules.ts';
import { SCHEMAS } from './routes/views.ts';

export const createPolicyHttp = async (
  operations: Operations,
  ready: Readonly<Record<string, () => Promise<void>>>,
): Promise<HttpApp> => {
  const app = await createHttp({
    service: 'policy',
    docs: {
      title: 'Weir policy',
      description: 'Policy documents of the fleet, the numbers of their rules, and which hosts hold which revision.',
    },
    limits: { bodyBytes: MAX_BYTES },
    schemas: SCHEMAS,
    ready,
  });
  policyRoutes(app, operations);
  ruleRoutes(app, operations);
  revisionRoutes(app, operations);
  return app;
};
