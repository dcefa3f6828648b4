// SPDX-License-Identifier: Apache-2.0
/** BGP instances (weir.bus.v1.BgpInstance) as people set them: what no session could come of is refused. */
import { named } from '@weir/http';
import { canonicalIp, ipFamily, isIp, parseIp } from '@weir/net';
import { type Static, Type } from 'typebox';
import { unusableRange } from './addresses.ts';
import { Issues } from './refused.ts';
import { checkSelector, LabelSelectorSchema } from './selectors.ts';

const closed = { additionalProperties: false };
const PEERS_MAX = 64;
const ADVERTISEMENTS_MAX = 64;
const OVERRIDES_MAX = 10_000;
const ASN_MAX = 4_294_967_295;
const TEXT_MAX = 512;
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
/** RFC 4271 4.2: no shorter one is allowed. */
const HOLD_MIN_S = 3;
const SECONDS_MAX = 65_535;
const HOPS_MAX = 255;

const text = (description: string) => Type.String({ maxLength: TEXT_MAX, description });
const number = (description: string) => Type.Optional(Type.Integer({ description }));
const asn = (description: string) => Type.Integer({ description });

const PeerSchema = Type.Object(
  {
    name: text('Tells it from the others of the instance'),
    address: text('Of the router'),
    asn: asn('Of the router'),
    port: number('0: 179'),
    password_file: Type.Optional(text('Path on the hosts of a file with the password of TCP MD5 signatures')),
    hold_time_s: number('0: 90'),
    keepalive_time_s: number('0: 30'),
    connect_retry_s: number('0: 120'),
    graceful_restart_s: number('The peer keeps routes for so long while the speaker restarts; 0: it does not'),
    ebgp_multihop: number('Hops to an external peer; 0: it is on a link of the host'),
    families: Type.Optional(
      Type.Array(Type.Union([Type.Literal('ipv4'), Type.Literal('ipv6')]), {
        maxItems: 2,
        uniqueItems: true,
        description: 'none: that of the address',
      }),
    ),
  },
  closed,
);

const AdvertisementSchema = Type.Object(
  {
    type: Type.Union([Type.Literal('pod-cidr'), Type.Literal('service'), Type.Literal('interface')], {
      description:
        "pod-cidr: the host's blocks of pools; service: addresses of services; interface: those that an interface of the host has",
    }),
    interface: Type.Optional(text('Of interface: its name, such as lo')),
    addresses: Type.Optional(
      Type.Array(Type.Union([Type.Literal('load-balancer'), Type.Literal('external-ip'), Type.Literal('cluster-ip')]), {
        maxItems: 3,
        uniqueItems: true,
      }),
    ),
    services: Type.Optional({ ...LabelSelectorSchema, description: 'Services by their labels; absent: all' }),
    communities: Type.Optional(
      Type.Array(text('65000:100, 65000:1:2, no-export, no-advertise or no-export-subconfed'), { maxItems: 64 }),
    ),
    local_preference: Type.Optional(Type.Integer({ minimum: 0, maximum: ASN_MAX })),
    peers: Type.Optional(
      Type.Array(text('Name of a peer'), {
        maxItems: PEERS_MAX,
        uniqueItems: true,
        description: 'Peers of the instance that hear of it; none: all',
      }),
    ),
  },
  closed,
);

const OverrideSchema = Type.Object(
  {
    host: text('Id of a host'),
    router_id: Type.Optional(text('An IPv4 address')),
    local_asn: number('0: that of the instance'),
    local_address4: Type.Optional(text('From which it speaks to peers of IPv4')),
    local_address6: Type.Optional(text('From which it speaks to peers of IPv6')),
  },
  closed,
);

