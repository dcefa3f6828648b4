// SPDX-License-Identifier: Apache-2.0
/**
 * Traffic mode: the world of a file is played by real workloads on a fleet of hosts, policies go through the public
 * API, cells are answered by sockets. One fleet for all cases of a run: between two of them only what differs is
 * changed, and asked about again once every host says that it holds it.
 */
import { ApiError, callApi } from '@weir/infra/api';
import { createFleet, type Fleet, type FleetOptions } from '@weir/infra/fleet';
import {
  type Cell,
  HOSTS,
  type Mode,
  type Needs,
  type OwnAddresses,
  type PolicyJson,
  type Refusal,
  type Session,
  type Verdict,
  type World,
} from '../mode.ts';
import { createView } from '../view.ts';
import { apply, createState, isAsked, isHost, policyName, type State } from '../world.ts';
import { askAll } from './ask.ts';
import { Cast } from './cast.ts';
import { Rules, urlOf } from './rules.ts';
import { toldByFlows } from './told.ts';

/** Pods are dealt out in turn: some share a host, others are apart. */
export const TRAFFIC_HOSTS = ['h1', 'h2', 'h3'];

/** Pools from which nobody writes cases: workloads have the addresses that their file says. */
export const TRAFFIC_POOLS = {
  WEIR_INVENTORY_POOL4: '100.127.0.0/16',
  WEIR_INVENTORY_POOL6: 'fd7f:ffff::/48',
};

/** What hosts of a fleet always let pass between each other, whatever their policies: echoes and tunnels. */
const TUNNEL_PORTS = ['UDP/8472', 'UDP/51871'];
const HEALTH_PORT = 'TCP/4240';
/** And what no policy of a host closes, by default. */
const FAILSAFE = {
  ingress: ['TCP/22', 'UDP/68', 'UDP/546', 'TCP/179'],
  egress: ['UDP/53', 'TCP/53', 'UDP/67', 'UDP/547', 'TCP/179'],
} as const;

/** Whom nothing on a fleet plays. */
const UNPLAYED = ['kube-apiserver', 'ingress', 'init', 'unmanaged'];

export interface TrafficOptions {
  readonly fleet: FleetOptions;
}

class TrafficSession implements Session {
  readonly #fleet: Fleet;
  readonly #cast: Cast;
  readonly #rules: Rules;
  readonly #state: State;
  readonly #needs: Needs;

  constructor(fleet: Fleet, cast: Cast, rules: Rules, world: World, needs: Needs) {
    this.#fleet = fleet;
    this.#cast = cast;
    this.#rules = rules;
    this.#state = createState(world);
    this.#needs = needs;
  }

  /** Makes the fleet what the state says, and waits until every host holds it. */
  async settle(): Promise<void> {
    const [revision] = await Promise.all([
      this.#rules.become(this.#state.policies),
      this.#cast.become(this.#state, this.#needs),
    ]);
    if (revision > 0) await this.#fleet.waitRealised(revision, 60_000);
  }

