// SPDX-License-Identifier: Apache-2.0
/** A server that a friend may reach and a stranger may not; which of two ports is said by a policy that changes. */
import { callApi } from '@weir/infra/api';
import { type Fleet, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';

export interface Scene {
  readonly fleet: Fleet;
  readonly server: Workload;
  readonly friend: Workload;
  readonly stranger: Workload;
  /** Opens one port to the friend and no other; resolves with the revision. */
  allow(port: number): Promise<number>;
  reaches(from: Workload, port: number, patient?: boolean): Promise<boolean>;
  /** Resolves with the milliseconds until the friend reaches the port and not the other any more. */
  untilOnly(port: number, other: number): Promise<number>;
}

export const PORTS = [80, 81] as const;

/** What an agent's run made and what became of it. */
export interface Run {
  readonly produced: number;
  readonly stored: number;
  readonly lost_ring: number;
  readonly lost_spool: number;
}

/** Resolves with the account of a host's newest run when at least so many of its events are stored or counted as lost. */
export const untilStored = async ({ fleet }: Scene, host: string, produced = 1): Promise<Run> => {
  const url = `${fleet.control.urls.analytics}/v1/watermarks?host=${host}`;
  let run: Run | undefined;
  await until(
    `every event of ${host} to be stored`,
    120_000,
    async () => {
      [run] = (await callApi<{ items: Run[] }>(url)).items;
      const most = Math.max(produced, run?.produced ?? 0);
      return run !== undefined && run.stored + run.lost_ring + run.lost_spool >= most;
    },
    () => JSON.stringify(run),
  );
  return run as Run;
};

const policy = (port: number): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: server, namespace: default }
spec:
  podSelector: { matchLabels: { app: server } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: friend } } } ], ports: [ { port: ${port} } ] } ]
`;

export const createScene = async (fleet: Fleet): Promise<Scene> => {
  const [server, friend, stranger] = (await Promise.all([
    fleet.addWorkload({ name: 'server', host: 'h1', labels: { app: 'server' }, tcp: [...PORTS] }),
    fleet.addWorkload({ name: 'friend', host: 'h2', labels: { app: 'friend' } }),
    fleet.addWorkload({ name: 'stranger', host: 'h2', labels: { app: 'stranger' } }),
  ])) as [Workload, Workload, Workload];
  const scene: Scene = {
    fleet,
    server,
    friend,
    stranger,
    allow: async (port) =>
      (
        await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
          raw: { type: 'application/yaml', text: policy(port) },
        })
      ).revision,
    reaches: async (from, port, patient = false) =>
      (
        await from.probe({
          protocol: 'tcp',
          host: server.ip4,
          port,
          timeoutMs: patient ? PATIENT_TIMEOUT_MS : 300,
        })
      ).ok,
    untilOnly: async (port, other) => {
      const startedAt = performance.now();
      await until(
        `the friend to reach port ${port} and not ${other}`,
        120_000,
        async () => (await scene.reaches(friend, port)) && !(await scene.reaches(friend, other)),
      );
      return performance.now() - startedAt;
    },
  };
  await fleet.waitRealised(await scene.allow(PORTS[0]), 60_000);
  await scene.untilOnly(PORTS[0], PORTS[1]);
  return scene;
};