export const BgpInstancePutSchema = named(
  'BgpInstancePut',
  Type.Object(
    {
      hosts: Type.Optional({ ...LabelSelectorSchema, description: 'Hosts by their labels; absent: all' }),
      local_asn: asn('Autonomous system of the hosts'),
      local_port: number('On which sessions are taken; 0: 179'),
      peers: Type.Array(PeerSchema, { minItems: 1, maxItems: PEERS_MAX, description: 'give one router at least' }),
      advertisements: Type.Optional(Type.Array(AdvertisementSchema, { maxItems: ADVERTISEMENTS_MAX, default: [] })),
      overrides: Type.Optional(Type.Array(OverrideSchema, { maxItems: OVERRIDES_MAX, default: [] })),
    },
    closed,
  ),
);
export type BgpInstanceSpec = Static<typeof BgpInstancePutSchema>;
type Peer = Static<typeof PeerSchema>;
type Advertisement = Static<typeof AdvertisementSchema>;

const checkAsn = (path: string, value: number, issues: Issues): void => {
  if (value >= 1 && value <= ASN_MAX) return;
  issues.add(path, value, 'is no number of an autonomous system', `give 1 to ${ASN_MAX}, such as 65001`);
};

const checkRange = (path: string, value: number, low: number, high: number, issues: Issues): void => {
  if (value < low || value > high) issues.add(path, value, `is not from ${low} to ${high}`, `give ${low} to ${high}`);
};

/** The address in its one spelling; as it is, with an issue, when it is none of the family. */
const checkAddress = (path: string, given: string, family: 4 | 6 | undefined, issues: Issues): string => {
  const example = family === 6 ? '2001:db8::1' : '192.0.2.1';
  if (!isIp(given)) {
    issues.add(path, given, 'is not an IP address', `write it such as ${example}`);
    return given;
  }
  const own = ipFamily(parseIp(given));
  const unusable = unusableRange(given);
  if (family !== undefined && own !== family)
    issues.add(path, given, `is IPv${own}, and IPv${family} is meant`, `give an IPv${family} address`);
  else if (unusable) issues.add(path, given, `lies in ${unusable}, where nobody answers`, 'give a unicast address');
  return canonicalIp(given);
};

