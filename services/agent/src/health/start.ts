// SPDX-License-Identifier: Apache-2.0
/** The health mesh of an agent, with where its results go: the bus, metrics, the local API. */
import { type Bus, subjects } from '@weir/bus';
import { histogram, observe } from '@weir/telemetry';
import type { Summary } from './book.ts';
import type { EndpointPlace } from './endpoint.ts';
import { HealthMesh } from './mesh.ts';
import type { Ping, ProbeKind, TargetKind } from './round.ts';

export interface HealthOptions {
  readonly host: string;
  readonly boot: bigint;
  readonly ping: Ping;
  readonly endpoint?: EndpointPlace | undefined;
  /** While it is connected. */
  readonly bus: () => Pick<Bus, 'nc'> | undefined;
  /** Another one of the hosts that are watched answers, or none does. */
  readonly onWatched?: () => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const KINDS: readonly ProbeKind[] = ['icmp', 'tcp'];
const TARGETS: readonly TargetKind[] = ['host', 'endpoint'];

const publish = ({ nc }: Pick<Bus, 'nc'>, { host, boot }: HealthOptions, summary: Summary, intervalS: number): void => {
  if (nc.isClosed()) return;
  const { paths, ...counts } = summary;
  const bytes = subjects.health.encode({
    boot,
    intervalS,
    ...counts,
    probes: paths.map(({ probedMs, ...path }) => ({ ...path, probedMs: BigInt(probedMs) })),
  });
  nc.publish(subjects.health.build({ host }), bytes);
};

export const startHealthMesh = (options: HealthOptions): { readonly mesh: HealthMesh; stop(): Promise<void> } => {
  const mesh = new HealthMesh({
    host: options.host,
    ping: options.ping,
    endpoint: options.endpoint,
    onTrouble: options.onTrouble,
    onWatched: () => options.onWatched?.(),
    onRound: (summary, intervalS, measured) => {
      for (const { kind, target, latencyUs } of measured) {
        if (latencyUs === undefined) continue;
        histogram('weir_agent_node_health_connectivity_latency_seconds').record(latencyUs / 1_000_000, {
          kind,
          target,
        });
      }
      const bus = options.bus();
      // Core NATS: the next round follows.
      if (bus) publish(bus, options, summary, intervalS);
    },
  });
  const stops = [
    observe('weir_agent_node_health_connectivity_status', (result) => {
      for (const [kind, target] of KINDS.flatMap((one) => TARGETS.map((other) => [one, other] as const))) {
        for (const [status, count] of Object.entries(mesh.book.counts(kind, target))) {
          result(count, { kind, target, status });
        }
      }
    }),
    observe('weir_agent_unreachable_nodes', (result) => result(mesh.summary.unreachableHosts)),
    observe('weir_agent_unreachable_health_endpoints', (result) => result(mesh.summary.unreachableEndpoints)),
  ];
  mesh.start();
  return {
    mesh,
    stop: async () => {
      for (const stop of stops) stop();
      await mesh.stop();
    },
  };
};
