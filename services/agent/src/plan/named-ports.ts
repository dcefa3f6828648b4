// SPDX-License-Identifier: Apache-2.0
/** Named ports of all workloads by identity: an egress rule that names a port means the port of whoever is asked. */
import type { NamedPort } from '@weir/policy-engine';
import type { Workload } from '@weir/proto/weir/bus/v1/config_pb.js';

interface Known {
  readonly identity: number;
  readonly ports: readonly NamedPort[];
}

const portText = ({ name, port, protocol }: NamedPort): string => `${name} ${protocol} ${port}`;
const text = (known: Known | undefined): string => `${known?.identity} ${known?.ports.map(portText).join()}`;

export class NamedPorts {
  readonly #known = new Map<string, Known>();
  #byIdentity: Map<number, readonly NamedPort[]> | undefined;

  /** True when the meaning of some name may have changed. */
  put(subject: string, workload: Workload): boolean {
    const { identity, namedPorts } = workload;
    if (namedPorts.length === 0) return this.remove(subject);
    const known = { identity, ports: namedPorts.map(({ name, port, protocol }) => ({ name, port, protocol })) };
    if (text(known) === text(this.#known.get(subject))) return false;
    this.#known.set(subject, known);
    this.#byIdentity = undefined;
    return true;
  }

  remove(subject: string): boolean {
    if (!this.#known.delete(subject)) return false;
    this.#byIdentity = undefined;
    return true;
  }

  get byIdentity(): ReadonlyMap<number, readonly NamedPort[]> {
    if (this.#byIdentity) return this.#byIdentity;
    const ports = new Map<number, Map<string, NamedPort>>();
    for (const known of this.#known.values()) {
      const same = ports.get(known.identity) ?? new Map<string, NamedPort>();
      for (const port of known.ports) same.set(portText(port), port);
      ports.set(known.identity, same);
    }
    this.#byIdentity = new Map(
      [...ports]
        .sort(([a], [b]) => a - b)
        .map(([identity, same]) => [identity, [...same].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, port]) => port)]),
    );
    return this.#byIdentity;
  }
}
