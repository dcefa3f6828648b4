// SPDX-License-Identifier: Apache-2.0
/** The fleet that datapath faults share: a server on h1, friends that may reach it on both hosts, strangers that may not. */

import { callApi } from '@weir/infra/api';
import type { DriveReport, Fleet, Workload } from '@weir/infra/fleet';

export const POLICY = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: server, namespace: default }
spec:
  podSelector: { matchLabels: { app: server } }
  ingress:
    - from: [ { podSelector: { matchLabels: { app: friend } } } ]
      ports: [ { port: 80 }, { port: 80, protocol: UDP } ]
`;

export interface Scene {
  readonly fleet: Fleet;
  readonly agent: NonNullable<ReturnType<Fleet['agents']['get']>>;
  readonly server: Workload;
  /** On h2. */
  readonly friend: Workload;
  /** On h1, a friend too. */
  readonly neighbour: Workload;
  readonly stranger: Workload;
  /** On h1; nobody's business. */
  readonly bystanders: readonly Workload[];
}

export const applyPolicy = async ({ fleet }: Pick<Scene, 'fleet'>, text: string): Promise<number> => {
  const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
    raw: { type: 'application/yaml', text },
  });
  return revision;
};

export const SERVED_PORT = 80;
const FAMILIES = ['ip4', 'ip6'] as const;

/** An address outside by which the server is reached, in both families, until `done`. */
export const serveAt = async (
  { fleet, server }: Scene,
  id: string,
  vip: Readonly<Record<(typeof FAMILIES)[number], string>>,
): Promise<() => Promise<void>> => {
  const url = `${fleet.control.urls.inventory}/v1/services/default.${id}`;
  const body = {
    frontends: FAMILIES.map((family) => ({ type: 'external-ip', address: vip[family], port: SERVED_PORT })),
    backends: FAMILIES.map((family) => ({ address: server[family], port: SERVED_PORT })),
  };
  const { revision } = await callApi<{ revision: number }>(url, { method: 'PUT', body });
  await fleet.waitReported('inventory', revision, 60_000);
  return async () => {
    await callApi(url, { method: 'DELETE' });
  };
};

export const makeScene = async (fleet: Fleet, bystanders: number): Promise<Scene> => {
  const [server, friend, neighbour, stranger, ...others] = (await fleet.addWorkloads([
    { name: 'server', host: 'h1', labels: { app: 'server' }, tcp: [80], udp: [80] },
    { name: 'friend', host: 'h2', labels: { app: 'friend' }, tcp: [80] },
    { name: 'neighbour', host: 'h1', labels: { app: 'friend' } },
    { name: 'stranger', host: 'h2', labels: { app: 'stranger' } },
    ...Array.from({ length: bystanders }, (_, at) => ({ name: `other${at}`, host: 'h1', labels: { app: 'other' } })),
  ])) as [Workload, Workload, Workload, Workload, ...Workload[]];
  const agent = fleet.agents.get('h1');
  if (!agent) throw new Error('h1 has no agent');
  const scene = { fleet, agent, server, friend, neighbour, stranger, bystanders: others };
  await fleet.waitRealised(await applyPolicy(scene, POLICY), 60_000);
  return scene;
};

/** Forbidden and allowed traffic that goes on while something happens. */
export interface Watch {
  stop(): Promise<{ readonly forbidden: readonly DriveReport[]; readonly allowed: DriveReport }>;
}

const TICK_MS = 20;
/** Of each of the four ways in which the stranger tries. */
const FORBIDDEN_TICK_MS = 40;
/** However busy the machine, only a real refusal fails what should be answered. */
const PATIENT_MS = 10_000;

export const watchTraffic = async ({ stranger, friend, server }: Scene): Promise<Watch> => {
  const forbidden = await Promise.all(
    (['tcp', 'udp'] as const).flatMap((protocol) =>
      [server.ip4, server.ip6].map((host) =>
        stranger.open({ protocol, host, port: 80, tickMs: FORBIDDEN_TICK_MS, timeoutMs: 500 }),
      ),
    ),
  );
  const allowed = await friend.open({
    ...{ protocol: 'tcp', host: server.ip4, port: 80, tickMs: TICK_MS, timeoutMs: PATIENT_MS },
  });
  return {
    stop: async () => {
      const reports = await Promise.all(forbidden.map((drive) => drive.stop({ drainMs: 500 })));
      return { forbidden: reports, allowed: await allowed.stop({ drainMs: PATIENT_MS }) };
    },
  };
};

/** Sum over drives. */
export const total = (reports: readonly DriveReport[], field: 'sent' | 'answered' | 'refused' | 'lost'): number =>
  reports.reduce((sum, report) => sum + report[field], 0);
