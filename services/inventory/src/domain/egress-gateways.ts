// SPDX-License-Identifier: Apache-2.0
/** Egress gateways (weir.bus.v1.EgressGateway) as people set them: what could never carry a packet is refused. */
import { named } from '@weir/http';
import { canonicalIp, type Family, ipFamily, isIp, parseIp } from '@weir/net';
import { type Static, Type } from 'typebox';
import { unusableRange } from './addresses.ts';
import { Issues } from './refused.ts';
import { checkSelector, checkWorkloadSelector, LabelSelectorSchema, WorkloadSelectorSchema } from './selectors.ts';

const closed = { additionalProperties: false };
const CIDRS_MAX = 1_024;
/** As many as a workload's gateway is chosen from by hash. */
export const HOPS_MAX = 64;
const INTERFACE = /^(?!\.{1,2}$)[^/\s:]{1,15}$/;
/** Something of letters with dots, no address: a name. */
const NAME = /^(?=.*[a-z_*])[a-z0-9_*.-]+\.[a-z0-9_*.-]*$/i;

const cidrs = (description: string) =>
  Type.Array(Type.String({ maxLength: 320 }), { maxItems: CIDRS_MAX, description });

export const EgressGatewayPutSchema = named(
  'EgressGatewayPut',
  Type.Object(
    {
      workloads: Type.Array(WorkloadSelectorSchema, {
        minItems: 1,
        maxItems: 64,
        description: 'give one selector at least; a workload is meant when one of them matches its security labels',
      }),
      destination_cidrs: Type.Array(Type.String({ maxLength: 320 }), {
        minItems: 1,
        maxItems: CIDRS_MAX,
        description: 'give one CIDR at least, such as 0.0.0.0/0',
      }),
      excluded_cidrs: Type.Optional({ ...cidrs('Not by a gateway, though among destination_cidrs'), default: [] }),
      gateways: Type.Array(
        Type.Object(
          {
            hosts: LabelSelectorSchema,
            interface: Type.Optional(Type.String({ description: 'Its first address is the source' })),
            egress_ip: Type.Optional(Type.String({ description: 'The source address, which the host must have' })),
          },
          closed,
        ),
        {
          minItems: 1,
          maxItems: HOPS_MAX,
          description: `give 1 to ${HOPS_MAX}; of several, a workload has one by hash`,
        },
      ),
    },
    closed,
  ),
);
export type EgressGatewaySpec = Static<typeof EgressGatewayPutSchema>;
type Hop = EgressGatewaySpec['gateways'][number];

const checkCidrs = (path: string, texts: readonly string[], issues: Issues) => {
  const named = texts.findIndex((text) => NAME.test(text) && !isIp(text.split('/')[0] ?? ''));
  if (named < 0) return issues.cidrs(path, texts);
  issues.add(
    `${path}[${named}]`,
    texts[named],
    'is a name: a gateway is chosen by addresses alone',
    'give the CIDRs behind the name, or 0.0.0.0/0, and let a policy with toFQDNs say which names may be reached',
  );
  return [];
};

const checkHop = (at: string, hop: Hop, families: ReadonlySet<Family>, issues: Issues): Hop => {
  const { interface: name, egress_ip: address } = hop;
  if (name === undefined && address === undefined) {
    const fix = 'give egress_ip, the address that the world shall see, or interface, whose first address it is';
    issues.add(`${at}.egress_ip`, '', 'makes an egress gateway without an address', fix);
  }
  if (name !== undefined && address !== undefined) {
    issues.add(`${at}.interface`, name, `is given beside egress_ip ${address}`, 'give one of both');
  }
  if (name !== undefined && !INTERFACE.test(name)) {
    issues.add(`${at}.interface`, name, 'is not the name of an interface', 'give it such as eth1');
  }
  checkSelector(`${at}.hosts`, hop.hosts, issues);
  if (address === undefined) return hop;
  if (!isIp(address)) {
    issues.add(`${at}.egress_ip`, address, 'is not an IP address', 'give one of the host, such as 192.0.2.7');
    return hop;
  }
  const unusable = unusableRange(address);
  const family = ipFamily(parseIp(address));
  if (unusable)
    issues.add(`${at}.egress_ip`, address, `lies in ${unusable}, where nobody answers`, 'give a unicast address');
  else if (families.size > 0 && !families.has(family)) {
    const fix = `add an IPv${family} destination, or give an address of the other family`;
    issues.add(`${at}.egress_ip`, address, `is IPv${family}, and no destination is`, fix);
  }
  return { ...hop, egress_ip: canonicalIp(address) };
};

/** Throws INVALID_ARGUMENT that lists everything wrong; gives it with addresses in their one spelling. */
export const checkEgressGateway = (spec: EgressGatewaySpec): EgressGatewaySpec => {
  const issues = new Issues();
  for (const [i, selector] of spec.workloads.entries()) checkWorkloadSelector(`workloads[${i}]`, selector, issues);
  const destinations = checkCidrs('destination_cidrs', spec.destination_cidrs, issues);
  const excluded = checkCidrs('excluded_cidrs', spec.excluded_cidrs ?? [], issues);
  const families = new Set(destinations.map(({ family }) => family));
  const gateways = spec.gateways.map((hop, i) => checkHop(`gateways[${i}]`, hop, families, issues));
  issues.throw();
  return {
    ...spec,
    destination_cidrs: destinations.map(({ text }) => text),
    excluded_cidrs: excluded.map(({ text }) => text),
    gateways,
  };
};
