// SPDX-License-Identifier: Apache-2.0
/** /v1/runtime-policies: documents about processes in and out, and what hosts do about them. */
import {
  etag,
  type HttpApp,
  idempotencyHeader,
  mapPage,
  onceOf,
  PAGE_LIMIT_DEFAULT,
  pageOf,
  pageQuery,
  ref,
  textBodies,
} from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import {
  applyRuntimePolicies,
  deleteRuntimePolicy,
  diffRuntimePolicies,
  getRuntimePolicy,
  hostsOfRuntimePolicy,
  pageOfRuntimePolicies,
} from '../operations/runtime-policies.ts';
import { RuntimeHostsSchema, RuntimePolicySchema, runtimePolicyView } from './runtime-views.ts';
import { ApplyAnswerSchema, applyView, DeletedSchema, DiffAnswerSchema } from './views.ts';

const Key = Type.Object(
  {
    kind: Type.String({ minLength: 1, maxLength: 63 }),
    namespace: Type.String({ minLength: 1, maxLength: 63, description: '- for a cluster-wide policy' }),
    name: Type.String({ minLength: 1, maxLength: 253 }),
  },
  { additionalProperties: false },
);
type Key = { readonly kind: string; readonly namespace: string; readonly name: string };
const keyOf = ({ kind, namespace, name }: Key): string => `${kind}/${namespace}/${name}`;

const IfMatch = {
  'if-match': Type.Optional(Type.String({ description: 'ETag of what was read; 412 when it has changed since' })),
};
const BODY = {
  description:
    'TracingPolicy and TracingPolicyNamespaced (cilium.io/v1alpha1), one document or several, as YAML or JSON',
  content: {
    'application/yaml': { schema: Type.String({ minLength: 1 }) },
    'application/json': { schema: Type.Unknown() },
  },
};
const textOf = (body: unknown): string => (typeof body === 'string' ? body : '');
const TAGS = ['runtime-policies'];
const ONE = '/v1/runtime-policies/:kind/:namespace/:name';

const documentRoutes = (app: HttpApp, operations: Operations): void => {
  textBodies(app);
  app.post(
    '/v1/runtime-policies',
    {
      schema: {
        tags: TAGS,
        summary: 'Apply documents, all or none',
        querystring: Type.Object(
          { dry_run: Type.Optional(Type.Boolean({ default: false, description: 'Check and answer, change nothing' })) },
          { additionalProperties: false },
        ),
        headers: Type.Object({
          ...IfMatch,
          'if-none-match': Type.Optional(
            Type.String({ description: '* creates only; 412 when one of the documents is in force' }),
          ),
          ...idempotencyHeader,
        }),
        body: BODY,
        response: { 200: ref(ApplyAnswerSchema) },
      },
    },
    async ({ body, query, headers }, reply) => {
      const options = {
        dryRun: query.dry_run,
        ifMatch: headers['if-match'],
        ifNoneMatch: headers['if-none-match'],
        once: onceOf(headers, reply),
      };
      return applyView(await applyRuntimePolicies(operations, textOf(body), options));
    },
  );

  app.post(
    '/v1/runtime-policies/diff',
    {
      schema: {
        tags: TAGS,
        summary: 'What applying the documents would change',
        body: BODY,
        response: { 200: ref(DiffAnswerSchema) },
      },
    },
    async ({ body }) => ({ results: [...(await diffRuntimePolicies(operations, textOf(body)))] }),
  );
};

export const runtimePolicyRoutes = (app: HttpApp, operations: Operations): void => {
  app.register(async (scope) => documentRoutes(scope as HttpApp, operations));

  app.get(
    '/v1/runtime-policies',
    {
      schema: {
        tags: TAGS,
        summary: 'List the documents in force',
        querystring: Type.Object({ ...pageQuery }, { additionalProperties: false }),
        response: { 200: pageOf(ref(RuntimePolicySchema)) },
      },
    },
    async ({ query: { limit = PAGE_LIMIT_DEFAULT, cursor } }) =>
      mapPage(await pageOfRuntimePolicies(operations, { limit, cursor }), runtimePolicyView),
  );

  app.get(
    ONE,
    {
      schema: {
        tags: TAGS,
        summary: 'Show a document',
        params: Key,
        querystring: Type.Object(
          { policy_revision: Type.Optional(Type.Integer({ minimum: 1, description: 'A former version' })) },
          { additionalProperties: false },
        ),
        response: { 200: ref(RuntimePolicySchema) },
      },
    },
    async ({ params, query }, reply) => {
      const wanted = query.policy_revision;
      const policy = await getRuntimePolicy(
        operations,
        keyOf(params),
        wanted === undefined ? undefined : BigInt(wanted),
      );
      const shown = runtimePolicyView(policy);
      return reply.header('etag', etag(policy.revision, shown)).send(shown);
    },
  );

  app.get(
    `${ONE}/hosts`,
    {
      schema: {
        tags: TAGS,
        summary: 'Show what each host does about a document',
        params: Key,
        response: { 200: ref(RuntimeHostsSchema) },
      },
    },
    async ({ params }) => ({ hosts: [...(await hostsOfRuntimePolicy(operations, keyOf(params)))] }),
  );

  app.delete(
    ONE,
    {
      schema: {
        tags: TAGS,
        summary: 'Remove a document; answers with the revision of the removal',
        params: Key,
        headers: Type.Object(IfMatch),
        response: { 200: ref(DeletedSchema) },
      },
    },
    async ({ params, headers }) => {
      const key = keyOf(params);
      return { key, revision: Number(await deleteRuntimePolicy(operations, key, headers['if-match'])) };
    },
  );
};
