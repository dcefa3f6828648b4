// SPDX-License-Identifier: Apache-2.0
/** Prefilters (weir.bus.v1.Prefilter): sources dropped at the uplinks. None may lock the fleet out of itself. */
import { weirError } from '@weir/errors';
import { named } from '@weir/http';
import { cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import { type Static, Type } from 'typebox';
import { Issues } from './refused.ts';
import { checkSelector, LabelSelectorSchema } from './selectors.ts';

/** More than a document of a megabyte holds as text. */
const CIDRS_MAX = 16_384;

export const PrefilterPutSchema = named(
  'PrefilterPut',
  Type.Object(
    {
      cidrs: Type.Array(Type.String({ maxLength: 64 }), {
        minItems: 1,
        maxItems: CIDRS_MAX,
        description: 'Sources whose packets are dropped; give one at least',
      }),
      hosts: Type.Optional({ ...LabelSelectorSchema, description: 'Hosts by their labels; absent: all' }),
    },
    { additionalProperties: false },
  ),
);
export type PrefilterSpec = Static<typeof PrefilterPutSchema>;

export const checkPrefilter = (spec: PrefilterSpec): PrefilterSpec => {
  const issues = new Issues();
  const cidrs = issues.cidrs('cidrs', spec.cidrs);
  for (const [i, { bits, text }] of cidrs.entries()) {
    if (bits > 0) continue;
    issues.add(`cidrs[${i}]`, text, 'is everybody', 'name the sources that are to be dropped; policies deny the rest');
  }
  if (spec.hosts) checkSelector('hosts', spec.hosts, issues);
  issues.throw();
  return { ...spec, cidrs: cidrs.map(({ text }) => text) };
};

/** An address that the fleet needs, and whose it is. */
export interface Needed {
  readonly address: string;
  readonly whose: string;
}

/** Throws CONFLICT when a prefilter would drop packets from an address that the fleet needs. */
export const refuseLockOut = (cidrs: readonly string[], needed: readonly Needed[]): void => {
  const parsed = cidrs.map((text) => parseCidr(text));
  for (const { address, whose } of needed) {
    const bytes = parseIp(address);
    const at = parsed.findIndex((cidr) => cidrContainsIp(cidr, bytes));
    if (at < 0) continue;
    const field = `cidrs[${at}]`;
    throw weirError('CONFLICT', `${field} ${cidrs[at]} contains ${address}, the address of ${whose}`, {
      field,
      value: cidrs[at],
      fix: 'split it so that this address is not in it: hosts would no longer hear from it',
    });
  }
};
