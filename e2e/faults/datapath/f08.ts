// SPDX-License-Identifier: Apache-2.0
/**
 * F08: maps are filled to the brim and one beyond.
 *
 * A Kubernetes ipBlock takes two entries of a policy map for each port: its peers may be managed or not.
 */
import type { TestContext } from 'node:test';
import { weir_limits } from '@weir/bpf';
import { callApi } from '@weir/infra/api';
import { type DriveReport, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { agentMetric, agentStatus, agentWorkloads } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { fillNat, MAX_NAT } from './full-nat.ts';
import { fillServices, MAX_SERVICE_SOCKETS, MAX_SERVICES } from './full-services.ts';
import { applyPolicy, POLICY, type Scene } from './scene.ts';

const CONNTRACK = size({ short: 4_096, long: 65_536 });
const CIDRS = size({ short: 256, long: 4_096 });
/** By each family: ports of one client to one address are too few to fill the table. */
const FLOWS_PER_TICK = size({ short: 4, long: 24 });
const PREFIXES = 100;
const ENTRIES_PER_BLOCK = 2;
/** Each; how many of them fit. */
const PORTS = Math.floor(weir_limits.WEIR_MAX_POLICY / PREFIXES / ENTRIES_PER_BLOCK);
const PRESSURE = 0.9;
const PATIENT_MS = size({ short: 60_000, long: 240_000 });
const HELD = 20;

const block = (i: number, net: number): string => `{ ipBlock: { cidr: 100.${net}.${i >> 8}.${i & 255}/32 } }`;
const blocks = (count: number, net: number): string =>
  Array.from({ length: count }, (_, i) => block(i, net)).join(', ');
const ports = (count: number): string => Array.from({ length: count }, (_, i) => `{ port: ${1000 + i} }`).join(', ');

/** The friends' rule, and so many prefixes with so many ports each. */
const large = (prefixes: number, portCount: number, net = 64): string =>
  `${POLICY}    - from: [ ${blocks(prefixes, net)} ]\n      ports: [ ${ports(portCount)} ]\n`;

/** Whoever is outside may ask the bystanders: they depend on who is outside. */
const OPEN = POLICY.replace('name: server', 'name: open')
  .replace('app: server', 'app: other')
  .replace('podSelector: { matchLabels: { app: friend } }', 'ipBlock: { cidr: 0.0.0.0/0 }');

/** Of one overflow: the most that was seen before it, and whether everybody was told. */
interface Overflow {
  readonly pressure: number;
  readonly told: boolean;
  readonly works: boolean;
}

class FullMaps {
  readonly #scene: Scene;
  unintended = 0;
  othersFailed = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  pressure(map: string): Promise<number> {
    return agentMetric(this.#scene.agent, 'weir_agent_map_pressure_ratio', { map });
  }

  async #locked(): Promise<readonly string[]> {
    const workloads = await agentWorkloads(this.#scene.agent);
    return workloads.flatMap(({ id, message }) => (message.startsWith('in lockdown') ? [id] : []));
  }

  /** Exactly these are in lockdown, all others ready. */
  locked(wanted: readonly string[]): Promise<void> {
    const { agent } = this.#scene;
    return until(`lockdown of ${wanted.join(' ') || 'nobody'}`, PATIENT_MS, async () => {
      const workloads = await agentWorkloads(agent);
      const open = workloads.filter(({ id }) => !wanted.includes(id));
      const ready = open.every(({ state }) => state === 'ready');
      return ready && (await this.#locked()).length === wanted.length && workloads.length > wanted.length;
    });
  }

  async reaches(from: Workload, to: Workload, timeoutMs: number): Promise<boolean> {
    const port = to === this.#scene.server ? { protocol: 'tcp' as const, port: 80 } : { protocol: 'icmp' as const };
    return (await from.probe({ ...port, host: to.ip4, timeoutMs })).ok;
  }

  allowed(): Promise<boolean> {
    return this.reaches(this.#scene.friend, this.#scene.server, PATIENT_TIMEOUT_MS);
  }

  async #forbidden(from: readonly Workload[]): Promise<void> {
    for (const one of from) this.unintended += Number(await this.reaches(one, this.#scene.server, 700));
  }

  strangerTries(): Promise<void> {
    return this.#forbidden([this.#scene.stranger]);
  }

  /** In the metric, in status, to the policy service by the host's ack, and in inventory. */
  async #told(revision: number, locked: Workload): Promise<boolean> {
    const { agent, fleet } = this.#scene;
    const { policy, inventory } = fleet.control.urls;
    await until('the fleet to know of the lockdown', PATIENT_MS, async () => {
      const { hosts } = await callApi<{ hosts: { host: string; state: string; error?: string }[] }>(
        `${policy}/v1/revisions/${revision}`,
      );
      const { state, error = '' } = hosts.find(({ host }) => host === 'h1') ?? { state: 'none' };
      const known = await callApi<{ state_message: string | null }>(`${inventory}/v1/workloads/${locked.id}`);
      return state === 'failed' && error.includes('lockdown') && (known.state_message ?? '').includes('lockdown');
    });
    const { errors } = await agentStatus(agent);
    const lockdowns = await agentMetric(agent, 'weir_agent_lockdowns');
    return lockdowns >= 1 && errors.some(({ message }) => message.includes(`${locked.id} is in lockdown`));
  }

  async #pressed(map: string): Promise<number> {
    await until(`pressure of ${map}`, PATIENT_MS, async () => (await this.pressure(map)) >= PRESSURE);
    return this.pressure(map);
  }

  /** A policy of the server that nearly fills the map, one that does not fit, and back. */
  async policyOverflow(map: string, fits: string, tooMuch: string): Promise<Overflow> {
    const { fleet, server, friend, neighbour, stranger, bystanders } = this.#scene;
    await fleet.waitRealised(await applyPolicy(this.#scene, fits), PATIENT_MS);
    const pressure = await this.#pressed(map);
    const open = await this.allowed();
    const revision = await applyPolicy(this.#scene, tooMuch);
    await this.locked([server.id]);
    await this.#forbidden([friend, neighbour, stranger]);
    const [other] = bystanders;
    if (other && !(await this.reaches(friend, other, PATIENT_TIMEOUT_MS))) this.othersFailed++;
    const told = await this.#told(revision, server);
    await fleet.waitRealised(await applyPolicy(this.#scene, POLICY), PATIENT_MS);
    await this.locked([]);
    return { pressure, told, works: open && (await this.allowed()) };
  }

  /** All of one policy's prefixes are replaced at once, each nearly filling the map. */
  async replacePrefixes(): Promise<void> {
    const { fleet } = this.#scene;
    for (const net of [64, 65]) {
      await fleet.waitRealised(await applyPolicy(this.#scene, large(CIDRS - 6, 1, net)), PATIENT_MS);
    }
    await fleet.waitRealised(await applyPolicy(this.#scene, POLICY), PATIENT_MS);
  }

  /** One more workload than the host has room to know: bystanders would take it for the world outside. */
  async ipcacheOverflow(): Promise<Overflow> {
    const { fleet, bystanders, server } = this.#scene;
    const revision = await applyPolicy(this.#scene, OPEN);
    await fleet.waitRealised(revision, PATIENT_MS);
    const pressure = await this.#pressed('ipcache');
    const late = await fleet.addWorkload({ name: 'late', host: 'h2', labels: { app: 'late' } });
    await this.locked(bystanders.map(({ id }) => id));
    const [other] = bystanders as [Workload, ...Workload[]];
    this.unintended += Number(await this.reaches(late, other, 700)) + Number(await this.reaches(late, server, 700));
    if (!(await this.allowed())) this.othersFailed++;
    const told = await this.#told(revision, other);
    await fleet.removeWorkload(late.id);
    await this.locked([]);
    await callApi(`${fleet.control.urls.policy}/v1/policies/NetworkPolicy/default/open`, { method: 'DELETE' });
    return { pressure, told, works: await this.allowed() };
  }
}

const sumOf = (loads: readonly DriveReport[], value: (load: DriveReport) => number): number =>
  loads.reduce((sum, load) => sum + value(load), 0);

export const mapsFull = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, neighbour, friend, server } = scene;
  const addresses = (await agentStatus(agent)).maps.used.ipcache ?? 0;
  await agent.kill();
  await agent.start({
    WEIR_AGENT_MAX_CONNTRACK: String(CONNTRACK),
    WEIR_AGENT_MAX_NAT: String(MAX_NAT),
    WEIR_AGENT_MAX_SERVICES: String(MAX_SERVICES),
    WEIR_AGENT_MAX_SERVICE_SOCKETS: String(MAX_SERVICE_SOCKETS),
    WEIR_AGENT_MAX_CIDRS: String(CIDRS),
    WEIR_AGENT_MAX_IPCACHE: String(addresses + 1),
  });
  const maps = new FullMaps(scene);
  await maps.locked([]);

  const policy = await maps.policyOverflow('policy', large(PREFIXES, PORTS - 5), large(PREFIXES, PORTS + 1));
  const cidrs = await maps.policyOverflow('cidrs', large(CIDRS - 6, 1), large(CIDRS + 1, 1));
  await maps.replacePrefixes();
  const ipcache = await maps.ipcacheOverflow();

  const held = await friend.hold({ host: server.ip4, port: 80, connections: HELD, tickMs: 20, stallMs: PATIENT_MS });
  const floods = await Promise.all(
    [server.ip4, server.ip6].map((host) =>
      neighbour.open({
        ...{ protocol: 'udp', host, port: 80, tickMs: 4, count: FLOWS_PER_TICK, timeoutMs: PATIENT_TIMEOUT_MS },
      }),
    ),
  );
  const evictions = async (): Promise<number> => (await agentStatus(agent)).counters.ct_evicted ?? 0;
  let ctPressure = 0;
  await until('connections to be evicted', PATIENT_MS, async () => {
    ctPressure = Math.max(ctPressure, await maps.pressure('conntrack'));
    return ctPressure >= PRESSURE && (await evictions()) > (isLong ? CONNTRACK / 2 : 0);
  });
  await maps.strangerTries();
  const duringFlood = await maps.allowed();
  const loads = await Promise.all(floods.map((flood) => flood.stop({ drainMs: PATIENT_TIMEOUT_MS })));
  const kept = await held.stop();
  const evicted = await evictions();
  const nat = await fillNat(scene, PRESSURE);
  const services = await fillServices(scene, PRESSURE);
  const ready = (await agentStatus(agent)).workloads;
  await agent.kill();
  await agent.start();
  await maps.locked([]);

  const pressures = {
    policy: policy.pressure,
    cidrs: cidrs.pressure,
    ipcache: ipcache.pressure,
    conntrack: ctPressure,
    nat: nat.pressure,
    services: services.pressure,
    service_sockets: services.socketsPressure,
  };
  const pressure = Object.fromEntries(
    Object.entries(pressures).map(([map, seen]) => [`${map}_pressure`, seen.toFixed(2)]),
  );
  const table = {
    ct_evicted: evicted,
    flows: sumOf(loads, ({ sent }) => sent),
    unanswered: sumOf(loads, ({ refused, lost }) => refused + lost),
    held_resets: kept.resets + nat.resets + services.resets,
    nat_evicted: nat.evicted,
    nat_unanswered: nat.unanswered,
    sockets_evicted: services.socketsEvicted,
  };
  const { othersFailed } = maps;
  const unintended = maps.unintended + services.unintended;
  report(t, 'F08', { ...pressure, ...table, others_failed: othersFailed, unintended_allows: unintended }, [
    ['a policy map that overflows is lockdown, told everywhere, and over when it fits', policy.told && policy.works],
    ['so are too many prefixes', cidrs.told && cidrs.works],
    ['so are too many addresses, for whom it matters', ipcache.told && ipcache.works],
    ['pressure seen before', Math.min(...Object.values(pressures)) >= PRESSURE],
    ['evicted connections are counted', evicted > 0 && nat.evicted > 0 && services.socketsEvicted > 0],
    ['a service too many is told and not served, the others are', services.worked],
    ['a full conntrack locks nobody down', ready.ready === ready.total],
    ['allowed connections are made with a full table', duringFlood && nat.worked],
    ['connections in use stay', kept.resets + nat.resets + services.resets === 0 && kept.connected === HELD],
    ['others are not touched', othersFailed === 0],
    ['0 unintended allows', unintended === 0],
  ]);
};
