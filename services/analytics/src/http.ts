// SPDX-License-Identifier: Apache-2.0
/** The REST door. Built apart from the rest of the service, so that its document can be made without one. */

import type { NatsConnection } from '@nats-io/nats-core';
import { weirError } from '@weir/errors';
import { createHttp, type HttpApp } from '@weir/http';
import type pg from 'pg';
import type { FlowApiDeps } from './flow-api.ts';
import type { ProcessApiDeps } from './process-api.ts';
import { accountingRoutes } from './routes/accounting.ts';
import { flowRoutes } from './routes/flows.ts';
import { PROCESS_SCHEMAS } from './routes/process-schemas.ts';
import { processRoutes } from './routes/processes.ts';
import { SCHEMAS } from './routes/schemas.ts';
import { serviceMapRoutes } from './routes/service-map.ts';
import { streamRoutes } from './routes/stream.ts';
import { watermarkRoutes } from './routes/watermarks.ts';

export interface HttpDeps extends FlowApiDeps, ProcessApiDeps {
  readonly bus: FlowApiDeps['bus'] & { readonly nc: NatsConnection };
  readonly pool: pg.Pool;
}

export const buildHttp = async (deps: HttpDeps): Promise<HttpApp> => {
  const { pool, bus, directory } = deps;
  const app = await createHttp({
    service: 'analytics',
    docs: {
      title: 'Weir analytics',
      description:
        'Flows as the datapath of every host reported them, and what they add up to; processes, and what they did.',
      tags: [
        { name: 'flows', description: 'Stored and live flows' },
        { name: 'processes', description: 'What processes of hosts did' },
        { name: 'service map', description: 'Who talks to whom' },
        { name: 'accounting', description: 'What is stored, what is missing' },
      ],
    },
    schemas: [...SCHEMAS, ...PROCESS_SCHEMAS],
    ready: {
      database: async () => {
        await pool.query('select 1');
      },
      bus: async () => {
        if (bus.nc.isClosed()) throw weirError('UNAVAILABLE', 'the connection to the bus is closed');
        await bus.nc.flush();
      },
    },
  });
  flowRoutes(app, deps);
  streamRoutes(app, deps);
  serviceMapRoutes(app, { pool, directory });
  watermarkRoutes(app, pool);
  accountingRoutes(app, pool);
  processRoutes(app, deps);
  return app;
};
