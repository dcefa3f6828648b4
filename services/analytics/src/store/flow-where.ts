// SPDX-License-Identifier: Apache-2.0
/** Conditions of a filter as SQL over the table `flows`. Numbers are checked integers and stand in the text, so that
 * Postgres can see that a partial index serves them; everything else is a parameter. */

import type { Cidr } from '@weir/net';
import { Verdict } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { type RawBuilder, sql } from 'kysely';
import type { Condition } from '../domain/conditions.ts';
import { DETAIL } from '../domain/detail.ts';
import type { AddressUse } from '../domain/directory.ts';
import type { OwnerRef, Side } from '../domain/filter.ts';
import { SHORT_HEX } from '../domain/flow-owners.ts';
import { FIRST_LOCAL } from '../domain/identities.ts';
import { packPending } from '../domain/pending.ts';

type Sql = RawBuilder<unknown>;

const NOTHING: Sql = sql`false`;

const integers = (values: readonly number[]): Sql => {
  if (!values.every((value) => Number.isSafeInteger(value))) throw new TypeError('not integers');
  return sql.raw([...new Set(values)].join(', '));
};

const isIn = (left: Sql, values: readonly number[]): Sql =>
  values.length === 0
    ? NOTHING
    : values.length === 1
      ? sql`${left} = ${integers(values)}`
      : sql`${left} in (${integers(values)})`;

const any = (parts: readonly Sql[]): Sql => (parts.length === 0 ? NOTHING : sql`(${sql.join(parts, sql` or `)})`);

/** The condition for one end, or for either. */
const sided = (side: Side, of: (end: 'source' | 'destination') => Sql): Sql => {
  if (side === 'from') return of('source');
  if (side === 'to') return of('destination');
  return sql`(${of('source')} or ${of('destination')})`;
};

/** A single address is compared as such: an index then has the rows in the order of time. */
const isOneOf = (column: Sql, addresses: readonly string[]): Sql[] =>
  addresses.length === 0
    ? []
    : [addresses.length === 1 ? sql`${column} = ${addresses[0]}::inet` : sql`${column} = any(${addresses}::inet[])`];

const inCidrs = (column: Sql, cidrs: readonly Cidr[]): Sql => {
  const isAddress = ({ family, bits }: Cidr): boolean => bits === (family === 4 ? 32 : 128);
  const addresses = cidrs.filter(isAddress).map(({ text }) => text.replace(/\/\d+$/, ''));
  const prefixes = cidrs.filter((cidr) => !isAddress(cidr));
  return any([...isOneOf(column, addresses), ...prefixes.map(({ text }) => sql`${column} <<= ${text}::inet`)]);
};

/** An address that had one owner all the time needs no look at the clock. */
const inUses = (column: Sql, uses: readonly AddressUse[]): Sql => {
  const whole = uses.filter(({ fromMs, toMs }) => fromMs === 0 && toMs === Number.POSITIVE_INFINITY);
  const parts = uses.filter((use) => !whole.includes(use));
  return any([
    ...isOneOf(
      column,
      whole.map(({ ip }) => ip),
    ),
    ...parts.map(({ ip, fromMs, toMs }) => {
      const until = toMs === Number.POSITIVE_INFINITY ? sql`` : sql` and time < to_timestamp(${toMs / 1000}::float8)`;
      return sql`(${column} = ${ip}::inet and time >= to_timestamp(${fromMs / 1000}::float8)${until})`;
    }),
  ]);
};

/** `%` and `_` of a user's text are no patterns. */
const likeText = (text: string): string => text.replaceAll(/[\\%_]/g, (special) => `\\${special}`);

const ownedBy = (wanted: OwnerRef): Sql => {
  switch (wanted.by) {
    case 'exec_id': {
      const { host, execNs, pid } = wanted.id;
      return sql`(exec_ns = ${execNs}::int8 and pid = ${pid} and host_id = (select id from hosts where name = ${host}))`;
    }
    case 'binary': {
      const { kind, text } = wanted.ref;
      if (kind === 'path') return sql`image = ${text}`;
      return kind === 'prefix' ? sql`image like ${`${likeText(text)}%`}` : sql`image like ${`%/${likeText(text)}`}`;
    }
    case 'unit':
      return SHORT_HEX.test(wanted.name) ? sql`unit like ${`${wanted.name}%`}` : sql`unit = ${wanted.name}`;
    case 'uid':
      return sql`uid = ${wanted.uid}`;
  }
};

/** Rows of flow_owners. */
export const ownedByAny = (wanted: readonly OwnerRef[]): Sql => any(wanted.map(ownedBy));

const one = (condition: Condition, hostIds: readonly number[]): Sql => {
  switch (condition.kind) {
    case 'in': {
      const plain = isIn(sql.ref(condition.column), condition.values);
      // A drop reason implies a verdict other than FORWARDED, for which there is an index.
      const dropped = condition.column === 'drop_reason' && !condition.values.includes(0);
      return dropped ? sql`verdict <> 1 and ${plain}` : plain;
    }
    case 'direction':
      return isIn(
        sql`(detail >> ${sql.lit(DETAIL.direction.shift)} & ${sql.lit(DETAIL.direction.mask)})`,
        condition.values,
      );
    case 'pending':
      return any(
        condition.values.map((pendingVerdict) =>
          packPending({ pendingVerdict, pendingRuleId: 0 }) > 0 ? sql`pending > 0` : sql`pending < 0`,
        ),
      );
    case 'pending_rule':
      return isIn(
        sql`abs(pending)`,
        condition.values.map((pendingRuleId) => packPending({ pendingVerdict: Verdict.FORWARDED, pendingRuleId })),
      );
    case 'is_reply':
      return condition.value ? sql`detail < 0` : sql`detail >= 0`;
    case 'host':
      return isIn(sql`host_id`, hostIds);
    case 'port':
      return sided(condition.side, (end) => isIn(sql.ref(`${end}_port`), condition.values));
    case 'identity':
      return sided(condition.side, (end) => {
        const column = sql.ref(`${end}_identity`);
        const listed = isIn(column, condition.values);
        return condition.local ? sql`(${listed} or ${column} >= ${sql.lit(FIRST_LOCAL)})` : listed;
      });
    case 'ip':
      return sided(condition.side, (end) => inCidrs(sql.ref(`${end}_ip`), condition.cidrs));
    case 'source_xlated':
      return inCidrs(sql`source_xlated`, condition.cidrs);
    case 'frontend': {
      // The index leaves out flows of no service.
      const plain = sql`frontend <> 0 and ${isIn(sql`frontend`, condition.values)}`;
      if (condition.side === 'any') return plain;
      return sql`${plain} and ${condition.side === 'from' ? sql`detail < 0` : sql`detail >= 0`}`;
    }
    case 'owner':
      return sql`owner <> 0 and owner in (select id from flow_owners where ${ownedByAny(condition.of)})`;
    case 'owned':
      return sql`owner <> 0 and ${isIn(sql`owner`, condition.values)}`;
    case 'use':
      return sided(condition.side, (end) => inUses(sql.ref(`${end}_ip`), condition.uses));
  }
};

export const negated = (where: Sql): Sql => sql`not (${where})`;

/** `hostIds`: numbers of the names in a condition on hosts. */
export const flowWhere = (conditions: readonly Condition[], hostIds: readonly number[]): Sql =>
  conditions.length === 0
    ? sql`true`
    : sql.join(
        conditions.map((condition) => one(condition, hostIds)),
        sql` and `,
      );
