// SPDX-License-Identifier: Apache-2.0
/**
 * More services than a host has room for: the one too many is not served and says so, the others are; and more sockets than
 * are remembered.
 */
import { callApi } from '@weir/infra/api';
import { PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { agentMetric, agentStatus } from '../../lib/agent-api.ts';
import { size } from '../../lib/size.ts';
import type { Scene } from './scene.ts';

export const MAX_SERVICES = size({ short: 64, long: 1_024 });
export const MAX_SERVICE_SOCKETS = size({ short: 2_048, long: 4_096 });
/** A sixteenth stays free. */
const ROOM = MAX_SERVICES - MAX_SERVICES / 16;
const NEARLY_ALL = Math.ceil(ROOM * 0.95);
const FIRST_PORT = 8_000;
/** Not more: each processor keeps up to 128 free places of an LRU to itself, and the kernel gives up 128 entries at once. */
const NEARLY_FULL = 0.92;
/** They are many, and only have to be there. */
const TICK_MS = 5_000;
const PATIENT_MS = 60_000;
const REFUSED_MS = 700;

const KEPT = { id: 'default.kept', address: '203.0.113.90' } as const;
const LATE = { id: 'default.overflowing', address: '203.0.113.91' } as const;

export interface FullServices {
  /** The most that was seen: of frontends, of sockets that are remembered. */
  readonly pressure: number;
  readonly socketsPressure: number;
  readonly socketsEvicted: number;
  /** What did not fit was said, not served, and served as soon as there was room; the others were served throughout. */
  readonly worked: boolean;
  /** Who may not reach the backend did by its service. */
  readonly unintended: number;
  /** A socket that was forgotten stays connected. */
  readonly resets: number;
}

/** Of an agent that has room for MAX_SERVICES and MAX_SERVICE_SOCKETS. Leaves no service. */
export const fillServices = async (
  { fleet, agent, neighbour, bystanders }: Scene,
  pressureWanted: number,
): Promise<FullServices> => {
  const urlOf = (id: string): string => `${fleet.control.urls.inventory}/v1/services/${id}`;
  const put = ({ id, address }: { readonly id: string; readonly address: string }, count: number): Promise<unknown> => {
    const frontends = Array.from({ length: count }, (_, i) => ({
      ...{ type: 'external-ip', address, port: FIRST_PORT + i },
      ...(i === 0 ? { protocol: 'UDP', port_name: 'udp' } : { protocol: 'TCP', port_name: 'tcp' }),
    }));
    const targets = ['tcp', 'udp'].map((name) => ({ port_name: name, port: 80, protocol: name.toUpperCase() }));
    const selector = { match_expressions: [{ key: 'app', operator: 'In', values: ['server'] }] };
    return callApi(urlOf(id), { method: 'PUT', body: { frontends, targets, selector } });
  };
  const asks = async (from: Workload, host: string, port: number, timeoutMs: number): Promise<boolean> =>
    (await from.probe({ protocol: 'tcp', host, port, timeoutMs })).ok;
  const served = (address: string, port: number): Promise<void> =>
    until(`${address}:${port} to be served`, PATIENT_MS, () => asks(neighbour, address, port, PATIENT_TIMEOUT_MS));
  const pressureOf = (map: string): Promise<number> => agentMetric(agent, 'weir_agent_map_pressure_ratio', { map });
  const isSaid = async (): Promise<boolean> =>
    (await agentStatus(agent)).errors.some(({ message }) => message.includes(`${LATE.id} does not fit`));

  await put(KEPT, NEARLY_ALL);
  await served(KEPT.address, FIRST_PORT + NEARLY_ALL - 1);
  const pressure = await pressureOf('services');
  await put(LATE, ROOM - NEARLY_ALL + 1);
  await until('the service that does not fit to be told', PATIENT_MS, isSaid);
  let worked = !(await asks(neighbour, LATE.address, FIRST_PORT + 1, REFUSED_MS));
  worked &&= await asks(neighbour, KEPT.address, FIRST_PORT + 1, PATIENT_TIMEOUT_MS);
  const [other] = bystanders as [Workload, ...Workload[]];
  const unintended = Number(await asks(other, KEPT.address, FIRST_PORT + 1, REFUSED_MS));
  await put(KEPT, NEARLY_ALL - 1);
  await served(LATE.address, FIRST_PORT + 1);
  worked &&= !(await isSaid());

  const evictions = async (): Promise<number> => (await agentStatus(agent)).counters.service_sockets_evicted ?? 0;
  const sockets = { host: KEPT.address, port: FIRST_PORT + 1, tickMs: TICK_MS, stallMs: PATIENT_MS };
  const nearly = await neighbour.hold({ ...sockets, connections: Math.ceil(MAX_SERVICE_SOCKETS * NEARLY_FULL) });
  let socketsPressure = 0;
  await until('room for sockets to be nearly gone', PATIENT_MS, async () => {
    socketsPressure = await pressureOf('service_sockets');
    return socketsPressure >= pressureWanted;
  });
  const beyond = await neighbour.hold({ ...sockets, connections: MAX_SERVICE_SOCKETS / 4 });
  await until('sockets to be forgotten', PATIENT_MS, async () => (await evictions()) > 0);
  worked &&= await asks(neighbour, KEPT.address, FIRST_PORT + 1, PATIENT_TIMEOUT_MS);
  const held = await Promise.all([nearly.stop(), beyond.stop()]);
  const socketsEvicted = await evictions();
  for (const { id } of [KEPT, LATE]) await callApi(urlOf(id), { method: 'DELETE' });
  return {
    pressure,
    socketsPressure,
    socketsEvicted,
    worked,
    unintended,
    resets: held.reduce((sum, { resets }) => sum + resets, 0),
  };
};
