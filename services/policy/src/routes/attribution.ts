// SPDX-License-Identifier: Apache-2.0
/** Who changes something and why, and what becomes of connections, as query parameters: texts of any script, which headers are not. */
import { weirError } from '@weir/errors';
import { Established } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { Type } from 'typebox';
import type { Attribution } from '../store/policies.ts';

export const AUTHOR_MAX = 256;
export const REASON_MAX = 1024;

export const ATTRIBUTION = {
  author: Type.Optional(
    Type.String({ maxLength: AUTHOR_MAX, description: 'Who changes it, kept with the version; taken as it is said' }),
  ),
  reason: Type.Optional(Type.String({ maxLength: REASON_MAX, description: 'Why, kept with the version' })),
  established: Type.Optional(
    Type.Enum(['cut', 'drain'], {
      default: 'cut',
      description:
        'What becomes of established connections that the change refuses: cut at once, or they may go on until they end. The last change of a workload’s policy decides about all of its connections',
    }),
  ),
};

interface Told {
  readonly author: string;
  readonly reason: string;
  readonly established: Established;
}

/** Of gRPC, where the empty text is none; REST has checked its own. */
export const attributionOf = ({ author, reason, established }: Told): Attribution => {
  for (const [field, value, most] of [
    ['author', author, AUTHOR_MAX],
    ['reason', reason, REASON_MAX],
  ] as const) {
    if (value.length <= most) continue;
    throw weirError('INVALID_ARGUMENT', `${field} has ${value.length} characters, ${most} at most`, {
      field,
      value: value.slice(0, 100),
      fix: 'shorten it',
    });
  }
  return {
    author: author || undefined,
    reason: reason || undefined,
    established: established === Established.DRAIN ? 'drain' : 'cut',
  };
};