  async act(actions: Parameters<Session['act']>[0]): Promise<void> {
    if (actions.length === 0) return;
    for (const action of actions) {
      const problem = apply(this.#state, action);
      if (problem) throw new Error(problem);
    }
    await this.settle();
  }

  async refused(policy: PolicyJson): Promise<Refusal | undefined> {
    try {
      await callApi(`${this.#fleet.control.urls.policy}/v1/policies`, { body: policy });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { errors, field, detail } = error.problem;
      const path = errors?.[0]?.path ?? field ?? '';
      return { path, message: errors?.[0]?.message ?? detail ?? error.message };
    }
    await callApi(urlOf(this.#fleet.control.urls.policy, policyName(policy)), { method: 'DELETE' });
    return undefined;
  }

  async ask(cells: readonly Cell[]): ReturnType<Session['ask']> {
    const since = new Date();
    const verdicts: (Verdict | undefined)[] = await askAll(this.#cast, cells);
    const viewed = [...cells.entries()].filter(([, { view }]) => view !== undefined);
    if (viewed.length === 0) return verdicts;
    const ends = createView(this.#state);
    const isEnd = (name: string) => ends.compiled(name) !== undefined;
    const asked = viewed.map(([, cell]) => cell);
    const told = await toldByFlows({ fleet: this.#fleet, cast: this.#cast, state: this.#state, isEnd, since }, asked);
    for (const [at, [index]] of viewed.entries()) verdicts[index] = told[at];
    return verdicts;
  }

  explain(cell: Cell): string {
    return this.#cast.describe(cell);
  }

  /** Is a host's policy asked about what it has no say in? */
  #isFailsafe({ from, to, protocol, port }: Cell): boolean {
    const state = this.#state;
    const isJudging = (name: string, other: string, direction: 'ingress' | 'egress') =>
      isHost(state, name) && isAsked(state, name, other, direction);
    const what = `${protocol}/${port}`;
    const [egress, ingress] = [isJudging(from, to, 'egress'), isJudging(to, from, 'ingress')];
    if (![...state.policies.values()].some((policy) => JSON.stringify(policy).includes('"nodeSelector"'))) return false;
    const among = [from, to].every((name) => isHost(state, name));
    const isEcho = ['ICMP/8', 'ICMPv6/128'].includes(what);
    if (egress && state.externals.get(to)?.entity === 'health' && (isEcho || what === HEALTH_PORT)) return true;
    if (among && (TUNNEL_PORTS.includes(what) || isEcho)) return true;
    return (
      (ingress && FAILSAFE.ingress.some((one) => one === what)) ||
      (egress && FAILSAFE.egress.some((one) => one === what))
    );
  }

  skips(cell: Cell): string | undefined {
    const { from, to, protocol, family } = cell;
    const { externals, pods } = this.#state;
    const entities = [from, to].map((end) => externals.get(end)?.entity);
    const unplayed = entities.find((entity) => entity !== undefined && UNPLAYED.includes(entity));
    if (unplayed) return `nothing on the fleet is ${unplayed}`;
    const ends = [from, to].map((end) => pods.get(end));
    if (ends.every((pod) => pod === undefined) && !entities.some((entity) => HOSTS.includes(entity)))
      return 'neither end is a workload or a host';
    if (this.#isFailsafe(cell)) return 'no policy of a host closes this';
    const odd = ends.find((pod) => pod && this.#cast.oddLabel(pod) !== undefined);
    if (odd) return `inventory gives nobody a label such as ${this.#cast.oddLabel(odd)}`;
    return protocol === (family === 4 ? 'ICMPv6' : 'ICMP') ? 'the protocol is not of this family' : undefined;
  }

  /** What is there stays for the next case. */
  async close(): Promise<void> {}
}

class TrafficMode implements Mode {
  readonly name = 'traffic';
  readonly fleet: Fleet;
  readonly ownAddresses: OwnAddresses;
  readonly #cast: Cast;
  readonly #rules: Rules;
  #session: TrafficSession | undefined;

  constructor(fleet: Fleet, ownAddresses: OwnAddresses) {
    this.fleet = fleet;
    this.ownAddresses = ownAddresses;
    this.#cast = new Cast(fleet);
    this.#rules = new Rules(() => fleet.control.urls.policy);
  }

  skips(cell: Cell): string | undefined {
    return this.#session?.skips(cell);
  }

  async open(world: World, needs: Needs): Promise<Session> {
    const session = new TrafficSession(this.fleet, this.#cast, this.#rules, world, needs);
    await session.settle();
    this.#session = session;
    return session;
  }

  async close(): Promise<void> {
    await this.fleet.destroy();
  }
}

/**
 * All hosts are on one network: to prefixes one is as good as another. Health endpoints are not among them, because cluster-wide
 * documents may select those too, which what is random does not say.
 */
const ownAddresses = (fleet: Fleet): OwnAddresses => {
  const [host, node = host] = fleet.underlay.hosts.map(({ ip4, ip6 }) => ({ ip4, ip6 }));
  return host && node ? { host, 'remote-node': node } : {};
};

export const createTrafficMode = async ({ fleet: options }: TrafficOptions): Promise<Mode> => {
  const fleet = await createFleet({ ...options, serviceEnv: { ...TRAFFIC_POOLS, ...options.serviceEnv } });
  return new TrafficMode(fleet, ownAddresses(fleet));
};
