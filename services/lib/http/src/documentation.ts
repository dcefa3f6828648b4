// SPDX-License-Identifier: Apache-2.0
/** The OpenAPI 3.1 document of a service, made from its routes' schemas, and the page that shows it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

export interface Docs {
  readonly title: string;
  readonly description?: string;
  readonly tags?: readonly { readonly name: string; readonly description: string }[];
}

export const addDocumentation = async (app: FastifyInstance, docs: Docs, version: string): Promise<void> => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: docs.title,
        version,
        description: docs.description ?? '',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string },
      },
      tags: docs.tags ? [...docs.tags] : [],
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) => (json.$id as string | undefined) ?? `def-${index}`,
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    // The page is served over plain HTTP behind the gateway and on loopback.
    transformStaticCSP: (header) => header.replace('upgrade-insecure-requests;', ''),
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
};

/** The document as it is committed: stable, readable. Throws when a schema of a route is none. */
export const openapiText = (app: FastifyInstance): string => {
  app.compileAll();
  return `${JSON.stringify(app.swagger(), null, 2)}\n`;
};
