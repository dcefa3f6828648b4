// SPDX-License-Identifier: Apache-2.0
/**
 * Who plays whom: pods are workloads dealt out over the hosts in turn, with the addresses that the file gives them;
 * what is no pod is a peer in the outside world, or, for the entities host and remote-node, a host itself, for health the
 * health endpoint of another host. Their addresses are the fleet's, not the file's: which one depends on whose host is meant.
 */
import { callAll, callApi } from '@weir/infra/api';
import {
  type Fleet,
  type HealthEndpoint,
  inParallel,
  type External as Peer,
  type Station,
  type Workload,
} from '@weir/infra/fleet';
import type { Cell, External, Labels, Needs, Pod } from '../mode.ts';
import type { State } from '../world.ts';

interface Player {
  readonly pod: Pod;
  readonly workload: Workload;
}

export interface Route {
  readonly from: Station;
  readonly to: Station;
  /** Of who speaks, and of who is spoken to. */
  readonly source: string;
  readonly address: string;
}

const AT_ONCE = 8;
const SETTLE_MS = 60_000;

const labelsOf = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).map(([key, value]) => [key.replace(/^k8s:/, ''), value]));

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const portsOf = (needs: Needs) => {
  const of = (protocol: string) => needs.listens.filter((l) => l.protocol === protocol).map(({ port }) => port);
  return { tcp: of('TCP'), udp: of('UDP'), sctp: of('SCTP') };
};

export class Cast {
  readonly #fleet: Fleet;
  readonly #players = new Map<string, Player>();
  readonly #peers = new Map<string, { readonly spec: External; readonly peer: Peer }>();
  readonly #namespaces = new Map<string, Labels>();
  readonly #hostStations = new Map<string, Station>();
  readonly #endpoints = new Map<string, HealthEndpoint>();
  #externals: ReadonlyMap<string, External> = new Map();
  #dealt = 0;
  readonly #hostLabels = new Map<string, Labels>();
  #hostsRevision = 0;
  #isTogether = false;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** A label of the pod that cannot be given through the API. */
  oddLabel(pod: Pod): string | undefined {
    return Object.keys(pod.labels).find((key) => key.replace(/^k8s:/, '').includes(':'));
  }

  /** Resolves when every host holds all of it. */
  async become(state: State, needs: Needs): Promise<void> {
    this.#externals = state.externals;
    await this.#namespacesBecome(state.namespaces);
    await this.#hostsBecome();
    const moved = [...this.#players].filter(([key, { pod, workload }]) => {
      const wanted = state.pods.get(key);
      const misplaced = this.#isTogether && workload.spec.host !== this.#firstHost;
      return !wanted || misplaced || wanted.ip4 !== pod.ip4 || wanted.ip6 !== pod.ip6;
    });
    // Before others come: an address has one owner.
    await inParallel(moved, AT_ONCE, async ([key, { workload }]) => {
      await this.#fleet.removeWorkload(workload.id);
      this.#players.delete(key);
    });
    await inParallel([...state.pods], AT_ONCE, ([key, pod]) => this.#podBecomes(key, pod, needs));
    await this.#peersBecome(needs);
    await this.#settled();
  }

  /** Who speaks to whom, under which address. */
  async route({ from, to, family }: Cell): Promise<Route> {
    const address = (end: { readonly ip4?: string; readonly ip6?: string }) => (family === 4 ? end.ip4 : end.ip6) ?? '';
    const speaker = await this.#end(from, to);
    const hearer = await this.#end(to, from);
    return { from: speaker.station, to: hearer.station, source: address(speaker), address: address(hearer) };
  }

  describe({ from, to }: Cell): string {
    const text = (end: string): string => {
      const player = this.#players.get(end);
      return player
        ? `${end} is ${player.workload.id} on ${player.workload.spec.host} (${player.workload.ip4}, ${player.workload.ip6})`
        : `${end} is outside`;
    };
    return `traffic: ${text(from)}, ${text(to)}; logs in ${this.#fleet.logDir}`;
  }

