// SPDX-License-Identifier: Apache-2.0
/**
 * How much of load balancing this host has room for. A service that does not fit is not served and says so; all others are,
 * whatever it asks for. A sixteenth of each map stays free: what takes another's place is there before that is gone.
 */
import { weir_service_limits } from '@weir/bpf';
import type { DocumentError } from './model.ts';
import type { ServiceView } from './service-view.ts';

export interface ServiceCounts {
  readonly frontends: number;
  /** Of all tables: backends by frontend. */
  readonly slots: number;
  readonly backends: number;
  readonly maglevTables: number;
}

/** Capacities of the maps; those of the contract unless told. */
export interface ServiceMaps {
  /** Frontends; what they lead to has room in proportion. */
  readonly maxServices?: number;
  readonly maxServiceSockets?: number;
  readonly maxServiceClients?: number;
}

const {
  WEIR_MAX_SERVICES,
  WEIR_MAX_SERVICE_SLOTS,
  WEIR_MAX_BACKENDS,
  WEIR_MAX_MAGLEV_TABLES,
  WEIR_MAX_SERVICE_REVERSE,
  WEIR_MAX_SERVICE_AFFINITY,
} = weir_service_limits;
const KINDS = ['frontends', 'slots', 'backends', 'maglevTables'] as const;
const TEXT = { frontends: 'frontends', slots: 'slots', backends: 'backends', maglevTables: 'Maglev tables' } as const;
const SPARE = 16;
/** Of who is not served here. */
export const NO_VIEW: ServiceView = { frontends: [], tables: new Map(), backends: new Map(), ranges: new Set() };

const each = (count: (kind: keyof ServiceCounts) => number): ServiceCounts => ({
  frontends: count('frontends'),
  slots: count('slots'),
  backends: count('backends'),
  maglevTables: count('maglevTables'),
});
const NOTHING = each(() => 0);

const mapsFor = (frontends: number): ServiceCounts => ({
  frontends,
  slots: frontends * (WEIR_MAX_SERVICE_SLOTS / WEIR_MAX_SERVICES),
  backends: frontends * (WEIR_MAX_BACKENDS / WEIR_MAX_SERVICES),
  maglevTables: WEIR_MAX_MAGLEV_TABLES,
});

const limitsFor = (frontends: number): ServiceCounts => {
  const maps = mapsFor(frontends);
  return each((kind) => maps[kind] - Math.ceil(maps[kind] / SPARE));
};

/** By the names of the maps. */
export const serviceEntries = (maps: ServiceMaps): Readonly<Record<string, number>> => {
  const { frontends, slots, backends } = mapsFor(maps.maxServices ?? WEIR_MAX_SERVICES);
  return {
    ...{ services: frontends, service_slots: slots, service_members: slots, backends },
    service_reverse: maps.maxServiceSockets ?? WEIR_MAX_SERVICE_REVERSE,
    service_affinity: maps.maxServiceClients ?? WEIR_MAX_SERVICE_AFFINITY,
  };
};

/** What may be in them. */
export const serviceCapacity = (maps: ServiceMaps) => {
  const { frontends, slots, backends, maglevTables } = limitsFor(maps.maxServices ?? WEIR_MAX_SERVICES);
  return {
    ...{ services: frontends, service_slots: slots, backends, maglev_tables: maglevTables },
    service_sockets: maps.maxServiceSockets ?? WEIR_MAX_SERVICE_REVERSE,
    service_clients: maps.maxServiceClients ?? WEIR_MAX_SERVICE_AFFINITY,
  };
};

const sizeOf = ({ frontends, tables, backends }: ServiceView): ServiceCounts => {
  let [slots, maglevTables] = [0, 0];
  for (const { backends: own, maglev } of tables.values()) {
    slots += own.length;
    if (maglev) maglevTables++;
  }
  return { frontends: frontends.length, slots, backends: backends.size, maglevTables };
};

export class ServiceRoom {
  readonly limits: ServiceCounts;
  #used = NOTHING;
  /** By subject: there is no room for them. They are as they were before, if they were. */
  readonly #refused = new Map<string, DocumentError>();
  /** Something is other than when the refused ones were tried last. */
  #isMoved = false;

  constructor(frontends: number = WEIR_MAX_SERVICES) {
    this.limits = limitsFor(frontends);
  }

  /** What two services have in common counts twice. */
  get used(): ServiceCounts {
    return this.#used;
  }

  get errors(): Iterable<DocumentError> {
    return this.#refused.values();
  }

  /** The view takes the place of the old one. Or it does not fit: then that is an error, and nothing has changed. */
  admit(
    service: Pick<DocumentError, 'subject' | 'revision'> & { readonly id: string },
    old: ServiceView,
    view: ServiceView,
  ): boolean {
    const { subject, revision, id } = service;
    const lacking = this.#swap(old, view);
    if (lacking !== undefined) {
      this.#refused.set(subject, { subject, revision, code: 'TOO_LARGE', message: `service ${id} ${lacking}` });
      return false;
    }
    this.#isMoved = true;
    this.#refused.delete(subject);
    return true;
  }

  /** Nothing is there in the place of the view. */
  leave(view: ServiceView): void {
    this.#swap(view, NO_VIEW);
    this.#isMoved = true;
  }

  /** The document is gone. */
  forget(subject: string): void {
    this.#refused.delete(subject);
  }

  /** Subjects that were refused, once after anything has changed. */
  mayFit(): readonly string[] {
    const subjects = this.#isMoved ? [...this.#refused.keys()] : [];
    this.#isMoved = false;
    return subjects;
  }

  #swap(old: ServiceView, view: ServiceView): string | undefined {
    const [before, now] = [sizeOf(old), sizeOf(view)];
    const sum = (kind: keyof ServiceCounts): number => this.#used[kind] - before[kind] + now[kind];
    const lacking = KINDS.filter((kind) => now[kind] > before[kind] && sum(kind) > this.limits[kind]);
    if (lacking.length === 0) {
      this.#used = each(sum);
      return undefined;
    }
    const said = lacking.map(
      (kind) => `${now[kind] - before[kind]} more ${TEXT[kind]} to ${this.#used[kind]} of ${this.limits[kind]}`,
    );
    return `does not fit on this host (${said.join(', ')}); raise WEIR_AGENT_MAX_SERVICES there or remove services`;
  }
}
