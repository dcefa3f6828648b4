// SPDX-License-Identifier: Apache-2.0
/** Settings of the inventory service: WEIR_INVENTORY_PORT and so on. */
import { settings } from '@weir/config';
import { type Static, Type } from 'typebox';

export const InventoryConfig = Type.Object({
  host: settings.host(),
  port: settings.port(7101),
  grpcPort: settings.port(7201),
  databaseUrl: settings.databaseUrl(),
  natsUrl: settings.natsUrl(),
  natsSeed: Type.Optional(settings.natsSeed()),
  signingSeed: settings.signingSeed(),
  newEpoch: Type.Boolean({
    default: false,
    description: 'start a new epoch when the bus holds newer configuration than the database, as after a restore',
  }),
  pool4: Type.String({
    default: '10.77.0.0/16',
    description: 'IPv4 prefix of the pool `default` at the first start; later PUT /v1/pools/default changes it',
  }),
  pool6: Type.String({
    default: 'fd77::/48',
    description: 'IPv6 prefix of the pool `default` at the first start; later PUT /v1/pools/default changes it',
  }),
  blockGraceS: Type.Integer({
    minimum: 120,
    maximum: 86_400,
    default: 600,
    description: 'seconds for which a block of a pool stays with its host when no workload has an address of it',
  }),
  controlAddresses: Type.Array(Type.String(), {
    default: [],
    description:
      'addresses at which hosts reach the control plane, beside those of the bus and the database: no prefilter may contain them, no service has one',
  }),
});

export type InventoryConfig = Static<typeof InventoryConfig>;