const checkPeer = (at: string, peer: Peer, localAsn: number, issues: Issues): Peer => {
  if (!NAME.test(peer.name))
    issues.add(`${at}.name`, peer.name, 'is not a name', 'use lower case letters, digits, - and ., at most 63');
  checkAsn(`${at}.asn`, peer.asn, issues);
  checkRange(`${at}.port`, peer.port ?? 0, 0, SECONDS_MAX, issues);
  const hold = peer.hold_time_s || 90;
  const keepalive = peer.keepalive_time_s || 30;
  if (hold < HOLD_MIN_S || hold > SECONDS_MAX)
    issues.add(`${at}.hold_time_s`, hold, `is not from ${HOLD_MIN_S} to ${SECONDS_MAX}`, 'give it such as 90');
  if (keepalive < 1 || keepalive >= hold)
    issues.add(
      `${at}.keepalive_time_s`,
      keepalive,
      `is not from 1 to below the hold time ${hold}`,
      'give a third of it',
    );
  checkRange(`${at}.connect_retry_s`, peer.connect_retry_s || 120, 1, SECONDS_MAX, issues);
  // 12 bits on the wire (RFC 4724).
  checkRange(`${at}.graceful_restart_s`, peer.graceful_restart_s ?? 0, 0, 4_095, issues);
  checkRange(`${at}.ebgp_multihop`, peer.ebgp_multihop ?? 0, 0, HOPS_MAX, issues);
  if ((peer.ebgp_multihop ?? 0) > 0 && peer.asn === localAsn)
    issues.add(
      `${at}.ebgp_multihop`,
      peer.ebgp_multihop,
      'is of external peers, and this one has our own asn',
      'leave it out',
    );
  const file = peer.password_file ?? '';
  if (file !== '' && (!file.startsWith('/') || /["\n\r]/.test(file)))
    issues.add(`${at}.password_file`, file, 'is not an absolute path', 'write it such as /etc/weir/bgp.password');
  return { ...peer, address: checkAddress(`${at}.address`, peer.address, undefined, issues) };
};

/** As the kernel has them (dev_valid_name). */
const DEVICE = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;
const WELL_KNOWN = ['no-export', 'no-advertise', 'no-export-subconfed'];

const isCommunity = (given: string): boolean => {
  if (WELL_KNOWN.includes(given)) return true;
  const parts = given.split(':');
  const max = parts.length === 2 ? 65_535 : ASN_MAX;
  return (
    (parts.length === 2 || parts.length === 3) && parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= max)
  );
};

const checkAdvertisement = (at: string, one: Advertisement, peers: readonly Peer[], issues: Issues): void => {
  for (const [i, name] of (one.peers ?? []).entries()) {
    if (peers.some((peer) => peer.name === name)) continue;
    const fix = `give one of ${peers.map((peer) => peer.name).join(', ')}`;
    issues.add(`${at}.peers[${i}]`, name, 'is no peer of this instance', fix);
  }
  const addresses = one.addresses ?? [];
  if (one.type === 'service' && addresses.length === 0)
    issues.add(`${at}.addresses`, '', 'are needed for services', 'give load-balancer, external-ip or cluster-ip');
  if (one.type !== 'service' && addresses.length > 0)
    issues.add(`${at}.addresses`, addresses[0], `mean nothing for ${one.type}`, 'leave them out');
  const device = one.interface ?? '';
  if (one.type === 'interface' ? !DEVICE.test(device) : device !== '') {
    const why = one.type === 'interface' ? 'is not the name of an interface' : `means nothing for ${one.type}`;
    issues.add(`${at}.interface`, device, why, one.type === 'interface' ? 'give one such as lo' : 'leave it out');
  }
  if (one.services) checkSelector(`${at}.services`, one.services, issues);
  for (const [i, community] of (one.communities ?? []).entries()) {
    if (isCommunity(community)) continue;
    const fix = `write it such as 65000:100, 65000:1:2 or ${WELL_KNOWN[0]}`;
    issues.add(`${at}.communities[${i}]`, community, 'is not a community', fix);
  }
};

/** Names that are there twice. */
const checkUnique = (paths: readonly (readonly [path: string, name: string])[], issues: Issues): void => {
  const seen = new Set<string>();
  for (const [path, name] of paths) {
    if (seen.has(name)) issues.add(path, name, 'is there twice', 'leave one out');
    seen.add(name);
  }
};

/** Throws INVALID_ARGUMENT that lists everything wrong; gives it with addresses in their one spelling. */
export const checkBgpInstance = (given: BgpInstanceSpec): BgpInstanceSpec => {
  const { advertisements = [], overrides = [] } = given;
  const issues = new Issues();
  if (given.hosts) checkSelector('hosts', given.hosts, issues);
  checkAsn('local_asn', given.local_asn, issues);
  checkRange('local_port', given.local_port ?? 0, 0, SECONDS_MAX, issues);
  const peers = given.peers.map((peer, i) => checkPeer(`peers[${i}]`, peer, given.local_asn, issues));
  checkUnique(
    given.peers.map(({ name }, i) => [`peers[${i}].name`, name] as const),
    issues,
  );
  checkUnique(
    peers.map(({ address, port }, i) => [`peers[${i}].address`, `${address} ${port || 179}`] as const),
    issues,
  );
  for (const [i, one] of advertisements.entries()) checkAdvertisement(`advertisements[${i}]`, one, peers, issues);
  checkUnique(
    overrides.map(({ host }, i) => [`overrides[${i}].host`, host] as const),
    issues,
  );
  for (const [i, { router_id, local_asn, local_address4, local_address6 }] of overrides.entries()) {
    const at = `overrides[${i}]`;
    if (router_id) checkAddress(`${at}.router_id`, router_id, 4, issues);
    if (local_asn) checkAsn(`${at}.local_asn`, local_asn, issues);
    if (local_address4) checkAddress(`${at}.local_address4`, local_address4, 4, issues);
    if (local_address6) checkAddress(`${at}.local_address6`, local_address6, 6, issues);
  }
  issues.throw();
  return { ...given, peers, advertisements, overrides };
};
