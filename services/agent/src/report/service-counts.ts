// SPDX-License-Identifier: Apache-2.0
/**
 * What clients asked of services on this host: read now and then, told to the fleet when it has changed, and summed by
 * service for metrics. Both are bounded: the services that were asked most are named, the rest is one sum.
 */
import { COUNTS_PAST } from '../apply/kernel/service-counts.ts';
import type { ServiceCount, Services } from '../apply/ports.ts';
import { every, type Loop } from '../loops/every.ts';
import type { FrontendPlace } from '../plan/frontend-places.ts';
import type { ServicePlanner } from '../plan/services.ts';

/** In a message to the fleet. */
const ROWS_MAX = 1_000;
const METRICS_MAX = 1_000;
/** Of the service that stands for all that are not named. */
export const OTHERS = '(others)';
/** Told at least so often, since nobody says whether it has arrived. */
const TELL_MS = 60_000;
const READ_MS = 5_000;
const TIDY_MS = 60_000;

export interface ServiceSum {
  connections: bigint;
  packets: bigint;
  bytes: bigint;
  flowHits: bigint;
  flowMisses: bigint;
  noBackend: bigint;
  denied: bigint;
}

export interface ToldCounts {
  readonly counts: readonly ServiceCount[];
  /** So many more rows there are. */
  readonly leftOut: number;
}

const weightOf = ({ connections, packets, noBackend, denied }: ServiceSum): bigint =>
  connections + packets + noBackend + denied;

const mostFirst = (a: ServiceSum, b: ServiceSum): number => {
  const more = weightOf(b) - weightOf(a);
  return more > 0n ? 1 : more < 0n ? -1 : 0;
};

const textOf = (rows: readonly ServiceCount[]): string =>
  JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value));

const add = (sums: Map<string, ServiceSum>, name: string, one: ServiceSum): void => {
  const had = sums.get(name);
  if (!had) {
    const { connections, packets, bytes, flowHits, flowMisses, noBackend, denied } = one;
    sums.set(name, { connections, packets, bytes, flowHits, flowMisses, noBackend, denied });
    return;
  }
  had.connections += one.connections;
  had.packets += one.packets;
  had.bytes += one.bytes;
  had.flowHits += one.flowHits;
  had.flowMisses += one.flowMisses;
  had.noBackend += one.noBackend;
  had.denied += one.denied;
};

export interface ServiceCounterOptions {
  readonly port: Pick<Services, 'readCounts' | 'tidyCounts'>;
  /** By number. */
  readonly places: () => ReadonlyMap<number, FrontendPlace>;
  readonly nowMs?: () => number;
}

export class ServiceCounter {
  readonly #options: ServiceCounterOptions;
  readonly #nowMs: () => number;
  #counts: readonly ServiceCount[] = [];
  #told = '';
  #toldMs = 0;

  constructor(options: ServiceCounterOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
  }

  async read(): Promise<void> {
    this.#counts = await this.#options.port.readCounts();
  }

  tidy(): Promise<void> {
    return this.#options.port.tidyCounts();
  }

  /** By service: `namespace.name`; frontends that no document has any more belong to none. */
  get services(): ReadonlyMap<string, ServiceSum> {
    const places = this.#options.places();
    const sums = new Map<string, ServiceSum>();
    for (const one of this.#counts) {
      const place = places.get(one.frontend);
      if (place) add(sums, place.service, one);
    }
    if (sums.size <= METRICS_MAX) return sums;
    const named = [...sums].sort(([, a], [, b]) => mostFirst(a, b));
    const shown = new Map(named.slice(0, METRICS_MAX - 1));
    for (const [, one] of named.slice(METRICS_MAX - 1)) add(shown, OTHERS, one);
    return shown;
  }

  /** For the next heartbeat; undefined: nothing new. */
  toTell(): ToldCounts | undefined {
    const rows = [...this.#counts].sort(mostFirst);
    const counts = rows.slice(0, ROWS_MAX);
    const text = textOf(counts);
    if (text === this.#told && (counts.length === 0 || this.#nowMs() - this.#toldMs < TELL_MS)) return undefined;
    this.#told = text;
    this.#toldMs = this.#nowMs();
    return { counts, leftOut: rows.length - counts.length };
  }

  /** For the local API, as it is now. */
  async list(limit: number, backendAt: (number: number) => string): Promise<object> {
    await this.read();
    const places = this.#options.places();
    const rows = [...this.#counts].sort(mostFirst);
    return {
      total: rows.length,
      items: rows.slice(0, limit).map(({ frontend, backend, ...sums }) => ({
        service: places.get(frontend)?.service ?? null,
        frontend: places.get(frontend)?.text ?? null,
        frontend_number: frontend,
        backend: backend === 0 ? null : backend === COUNTS_PAST ? 'gone' : backendAt(backend),
        backend_number: backend === COUNTS_PAST ? 0 : backend,
        connections: sums.connections,
        packets: sums.packets,
        bytes: sums.bytes,
        flow_hits: sums.flowHits,
        flow_misses: sums.flowMisses,
        no_backend: sums.noBackend,
        denied: sums.denied,
        open: sums.open,
      })),
    };
  }
}

export interface Counting {
  readonly counter: ServiceCounter;
  readonly loops: readonly Loop[];
}

export const startCounting = (
  port: ServiceCounterOptions['port'],
  planner: Pick<ServicePlanner, 'places'>,
  onTrouble: (what: string, cause: unknown) => void,
): Counting => {
  const counter = new ServiceCounter({ port, places: () => planner.places() });
  const failed = (error: unknown): void => onTrouble('what services were asked could not be read', error);
  return {
    counter,
    loops: [every(READ_MS, () => counter.read(), failed), every(TIDY_MS, () => counter.tidy(), failed)],
  };
};
