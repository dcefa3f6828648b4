// SPDX-License-Identifier: Apache-2.0
/** What a real attempt from a workload came to, as REST shows it. */
import { named, nullable } from '@weir/http';
import { type Static, Type } from 'typebox';
import type { ProbeResult } from '../operations/probes.ts';

export const ProbeSchema = named(
  'Probe',
  Type.Object({
    host: Type.String(),
    source_address: Type.String(),
    source_port: nullable(Type.Integer({ description: 'null: it has none' })),
    error: nullable(
      Type.String({ description: 'null: connected or answered; else no answer, ECONNREFUSED, EHOSTUNREACH ...' }),
    ),
    duration_us: Type.Integer(),
    started_at: Type.String({ format: 'date-time', description: "By the host's clock" }),
  }),
);

export const probeView = ({ source_port, error, started_at, ...result }: ProbeResult): Static<typeof ProbeSchema> => ({
  ...result,
  source_port: source_port || null,
  error: error || null,
  started_at: started_at.toISOString(),
});
