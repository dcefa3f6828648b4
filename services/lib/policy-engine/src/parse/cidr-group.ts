// SPDX-License-Identifier: Apache-2.0
/** CiliumCIDRGroup: prefixes with a name and labels. It restricts nobody by itself. */
import type { CidrGroup, PolicyJson } from '../model.ts';
import { readCidr } from './cidr.ts';
import { type Context, type Field, missing, readList, readObject } from './reader.ts';

export const readCidrGroup = (
  context: Context,
  field: Field,
  { name, labels = {} }: PolicyJson['metadata'],
): CidrGroup | undefined => {
  const spec = readObject(context, field, { fields: ['externalCIDRs'] });
  if (!spec) return undefined;
  const list = spec.get('externalCIDRs') ?? missing(context, spec, 'externalCIDRs', 'list prefixes; [] for none');
  const cidrs = (list ? (readList(context, list) ?? []) : []).flatMap((item) => readCidr(context, item, true) ?? []);
  return { name, labels: Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`), cidrs };
};
