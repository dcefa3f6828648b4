// SPDX-License-Identifier: Apache-2.0
/** Kinds of events by Cilium's numbers, as `--type TYPE[:SUBTYPE]` and filters name them. */
import { type EventType, usage } from './filter.ts';

/** Those that flows of the datapath are; others exist in Hubble and are not recorded. */
export const EVENT_TYPES = { drop: 1, trace: 4, 'policy-verdict': 5 } as const;

/** In the order of their numbers. */
export const TRACE_POINT_NAMES = [
  'to-endpoint',
  'to-proxy',
  'to-host',
  'to-stack',
  'to-overlay',
  'from-endpoint',
  'from-proxy',
  'from-host',
  'from-stack',
  'from-overlay',
  'from-network',
  'to-network',
  'from-crypto',
  'to-crypto',
] as const;

/** Zero is left out, as protobuf's JSON does. */
const withSubType = (type: number, subType: number): EventType => ({
  type,
  match_sub_type: true,
  ...(subType === 0 ? {} : { sub_type: subType }),
});

export const eventType = (text: string): EventType => {
  const [name = '', sub] = text.split(':');
  if (!(name in EVENT_TYPES)) {
    throw usage(`--type: ${name} is not recorded; use one of ${Object.keys(EVENT_TYPES).join(', ')}`);
  }
  const type = EVENT_TYPES[name as keyof typeof EVENT_TYPES];
  if (sub === undefined) return { type };
  if (type === EVENT_TYPES.drop && /^\d{1,3}$/.test(sub)) return withSubType(type, Number(sub));
  const point = (TRACE_POINT_NAMES as readonly string[]).indexOf(sub);
  if (type === EVENT_TYPES.trace && point >= 0) return withSubType(type, point);
  throw usage(
    `--type: ${sub} is no kind of ${name}; of drop give a reason's code, of trace ${TRACE_POINT_NAMES.join(', ')}`,
  );
};
