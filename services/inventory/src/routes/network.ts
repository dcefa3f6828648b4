// SPDX-License-Identifier: Apache-2.0
/** /v1/network: one object, which always exists. */
import { etag, type HttpApp, named, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import { NetworkPutSchema, type NetworkSpec } from '../domain/network.ts';
import type { Operations } from '../operations/context.ts';
import { type Network, putNetwork, readNetwork } from '../operations/network.ts';
import { IfMatch } from './parts.ts';

export const NetworkSchema = named(
  'Network',
  Type.Object({
    ...NetworkPutSchema.properties,
    revision: Type.Integer({ description: 'Of its configuration document; 0: never set, all is as by default' }),
  }),
);

const networkView = ({ spec, revision }: Network) =>
  ({ ...spec, revision: Number(revision) }) as Static<typeof NetworkSchema>;

export const networkRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['network'];

  app.get(
    '/v1/network',
    { schema: { tags, summary: 'Show how the hosts are joined', response: { 200: ref(NetworkSchema) } } },
    async (_request, reply) => {
      const network = await readNetwork(operations.db.kysely);
      return reply.header('etag', etag(network.revision)).send(networkView(network));
    },
  );

  app.put(
    '/v1/network',
    {
      schema: {
        tags,
        summary: 'Set how the hosts are joined, as a whole; what is left out gets its default',
        headers: IfMatch,
        body: ref(NetworkPutSchema),
        response: { 200: ref(NetworkSchema) },
      },
    },
    async ({ body, headers }, reply) => {
      const network = await putNetwork(operations, body as NetworkSpec, headers['if-match']);
      return reply.header('etag', etag(network.revision)).send(networkView(network));
    },
  );
};
