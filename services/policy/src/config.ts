// SPDX-License-Identifier: Apache-2.0
/** Settings of the policy service: WEIR_POLICY_PORT and so on. */
import { settings } from '@weir/config';
import { type Static, Type } from 'typebox';

export const PolicyConfig = Type.Object({
  host: settings.host(),
  port: settings.port(7102),
  grpcPort: settings.port(7202),
  databaseUrl: settings.databaseUrl(),
  natsUrl: settings.natsUrl(),
  natsSeed: Type.Optional(settings.natsSeed()),
  signingSeed: settings.signingSeed(),
  trustedSigners: settings.trustedSigners(),
  analyticsGrpc: Type.String({
    minLength: 1,
    default: '127.0.0.1:7203',
    description: 'host:port of analytics, whose flows are judged by simulate',
  }),
  newEpoch: Type.Boolean({
    default: false,
    description: 'true for one start after the database was restored from a backup: hosts then take older revisions',
  }),
});

export type PolicyConfig = Static<typeof PolicyConfig>;
