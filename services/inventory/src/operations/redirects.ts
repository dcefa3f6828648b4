// SPDX-License-Identifier: Apache-2.0
/**
 * Local redirects that name a service in place of an address (LB-15, serviceMatcher): they are where it is,
 * at the same port or, for 0, at all of their port_name, and follow it when it gets others. Only within a namespace: who sets one could as well change the
 * service itself. The caller holds lockLb(), without which no frontend changes.
 */
import { sql, type Transaction } from 'kysely';
import type { FrontendSpec } from '../domain/services.ts';
import type { ServiceRow } from '../store/services.ts';
import type { Tables } from '../store/tables.ts';

export const REDIRECT = 'local-redirect';
/** Node ports and host ports are at addresses of hosts: what is asked of a host is not redirected. */
const NEVER = [REDIRECT, 'node-port', 'host-port'];

/** Those of the inside: what clients outside ask for is not redirected. */
export const redirectedPlaces = async (
  trx: Transaction<Tables>,
  { namespace }: Pick<ServiceRow, 'namespace'>,
  { service, port, protocol, port_name }: FrontendSpec,
): Promise<{ readonly address: string; readonly port: number }[]> => {
  let query = trx
    .selectFrom('service_frontends')
    .select(['address', 'port'])
    .distinct()
    .where('service_id', '=', `${namespace}.${service}`)
    .where('protocol', '=', protocol)
    .where('scope', '<>', 'external')
    .where('type', 'not in', NEVER)
    .where('address', 'is not', null)
    .orderBy('address')
    .orderBy('port');
  if (port !== 0) query = query.where('port', '=', port);
  else if (port_name !== '') query = query.where('port_name', '=', port_name);
  return (await query.execute()).map((one) => ({ address: one.address ?? '', port: one.port }));
};

/** Ids of the other services that redirect what is asked of this one. `id`: namespace.name */
export const redirectsOf = async (trx: Transaction<Tables>, id: string): Promise<string[]> => {
  const [namespace = '', name = ''] = id.split('.');
  const named = JSON.stringify([{ service: name }]);
  // The first condition is that of an index: most services redirect nothing.
  const { rows } = await sql<{ id: string }>`
    select id from services where spec->'frontends' @> '[{"type": "local-redirect"}]' and namespace = ${namespace}
      and spec->'frontends' @> ${named}::jsonb and name <> ${name} order by id`.execute(trx);
  return rows.map(({ id }) => id);
};
