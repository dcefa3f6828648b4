// SPDX-License-Identifier: Apache-2.0
/** Settings of the service, from WEIR_ANALYTICS_* (and WEIR_TRUSTED_SIGNERS). */
import { loadConfig, settings } from '@weir/config';
import { type Static, Type } from 'typebox';

const GIB = 1024 ** 3;

export const ConfigSchema = Type.Object({
  host: settings.host(),
  port: settings.port(7103),
  grpcPort: settings.port(7203),
  databaseUrl: settings.databaseUrl(),
  natsUrl: settings.natsUrl(),
  natsSeed: Type.Optional(settings.natsSeed()),
  trustedSigners: settings.trustedSigners(),
  flowRetentionHours: Type.Number({
    minimum: 0.01,
    maximum: 8_760,
    default: 24,
    description: 'how long flows are kept',
  }),
  edgeRetentionDays: Type.Number({
    minimum: 1,
    maximum: 3_650,
    default: 30,
    description: 'how long the sums per minute behind the service map are kept',
  }),
  maxBytes: Type.Integer({
    minimum: 1024 ** 2,
    default: 10 * GIB,
    description: 'room for flows and sums with their indexes; the oldest flows go first',
  }),
  processRetentionHours: Type.Number({
    minimum: 0.01,
    maximum: 87_600,
    default: 168,
    description: 'how long events of processes are kept',
  }),
  processMaxBytes: Type.Integer({
    minimum: 1024 ** 2,
    default: 10 * GIB,
    description: 'room for events of processes with their indexes; the oldest go first',
  }),
  partitionSeconds: Type.Integer({
    minimum: 10,
    maximum: 86_400,
    default: 120,
    description: 'length of a partition of flows; its filter indexes are built when it has passed',
  }),
  failpoint: Type.Optional(
    Type.String({
      pattern: '^flows\\.committed(:[1-9][0-9]*)?$',
      description:
        'for tests: flows.committed[:n], the service kills itself after its n-th commit, before it acknowledges',
    }),
  ),
  ingestTransactions: Type.Integer({ minimum: 1, maximum: 16, default: 3, description: 'batches stored at once' }),
});

export type AnalyticsConfig = Static<typeof ConfigSchema>;

export const readConfig = (env: Readonly<Record<string, string | undefined>> = process.env): AnalyticsConfig =>
  loadConfig(ConfigSchema, env, 'ANALYTICS');
