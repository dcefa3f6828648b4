// SPDX-License-Identifier: Apache-2.0
/** What the rounds have shown so far: for each path its last answer and how often there was none since. Pure. */
import type { Measured, ProbeKind, Target, TargetKind } from './round.ts';

/** From so many on without an answer a path counts as unreachable: one lost packet is no outage. */
export const FAILURES = 3;
/** Probes in one report: a bound on a message, whatever the size of the fleet. */
const REPORTED_MAX = 1_000;

export interface Path extends Target {
  readonly kind: ProbeKind;
  /** Of the last answer; 0 before the first. */
  readonly latencyUs: number;
  /** Empty: it answered. */
  readonly error: string;
  readonly probedMs: number;
  /** Probes since the last answer. */
  readonly failures: number;
}

export interface Summary {
  readonly paths: readonly Path[];
  readonly hosts: number;
  readonly unreachableHosts: number;
  readonly endpoints: number;
  readonly unreachableEndpoints: number;
  readonly probesTotal: number;
  readonly unreachableProbes: number;
}

const keyOf = ({ host, address, kind }: Pick<Path, 'host' | 'address' | 'kind'>): string =>
  `${host} ${address} ${kind}`;
export const isUnreachable = ({ failures }: Path): boolean => failures >= FAILURES;

export class PathBook {
  #paths = new Map<string, Path>();

  /** A whole round; what is not in it is no longer there to be asked. */
  record(round: readonly Measured[]): void {
    const next = new Map<string, Path>();
    for (const { host, target, address, kind, latencyUs, error, atMs } of round) {
      const key = keyOf({ host, address, kind });
      const before = this.#paths.get(key);
      next.set(key, {
        host,
        target,
        address,
        kind,
        latencyUs: latencyUs ?? before?.latencyUs ?? 0,
        error,
        probedMs: atMs,
        failures: latencyUs === undefined ? (before?.failures ?? 0) + 1 : 0,
      });
    }
    this.#paths = next;
  }

  /** Without an answer first, then the slowest: what does not fit into a report is well. */
  summary(): Summary {
    const all = [...this.#paths.values()];
    const paths = all
      .toSorted((a, b) => b.failures - a.failures || b.latencyUs - a.latencyUs || (keyOf(a) < keyOf(b) ? -1 : 1))
      .slice(0, REPORTED_MAX);
    const probed = (target: TargetKind): number =>
      new Set(all.filter((path) => path.target === target).map(({ host }) => host)).size;
    return {
      paths,
      hosts: probed('host'),
      unreachableHosts: this.unreachable('host').size,
      endpoints: probed('endpoint'),
      unreachableEndpoints: this.unreachable('endpoint').size,
      probesTotal: all.length,
      unreachableProbes: all.filter(isUnreachable).length,
    };
  }

  /** Hosts of which no address of that kind answers. */
  unreachable(target: TargetKind): Set<string> {
    const all = [...this.#paths.values()].filter((path) => path.target === target);
    const hosts = new Set(all.map(({ host }) => host));
    for (const path of all) if (!isUnreachable(path)) hosts.delete(path.host);
    return hosts;
  }

  counts(kind: ProbeKind, target: TargetKind): { readonly reachable: number; readonly unreachable: number } {
    const all = [...this.#paths.values()].filter((path) => path.kind === kind && path.target === target);
    const unreachable = all.filter(isUnreachable).length;
    return { reachable: all.length - unreachable, unreachable };
  }
}
