// SPDX-License-Identifier: Apache-2.0
/**
 * What leads packets to the encrypting device. Pools: a route in the main table, better than the plain one to the same
 * pool, which stays. Other hosts' own addresses: a table apart, which is asked before the main one by whoever has a source
 * that the other side takes. The device's own packets (its mark) ask the main one first of all: they would go round in circles.
 *
 * Who has another source (a second address of the host, say) goes as before.
 */
import { weir_marks } from '@weir/bpf';
import { isErrno, type Netlink, ROUTE_TABLE, type RouteOptions, type RuleOptions } from '@weir/loader';
import { cidrOfAddress, parseIp } from '@weir/net';
import type { EncryptedRoute, EncryptionPlan } from '../../plan/encryption.ts';

/** Better than POOL_METRIC of network.ts. */
const METRIC = 86;
/** Marks these routes and rules (rtm_protocol); unassigned in the kernel's list. */
const PROTOCOL = 88;
const TABLE = 51_871;
/** After the table of this host's own addresses (0), before the main one (32766); the device's own packets first. */
const OWN_PRIORITY = 8_700;
const PRIORITY = 8_701;
const { MARK_WIREGUARD } = weir_marks;

const keyOf = ({ dst, table = ROUTE_TABLE.main, src, ifindex }: RouteOptions): string =>
  `${table} ${dst} ${src} ${ifindex}`;
const ruleKey = ({ family, src, table }: Pick<RuleOptions, 'family' | 'src' | 'table'>): string =>
  `${family} ${src} ${table}`;

/**
 * Of IPv4 not of scope link, as routes without a next hop are else: when somebody makes a route by way of another host the
 * kernel looks for that host among those of scope link, without a source, and his packets would all come here.
 */
const routeOf = ({ dst, src }: EncryptedRoute, ifindex: number, table: number): RouteOptions => ({
  ...{ dst, src, ifindex, table, metric: METRIC, protocol: PROTOCOL, scope: 'universe' },
});

const ruleOf = (src: string, findSource = false): RuleOptions => ({
  ...{ family: src.includes(':') ? 6 : 4, src, table: TABLE, priority: PRIORITY, protocol: PROTOCOL, findSource },
});

/** They come first and go last. */
const OWN_RULES: readonly RuleOptions[] = (['0.0.0.0/0', '::/0'] as const).map((src) => ({
  ...{ family: src.includes(':') ? 6 : 4, src, table: ROUTE_TABLE.main, priority: OWN_PRIORITY, protocol: PROTOCOL },
  mark: MARK_WIREGUARD,
}));

/** Of IPv4 also who has no source yet, as a socket that sends without being bound: its route then says which. */
const rulesOf = ({ sources }: EncryptionPlan): RuleOptions[] => [
  ...OWN_RULES,
  ...sources.own.map((address) => ruleOf(cidrOfAddress(parseIp(address)).text, address.includes(':'))),
  ...(sources.own.some((address) => !address.includes(':')) ? [ruleOf('0.0.0.0/32')] : []),
  ...sources.pools.map((pool) => ruleOf(pool)),
];

const ours = async (socket: Netlink): Promise<RuleOptions[]> =>
  (await socket.rules())
    .filter(({ protocol, table, mark }) => protocol === PROTOCOL && (table === TABLE || mark === MARK_WIREGUARD))
    .map(({ family, src, table, priority, protocol, mark }) => ({
      ...{ family, src, table, priority, protocol },
      ...(mark ? { mark } : {}),
    }));

const gone = (error: unknown): void => {
  if (!isErrno(error, 'ESRCH', 'ENOENT')) throw error;
};

export const removeRules = async (socket: Netlink): Promise<void> => {
  for (const rule of (await ours(socket)).reverse()) await socket.delRule(rule).catch(gone);
};

export class EncryptionWays {
  /** As read, with what was written since; undefined: it is to be read. */
  #routes: Map<string, RouteOptions> | undefined;
  #rules: Map<string, RuleOptions> | undefined;

  doubt(): void {
    this.#routes = undefined;
    this.#rules = undefined;
  }

  async sync(socket: Netlink, ifindex: number, plan: EncryptionPlan, pools: readonly EncryptedRoute[]): Promise<void> {
    this.#routes ??= await this.#readRoutes(socket);
    this.#rules ??= new Map((await ours(socket)).map((rule) => [ruleKey(rule), rule]));
    const [routes, rules] = [this.#routes, this.#rules];
    const wantedRoutes = new Map(
      [
        ...pools.map((route) => routeOf(route, ifindex, ROUTE_TABLE.main)),
        ...plan.hosts.map((route) => routeOf(route, ifindex, TABLE)),
      ].map((route) => [keyOf(route), route]),
    );
    const wantedRules = new Map((plan.hosts.length > 0 ? rulesOf(plan) : []).map((rule) => [ruleKey(rule), rule]));
    for (const [key, route] of wantedRoutes) {
      if (routes.has(key)) continue;
      await socket.replaceRoute(route);
      for (const [other, { dst, table }] of routes)
        if (dst === route.dst && table === route.table) routes.delete(other);
      routes.set(key, route);
    }
    for (const [key, rule] of wantedRules) {
      if (rules.has(key)) continue;
      await socket.addRule(rule);
      rules.set(key, rule);
    }
    for (const [key, rule] of [...rules].reverse()) {
      if (wantedRules.has(key)) continue;
      await socket.delRule(rule).catch(gone);
      rules.delete(key);
    }
    for (const [key, route] of [...routes]) {
      if (wantedRoutes.has(key)) continue;
      const { dst, table, metric, protocol } = route;
      await socket.delRoute({ dst, ...({ table, metric, protocol } as Pick<RouteOptions, 'metric'>) }).catch(gone);
      routes.delete(key);
    }
  }

  async #readRoutes(socket: Netlink): Promise<Map<string, RouteOptions>> {
    const found: RouteOptions[] = [];
    for (const table of [ROUTE_TABLE.main, TABLE]) {
      for (const { dst, src, ifindex, metric, protocol } of await socket.routes({ table })) {
        if (protocol !== PROTOCOL || ifindex === undefined || src === undefined) continue;
        found.push({ dst, src, ifindex, table, metric, protocol });
      }
    }
    return new Map(found.map((route) => [keyOf(route), route]));
  }

  /** What somebody took away. */
  async missing(socket: Netlink): Promise<string[]> {
    if (!this.#routes || !this.#rules) return [];
    const routes = await this.#readRoutes(socket);
    const rules = new Set((await ours(socket)).map(ruleKey));
    return [
      ...[...this.#routes].flatMap(([key, { dst }]) =>
        routes.has(key) ? [] : [`the route to ${dst} through what encrypts was removed`],
      ),
      ...[...this.#rules].flatMap(([key, { src }]) =>
        rules.has(key) ? [] : [`the rule that what ${src} sends is encrypted was removed`],
      ),
    ];
  }
}