  async #end(end: string, other: string): Promise<{ station: Station; ip4?: string; ip6?: string }> {
    const player = this.#players.get(end);
    if (player) return { station: player.workload, ip4: player.workload.ip4, ip6: player.workload.ip6 };
    const peer = this.#peers.get(end);
    if (peer) return { station: peer.peer, ip4: peer.spec.ip4, ip6: peer.spec.ip6 };
    const entity = this.#externals.get(end)?.entity;
    const { hosts } = this.#fleet.underlay;
    const own = this.#players.get(other)?.workload.spec.host ?? hosts[0]?.name;
    const host = hosts.find(({ name }) => (name === own) === (entity === 'host'));
    const endpoint = entity === 'health' && host && this.#endpoints.get(host.name);
    if (endpoint) return endpoint;
    const station = host && this.#hostStations.get(host.name);
    if (!station) throw new Error(`nobody plays ${end}`);
    return { station, ip4: host.ip4, ip6: host.ip6 };
  }

  async #namespacesBecome(wanted: ReadonlyMap<string, Labels>): Promise<void> {
    for (const [name, given] of wanted) {
      const labels = labelsOf(given);
      if (same(this.#namespaces.get(name), labels)) continue;
      const url = `${this.#fleet.control.urls.inventory}/v1/namespaces/${name}`;
      await callApi(url, { method: 'PUT', body: { labels } });
      this.#namespaces.set(name, labels);
    }
  }

  get #firstHost(): string {
    return this.#fleet.underlay.hosts[0]?.name as string;
  }

  /** Hosts that are told apart by their labels: all pods are on the first, which is then the host, and all others are remote nodes. */
  async #hostsBecome(): Promise<void> {
    const labelled = [...this.#externals.values()].filter(({ labels }) => labels !== undefined);
    this.#isTogether = labelled.length > 0;
    for (const { name } of this.#fleet.underlay.hosts) {
      const entity = name === this.#firstHost ? 'host' : 'remote-node';
      const labels = labelsOf(labelled.find((one) => one.entity === entity)?.labels ?? {});
      if (same(this.#hostLabels.get(name) ?? {}, labels)) continue;
      const url = `${this.#fleet.control.urls.inventory}/v1/hosts/${name}`;
      const { revision } = await callApi<{ revision: number }>(url, { method: 'PATCH', body: { labels } });
      this.#hostLabels.set(name, labels);
      this.#hostsRevision = Math.max(this.#hostsRevision, revision);
    }
  }

  async #podBecomes(key: string, pod: Pod, needs: Needs): Promise<void> {
    const there = this.#players.get(key);
    const labels = this.oddLabel(pod) === undefined ? labelsOf(pod.labels) : {};
    if (there) {
      if (!same(there.pod.labels, pod.labels) || !same(there.pod.ports, pod.ports)) {
        const url = `${this.#fleet.control.urls.inventory}/v1/workloads/${there.workload.id}`;
        await callApi(url, { method: 'PATCH', body: { labels, ports: pod.ports } });
      }
      await there.workload.listen(portsOf(needs));
      this.#players.set(key, { ...there, pod });
      return;
    }
    const hosts = this.#fleet.underlay.hosts;
    const host = this.#isTogether ? this.#firstHost : (hosts[this.#dealt++ % hosts.length]?.name as string);
    const { ns: namespace, name, ip4, ip6 } = pod;
    const spec = { name, namespace, host, labels, ip4, ip6, ports: [...pod.ports], ...portsOf(needs) };
    const workload = await this.#fleet.register(await this.#fleet.makePlace(spec));
    this.#players.set(key, { pod, workload });
  }

  async #peersBecome(needs: Needs): Promise<void> {
    for (const [name, { spec, peer }] of this.#peers) {
      if (same(this.#externals.get(name), spec)) continue;
      await this.#fleet.removeExternal(peer);
      this.#peers.delete(name);
    }
    for (const [name, spec] of this.#externals) {
      if (spec.entity !== undefined) continue;
      const known = this.#peers.get(name)?.peer;
      const peer = known ?? (await this.#fleet.addExternal({ name, ip4: spec.ip4, ip6: spec.ip6 }));
      await peer.listen(portsOf(needs));
      this.#peers.set(name, { spec, peer });
    }
    const entities = new Set([...this.#externals.values()].map(({ entity }) => entity));
    for (const { name } of entities.has('health') ? this.#fleet.underlay.hosts : []) {
      const endpoint = await this.#fleet.healthEndpoint(name);
      await endpoint.station.listen(portsOf(needs));
      this.#endpoints.set(name, endpoint);
    }
    if (!entities.has('host') && !entities.has('remote-node')) return;
    for (const { name } of this.#fleet.underlay.hosts) {
      const station = await this.#fleet.hostStation(name);
      await station.listen(portsOf(needs));
      this.#hostStations.set(name, station);
    }
  }

  /** Each workload is in force where it lives, and every host knows who has which address. */
  async #settled(): Promise<void> {
    const ids = new Set([...this.#players.values()].map(({ workload }) => workload.id));
    await Promise.all([...ids].map((id) => this.#fleet.waitWorkloadReady(id, SETTLE_MS)));
    const listed = await callAll<{ id: string; revision: number }>(
      `${this.#fleet.control.urls.inventory}/v1/workloads?limit=1000`,
    );
    const newest = listed
      .filter(({ id }) => ids.has(id))
      .reduce((max, w) => Math.max(max, w.revision), this.#hostsRevision);
    await this.#fleet.waitReported('inventory', newest, SETTLE_MS);
  }
}
