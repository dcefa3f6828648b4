// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads of a fleet: a namespace with a station made here, the rest (interface, addresses, routes, programs) by the
 * host's agent once the workload is registered through the public API.
 */
import { join } from 'node:path';
import { makeNetns, netnsName, netnsPath } from './netns.ts';
import { makeCgroup } from './processes.ts';
import type { Resources } from './resources.ts';
import { Station, type StationProgram, startProgram } from './station.ts';
import type { Listening } from './traffic.ts';

export interface WorkloadSpec extends Listening {
  readonly name: string;
  readonly host: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly { name: string; port: number; protocol: string }[];
  /** Addresses that it must have. */
  readonly ip4?: string;
  readonly ip6?: string;
}

/** What inventory answers about a workload; fields used here. */
export interface RegisteredWorkload {
  readonly id: string;
  /** Null: of a family that the fleet does not give. */
  readonly ip4: string | null;
  readonly ip6: string | null;
  readonly identity: number;
  readonly revision: number;
}

/** A workload's inside before it is registered: what happens the moment it is connected can be seen from there. */
export interface Place {
  readonly spec: WorkloadSpec;
  readonly id: string;
  readonly netns: string;
  readonly station: Station;
}

export class Workload extends Station {
  readonly spec: WorkloadSpec;
  readonly id: string;
  readonly netns: string;
  /** Empty without an address of that family. */
  readonly ip4: string;
  readonly ip6: string;
  readonly identity: number;
  readonly revision: number;

  constructor(place: Place, registered: RegisteredWorkload) {
    super(place.station);
    this.spec = place.spec;
    this.id = registered.id;
    this.netns = place.netns;
    this.ip4 = registered.ip4 ?? '';
    this.ip6 = registered.ip6 ?? '';
    this.identity = registered.identity;
    this.revision = registered.revision;
  }
}

export interface PlaceMaker {
  readonly fleet: string;
  readonly resources: Resources;
  /** Short path (a socket's may have 107 bytes) for control sockets. */
  readonly runDir: string;
  readonly logDir: string;
  /** cgroup v2 folder of a host. */
  readonly hostCgroup: (host: string) => string;
}

export const workloadId = (spec: WorkloadSpec): string => `${spec.namespace ?? 'default'}.${spec.name}`;

export const makePlace = async (maker: PlaceMaker, spec: WorkloadSpec): Promise<Place> => {
  const { fleet, resources, runDir, logDir } = maker;
  const id = workloadId(spec);
  const netns = netnsName(fleet, `w-${spec.namespace ?? 'default'}-${spec.name}`);
  await makeNetns(resources, netns);
  const program: StationProgram = await startProgram({
    resources,
    logDir,
    name: `workload-${id}`,
    control: join(runDir, `${id}.sock`),
    netns,
    cgroup: makeCgroup(resources, join(maker.hostCgroup(spec.host), id)),
  });
  const station = new Station(program);
  await station.listen(spec);
  return { spec, id, netns, station };
};

/** The body of POST /v1/workloads. */
export const registration = ({ spec, netns }: Place): Record<string, unknown> => ({
  name: spec.name,
  namespace: spec.namespace ?? 'default',
  host: spec.host,
  labels: spec.labels ?? {},
  netns: netnsPath(netns),
  ...(spec.ports ? { ports: spec.ports } : {}),
  ...(spec.ip4 ? { ip4: spec.ip4 } : {}),
  ...(spec.ip6 ? { ip6: spec.ip6 } : {}),
});
