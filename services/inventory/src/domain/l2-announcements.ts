// SPDX-License-Identifier: Apache-2.0
/** Announcements of service addresses (weir.bus.v1.L2Announcement) as people set them. */
import { named } from '@weir/http';
import { type Static, Type } from 'typebox';
import { Issues } from './refused.ts';
import { checkSelector, LabelSelectorSchema } from './selectors.ts';

const INTERFACES_MAX = 64;
/** Longer than any pattern of names of at most 15 characters; what it costs to match stays small. */
const PATTERN_MAX = 128;
/** A retry is a message to the bus. */
const RETRY_MIN_MS = 100;
const LEASE_MAX_MS = 3_600_000;

export const L2AnnouncementPutSchema = named(
  'L2AnnouncementPut',
  Type.Object(
    {
      services: Type.Optional({ ...LabelSelectorSchema, description: 'Services by their labels; absent: all' }),
      hosts: Type.Optional({ ...LabelSelectorSchema, description: 'Hosts that may answer; absent: all' }),
      interfaces: Type.Optional(
        Type.Array(Type.String({ maxLength: PATTERN_MAX }), {
          maxItems: INTERFACES_MAX,
          default: [],
          description: 'Names of interfaces as regular expressions, such as ^eth[0-9]+; none: the uplinks',
        }),
      ),
      external_ips: Type.Optional(Type.Boolean({ default: false, description: 'Addresses of external-ip frontends' })),
      load_balancer_ips: Type.Optional(
        Type.Boolean({ default: false, description: 'Addresses of load-balancer frontends' }),
      ),
      lease_duration_ms: Type.Optional(
        Type.Integer({
          default: 15_000,
          description: 'Another host takes over when nothing was heard of the holder for so long',
        }),
      ),
      renew_deadline_ms: Type.Optional(
        Type.Integer({ default: 5_000, description: 'A holder whose renewals fail for so long is unconfirmed' }),
      ),
      retry_period_ms: Type.Optional(
        Type.Integer({ default: 2_000, description: 'Between renewals, and between attempts' }),
      ),
    },
    { additionalProperties: false },
  ),
);
export type L2AnnouncementSpec = Static<typeof L2AnnouncementPutSchema>;

const checkTimes = ({ lease_duration_ms, renew_deadline_ms, retry_period_ms }: Required<Times>, issues: Issues) => {
  if (retry_period_ms < RETRY_MIN_MS)
    issues.add('retry_period_ms', retry_period_ms, `is under ${RETRY_MIN_MS}`, 'give it such as 2000');
  if (renew_deadline_ms <= retry_period_ms) {
    const fix = `give more than ${retry_period_ms}, so that a renewal may fail once`;
    issues.add('renew_deadline_ms', renew_deadline_ms, 'is not over retry_period_ms', fix);
  }
  if (lease_duration_ms <= renew_deadline_ms) {
    const fix = `give more than ${renew_deadline_ms}, or two hosts would answer at once`;
    issues.add('lease_duration_ms', lease_duration_ms, 'is not over renew_deadline_ms', fix);
  }
  if (lease_duration_ms > LEASE_MAX_MS)
    issues.add('lease_duration_ms', lease_duration_ms, `is over ${LEASE_MAX_MS}`, 'give it such as 15000');
};
type Times = Pick<L2AnnouncementSpec, 'lease_duration_ms' | 'renew_deadline_ms' | 'retry_period_ms'>;

/** Throws INVALID_ARGUMENT that lists everything wrong; gives it with defaults filled in. */
export const checkL2Announcement = (given: L2AnnouncementSpec): L2AnnouncementSpec => {
  const spec = {
    ...{ interfaces: [], external_ips: false, load_balancer_ips: false },
    ...{ lease_duration_ms: 15_000, renew_deadline_ms: 5_000, retry_period_ms: 2_000 },
    ...given,
  };
  const issues = new Issues();
  if (spec.services) checkSelector('services', spec.services, issues);
  if (spec.hosts) checkSelector('hosts', spec.hosts, issues);
  for (const [i, pattern] of spec.interfaces.entries()) {
    try {
      new RegExp(pattern);
    } catch {
      const fix = 'write it such as ^eth[0-9]+ or eth0';
      issues.add(`interfaces[${i}]`, pattern, 'is not a regular expression', fix);
    }
  }
  if (!spec.external_ips && !spec.load_balancer_ips) {
    const fix = 'set load_balancer_ips or external_ips to true';
    issues.add('load_balancer_ips', false, 'and external_ips are both false: nothing would be announced', fix);
  }
  checkTimes(spec, issues);
  issues.throw();
  return spec;
};
