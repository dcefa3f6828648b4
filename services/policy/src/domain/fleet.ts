// SPDX-License-Identifier: Apache-2.0
/**
 * What this service knows of the fleet from the bus: hosts, which of them are heard, and the labels of who exists. A
 * document changes only what it tells of: labels change all the time, and thousands of workloads are not counted again
 * for each.
 */
import { type ConfigEntry, configSubject } from '@weir/bus';
import { type CidrGroup, directoryGroup, type IdentityLabels, type NamedPort } from '@weir/policy-engine';

/** Three heartbeats of 5 s. */
export const ALIVE_MS = 15_000;

export class Fleet {
  readonly #heardAt = new Map<string, number>();
  readonly #startedAt = Date.now();
  /** By subject, what was told last. */
  readonly #told = new Map<string, ConfigEntry>();
  #hosts: readonly string[] | undefined;
  /** Workloads that have an identity. */
  readonly #users = new Map<number, number>();
  readonly #labels = new Map<number, readonly string[]>();
  /** Labels of identities in use; undefined: to be joined again. */
  #identities: IdentityLabels | undefined;
  #known = false;

  /** Everything that exists: what is not in it is gone. */
  reset(entries: readonly ConfigEntry[]): void {
    this.#known = true;
    const present = new Set(entries.map(({ subject }) => subject));
    for (const entry of [...this.#told.values()]) if (!present.has(entry.subject)) this.#forget(entry.subject);
    for (const entry of entries) this.change(entry);
  }

  /** One document, or its end. */
  change(entry: ConfigEntry): void {
    this.#known = true;
    this.#forget(entry.subject);
    if (entry.removed) return;
    const { body } = entry.document;
    if (body.case === 'policy' || body.case === 'runtimePolicy') return;
    this.#told.set(entry.subject, entry);
    if (body.case === 'host') this.#hosts = undefined;
    if (body.case === 'workload') this.#use(body.value.identity, 1);
    if (body.case === 'identity') {
      this.#labels.set(body.value.identity, body.value.labels);
      this.#identities = undefined;
    }
  }

  #forget(subject: string): void {
    const body = this.#told.get(subject)?.document.body;
    if (body === undefined) return;
    this.#told.delete(subject);
    if (body.case === 'host') this.#hosts = undefined;
    if (body.case === 'workload') this.#use(body.value.identity, -1);
    if (body.case === 'identity') {
      this.#labels.delete(body.value.identity);
      this.#identities = undefined;
    }
  }

  #use(identity: number, by: 1 | -1): void {
    const before = this.#users.get(identity) ?? 0;
    if (before + by > 0) this.#users.set(identity, before + by);
    else this.#users.delete(identity);
    if (before === 0 || before + by === 0) this.#identities = undefined;
  }

  heard(host: string): void {
    this.#heardAt.set(host, Date.now());
  }

  hosts(): readonly string[] {
    this.#hosts ??= [...this.#told.values()].flatMap(({ kind, key }) => (kind === 'host' ? [key] : [])).sort();
    return this.#hosts;
  }

  /** key=value; undefined when nothing is known of the host. */
  hostLabels(host: string): readonly string[] | undefined {
    const body = this.#told.get(configSubject('host', host))?.document.body;
    if (body?.case !== 'host') return undefined;
    return Object.entries(body.value.labels).map(([key, value]) => `${key}=${value}`);
  }

  /** A host that has acknowledged before counts as alive until this process had time to hear of it. */
  isAlive(host: string, hasAcknowledged: boolean): boolean {
    const heardAt = this.#heardAt.get(host) ?? (hasAcknowledged ? this.#startedAt : Number.NEGATIVE_INFINITY);
    return Date.now() - heardAt < ALIVE_MS;
  }

  /** Labels of identities that a workload has; undefined before the first snapshot, when nothing can be said of them. */
  identities(): IdentityLabels | undefined {
    if (!this.#known) return undefined;
    this.#identities ??= new Map(
      [...this.#users.keys()].flatMap((identity) => {
        const labels = this.#labels.get(identity);
        return labels === undefined ? [] : [[identity, labels] as const];
      }),
    );
    return this.#identities;
  }

  /** Hosts and services, as rules name them. */
  directory(): readonly CidrGroup[] {
    return [...this.#told.values()].flatMap(({ document: { body } }) =>
      body.case === 'host' || body.case === 'service' ? [directoryGroup(body)] : [],
    );
  }

  /** Of all workloads. */
  addresses(): readonly string[] {
    return [...this.#told.values()].flatMap(({ document: { body } }) =>
      body.case === 'workload' ? [body.value.ip4, body.value.ip6].filter((ip) => ip !== '') : [],
    );
  }

  /** Of all workloads behind each identity, together. */
  namedPorts(): ReadonlyMap<number, readonly NamedPort[]> {
    const ports = new Map<number, NamedPort[]>();
    for (const { document } of this.#told.values()) {
      const { body } = document;
      if (body.case !== 'workload' || body.value.namedPorts.length === 0) continue;
      const { identity, namedPorts } = body.value;
      ports.set(identity, [...(ports.get(identity) ?? []), ...namedPorts]);
    }
    return ports;
  }
}
