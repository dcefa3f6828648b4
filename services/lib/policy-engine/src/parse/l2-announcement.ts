// SPDX-License-Identifier: Apache-2.0
/** CiliumL2AnnouncementPolicy (cilium.io/v2alpha1) as an announcement of service addresses. */
import { selectorOf } from './egress-gateway.ts';
import { readMetadata } from './metadata.ts';
import { type Context, type Fields, missing, readBoolean, readList, readObject, readString } from './reader.ts';
import { readRequirements, type SelectorSyntax } from './selector.ts';
import { type BalancerDocument, type Places, place } from './service-body.ts';

const PLAIN: SelectorSyntax = { sources: false, source: 'any' };

/** What the API fills in: what says nothing of it is the same afterwards. */
export const L2_DEFAULTS = {
  ...{ interfaces: [], external_ips: false, load_balancer_ips: false },
  ...{ lease_duration_ms: 15_000, renew_deadline_ms: 5_000, retry_period_ms: 2_000 },
};

export const readL2Announcement = (
  context: Context,
  root: Fields,
  places: Places,
): Omit<BalancerDocument, 'kind' | 'position' | 'places'> | undefined => {
  const metadata = readMetadata(context, root, 'cluster');
  const field = root.get('spec') ?? missing(context, root, 'spec', 'write spec: {...}');
  const spec =
    field &&
    readObject(context, field, {
      fields: ['serviceSelector', 'nodeSelector', 'interfaces', 'externalIPs', 'loadBalancerIPs'],
    });
  if (!metadata || !spec) return undefined;
  const selector = (name: string, becomes: string): object => {
    const part = spec.get(name);
    const requirements = part && readRequirements(context, part, PLAIN);
    if (part) place(places, becomes, part.node.at, context.issues);
    return requirements ? { [becomes]: selectorOf(requirements) } : {};
  };
  const flag = (name: string, becomes: string): object => {
    const part = spec.get(name);
    if (part) place(places, becomes, part.node.at, context.issues);
    return { [becomes]: (part && readBoolean(context, part)) ?? false };
  };
  const list = spec.get('interfaces');
  const interfaces = (list ? (readList(context, list) ?? []) : []).flatMap((item, i) => {
    place(places, `interfaces[${i}]`, item.node.at, context.issues);
    return readString(context, item) ?? [];
  });
  return {
    becomes: 'announcement',
    name: metadata.name,
    body: {
      ...L2_DEFAULTS,
      ...selector('serviceSelector', 'services'),
      ...selector('nodeSelector', 'hosts'),
      interfaces,
      ...flag('externalIPs', 'external_ips'),
      ...flag('loadBalancerIPs', 'load_balancer_ips'),
    },
  };
};
