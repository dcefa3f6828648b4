// SPDX-License-Identifier: Apache-2.0
/** The REST door: all routes of the service on one HTTP application. */
import { CONFIG_KINDS, PUBLISHER_OF } from '@weir/bus';
import { changeRoutes, createHttp, type HttpApp } from '@weir/http';
import { MAX_BYTES } from '@weir/policy-engine';
import type { Operations } from './operations/context.ts';
import { policyRoutes } from './routes/policies.ts';
import { revisionRoutes } from './routes/revisions.ts';
import { ruleRoutes } from './routes/rules.ts';
import { runtimePolicyRoutes } from './routes/runtime-policies.ts';
import { RUNTIME_SCHEMAS } from './routes/runtime-views.ts';
import { suggestionRoutes } from './routes/suggestions.ts';
import { SCHEMAS } from './routes/views.ts';

/** What the stream of changes tells of. */
export const CHANGE_KINDS = CONFIG_KINDS.filter((kind) => PUBLISHER_OF[kind] === 'policy');

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
    schemas: [...SCHEMAS, ...RUNTIME_SCHEMAS],
    ready,
  });
  policyRoutes(app, operations);
  suggestionRoutes(app, operations);
  ruleRoutes(app, operations);
  revisionRoutes(app, operations);
  runtimePolicyRoutes(app, operations);
  changeRoutes(app, operations.changes, CHANGE_KINDS);
  return app;
};
