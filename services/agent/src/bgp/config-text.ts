// SPDX-License-Identifier: Apache-2.0
/**
 * A plan as configuration of BIRD 2. Pure. Names of protocols are made of what they are for, so that a changed text changes
 * only the sessions and routes that differ. Each instance has tables of its own; what peers tell stays there: it is not put
 * into the kernel, and not told to other peers.
 */
import { createHash } from 'node:crypto';
import type { BgpPlan, Family, PlannedInstance, PlannedPeer, PlannedRoutes } from './plan.ts';
import { familyOf } from './plan.ts';

/** More than the whole Internet has is a mistake of a peer's. */
const IMPORT_LIMIT = 1_500_000;
const FAMILIES = [4, 6] as const;

const hashOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);

const tableOf = (instance: string, family: Family): string => `t_${hashOf(instance)}_${family}`;
const routesName = (instance: string, advertisements: readonly number[], family: Family): string =>
  `a_${hashOf(instance)}_${advertisements.join('_')}_${family}`;
const filterOf = (instance: string, peer: string, family: Family): string => `f_${hashOf(instance, peer)}_${family}`;
/** As the daemon names the session. */
export const peerName = (instance: string, peer: string): string => `p_${hashOf(instance, peer)}`;

const WELL_KNOWN: Readonly<Record<string, string>> = {
  'no-export': '65535,65281',
  'no-advertise': '65535,65282',
  'no-export-subconfed': '65535,65283',
};

const communityText = (community: string): string => {
  const parts = (WELL_KNOWN[community] ?? community.replaceAll(':', ',')).split(',');
  return parts.length === 3
    ? `bgp_large_community.add((${parts.join(', ')}));`
    : `bgp_community.add((${parts.join(', ')}));`;
};

const routesText = ({ name, routes }: PlannedInstance): string[] =>
  routes.flatMap(({ prefixes, advertisements }) =>
    FAMILIES.flatMap((family) => {
      const own = prefixes.filter((prefix) => familyOf(prefix) === family);
      if (own.length === 0) return [];
      return [
        `protocol static ${routesName(name, advertisements, family)} {`,
        `  ipv${family} { table ${tableOf(name, family)}; };`,
        // Never a route of the kernel: where packets go is the datapath's work.
        ...own.map((prefix) => `  route ${prefix} blackhole;`),
        '}',
      ];
    }),
  );

/** As the first advertisement says that is for the peer; there may be none. */
const toldText = (
  { name, advertisements: all }: PlannedInstance,
  { advertisements }: PlannedRoutes,
  peer: string,
  family: Family,
): string[] => {
  const told = advertisements.map((at) => all[at]).find((one) => one?.peers.length === 0 || one?.peers.includes(peer));
  if (!told) return [];
  return [
    `  if proto = "${routesName(name, advertisements, family)}" then {`,
    ...told.communities.map((community) => `    ${communityText(community)}`),
    ...(told.localPreference === undefined ? [] : [`    bgp_local_pref = ${told.localPreference};`]),
    '    accept;',
    '  }',
  ];
};

const filterText = (instance: PlannedInstance, peer: string, family: Family): string[] => [
  `filter ${filterOf(instance.name, peer, family)} {`,
  ...instance.routes.flatMap((routes) => toldText(instance, routes, peer, family)),
  '  reject;',
  '}',
];

const quoted = (text: string): string => `"${text}"`;

export type PasswordOf = (file: string) => string;

const peerText = (
  { name, localAsn, localPort }: PlannedInstance,
  peer: PlannedPeer,
  { nextHop4, nextHop6 }: BgpPlan,
  passwordOf: PasswordOf,
): string[] => {
  const own = familyOf(peer.address);
  const hops = { 4: nextHop4, 6: nextHop6 };
  const local = [
    ...(peer.localAddress ? [peer.localAddress] : []),
    ...(localPort ? [`port ${localPort}`] : []),
    `as ${localAsn}`,
  ];
  return [
    `protocol bgp ${peerName(name, peer.name)} {`,
    `  local ${local.join(' ')};`,
    `  neighbor ${peer.address} port ${peer.port} as ${peer.asn};`,
    ...(peer.ebgpMultihop > 0 && peer.asn !== localAsn ? [`  multihop ${peer.ebgpMultihop};`] : []),
    `  hold time ${peer.holdTimeS};`,
    `  keepalive time ${peer.keepaliveTimeS};`,
    `  connect retry time ${peer.connectRetryS};`,
    ...(peer.gracefulRestartS > 0
      ? ['  graceful restart on;', `  graceful restart time ${peer.gracefulRestartS};`]
      : ['  graceful restart aware;']),
    ...(peer.passwordFile ? [`  password ${quoted(passwordOf(peer.passwordFile))};`] : []),
    ...peer.families.flatMap((family) => [
      `  ipv${family} {`,
      `    table ${tableOf(name, family)};`,
      '    import all;',
      `    import limit ${IMPORT_LIMIT} action block;`,
      `    export filter ${filterOf(name, peer.name, family)};`,
      ...(family === own || hops[family] === '' ? [] : [`    next hop address ${hops[family]};`]),
      '  };',
    ]),
    '}',
  ];
};

/** `passwordOf`: what a file of a password holds; throws when it cannot be read. */
export const configText = (plan: BgpPlan, logPath: string, passwordOf: PasswordOf): string =>
  [
    '# Written by the Weir agent.',
    `log ${quoted(logPath)} 1048576 ${quoted(`${logPath}.1`)} all;`,
    'timeformat protocol iso long ms;',
    `router id ${plan.routerId};`,
    'protocol device { }',
    ...plan.instances.flatMap((instance) => [
      ...FAMILIES.map((family) => `ipv${family} table ${tableOf(instance.name, family)};`),
      ...routesText(instance),
      ...instance.peers.flatMap(({ name, families }) =>
        families.flatMap((family) => filterText(instance, name, family)),
      ),
      ...instance.peers.flatMap((peer) => peerText(instance, peer, plan, passwordOf)),
    ]),
    '',
  ].join('\n');
