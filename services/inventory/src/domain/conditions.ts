// SPDX-License-Identifier: Apache-2.0
/** How services and their pools are, as Kubernetes tells it: conditions with a status, a reason and a text. */
import type { LbPoolRow } from '../store/lb-pools.ts';
import type { WholeService } from '../store/services.ts';
import { sizeOf } from './lb-pools.ts';

export interface Condition {
  readonly type: string;
  readonly status: boolean;
  /** For programs: a word. */
  readonly reason: string;
  readonly message: string;
}

export const serviceConditions = ({ row, frontends, backends }: WholeService): Condition[] => {
  const waiting = frontends.filter(({ type, address }) => address === null && type !== 'node-port');
  const active = backends.filter(({ state }) => state === 'active').length;
  const all = `${active} of ${backends.length} backends are active`;
  return [
    waiting.length === 0
      ? { type: 'AddressesAssigned', status: true, reason: 'Assigned', message: '' }
      : {
          type: 'AddressesAssigned',
          status: false,
          reason: 'NoFreeAddress',
          message: `no pool for ${waiting[0]?.type} frontends of ${row.id} has a free ${row.spec.families.join(' or ')} address: see GET /v1/lb-pools`,
        },
    {
      type: 'BackendsReady',
      status: active > 0,
      reason: active > 0 ? 'Active' : backends.length === 0 ? 'NoBackends' : 'NoneActive',
      message: backends.length === 0 ? 'nothing is given or selected as a backend' : all,
    },
  ];
};

export const totalOf = ({ ranges }: LbPoolRow): bigint => ranges.reduce((sum, range) => sum + sizeOf(range), 0n);

export const poolConditions = (row: LbPoolRow): Condition[] => {
  const left = totalOf(row) - BigInt(row.used);
  const [status, reason, message] = row.spec.disabled
    ? [false, 'Disabled', 'nothing more is given of it']
    : left <= 0n
      ? [false, 'Full', "every address is a service's"]
      : [true, 'Available', ''];
  return [{ type: 'Available', status, reason, message }] as Condition[];
};
