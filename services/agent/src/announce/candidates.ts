// SPDX-License-Identifier: Apache-2.0
/**
 * For which services this host may answer, from the documents alone: an announcement selects the service and this host, the
 * service has a frontend of a type that is announced, and where it is only served locally, a backend is here.
 */
import type { ConfigEntry } from '@weir/bus';
import { canonicalIp, isIp } from '@weir/net';
import {
  BackendState,
  FrontendType,
  type Host,
  type L2Announcement,
  type LoadBalancerService,
  TrafficPolicy,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { isSelected, labelTexts } from '../plan/label-selectors.ts';

export interface Candidacy {
  /** Id of the service. */
  readonly service: string;
  readonly announcement: string;
  /** Text, sorted. */
  readonly addresses: readonly string[];
  /** Regular expressions of names; none: the uplinks. */
  readonly interfaces: readonly string[];
  readonly leaseMs: number;
  readonly deadlineMs: number;
  readonly retryMs: number;
}

const LEASE_MS = 15_000;
const DEADLINE_MS = 5_000;
const RETRY_MS = 2_000;
/** Selectors may name these as if they were labels. */
const NAMESPACE_LABEL = 'io.kubernetes.service.namespace';
const NAME_LABEL = 'io.kubernetes.service.name';

/** As selectors of services see them. */
export const serviceLabels = ({ labels, namespace, name }: LoadBalancerService): string[] =>
  labelTexts({ ...labels, [NAMESPACE_LABEL]: namespace, [NAME_LABEL]: name });

const announcedTypes = ({ externalIps, loadBalancerIps }: L2Announcement): ReadonlySet<FrontendType> =>
  new Set([
    ...(externalIps ? [FrontendType.EXTERNAL_IP] : []),
    ...(loadBalancerIps ? [FrontendType.LOAD_BALANCER] : []),
  ]);

/** Would this host serve what comes to it? */
export const isServedAt = (service: LoadBalancerService, host: string, hostLabels: readonly string[]): boolean => {
  if (!isSelected(service.hosts, hostLabels)) return false;
  if (service.externalTrafficPolicy !== TrafficPolicy.LOCAL) return true;
  return service.backends.some(
    ({ hostId, state }) =>
      hostId === host &&
      (state === BackendState.UNSPECIFIED || state === BackendState.ACTIVE || state === BackendState.TERMINATING),
  );
};

export class Candidates {
  readonly #host: string;
  #labels: readonly string[] | undefined;
  readonly #announcements = new Map<string, L2Announcement>();
  readonly #services = new Map<string, LoadBalancerService>();

  constructor(host: string) {
    this.#host = host;
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#labels = undefined;
    this.#announcements.clear();
    this.#services.clear();
    for (const entry of entries) this.change(entry);
  }

  /** Says whether it could matter. */
  change({ kind, key, removed, document: { body } }: ConfigEntry): boolean {
    if (kind === 'l2Announcement') {
      if (removed || body.case !== 'l2Announcement') this.#announcements.delete(key);
      else this.#announcements.set(key, body.value);
      return true;
    }
    if (kind === 'service') {
      if (removed || body.case !== 'service') this.#services.delete(key);
      else this.#services.set(key, body.value);
      return this.#announcements.size > 0;
    }
    if (kind !== 'host' || key !== this.#host) return false;
    this.#labels = removed || body.case !== 'host' ? undefined : labelTexts((body.value satisfies Host).labels);
    return this.#announcements.size > 0;
  }

  /** By service. Of several announcements that select one, the first by name counts. */
  list(): Map<string, Candidacy> {
    const found = new Map<string, Candidacy>();
    const labels = this.#labels;
    if (labels === undefined) return found;
    const announcements = [...this.#announcements.values()]
      .filter(({ hosts }) => isSelected(hosts, labels))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    if (announcements.length === 0) return found;
    for (const service of this.#services.values()) {
      if (!isServedAt(service, this.#host, labels)) continue;
      const own = serviceLabels(service);
      for (const announcement of announcements) {
        if (!isSelected(announcement.services, own)) continue;
        const candidacy = candidacyOf(service, announcement);
        if (candidacy === undefined) continue;
        found.set(service.id, candidacy);
        break;
      }
    }
    return found;
  }
}

/** Undefined: it has no address of a type that is announced. */
const candidacyOf = (service: LoadBalancerService, announcement: L2Announcement): Candidacy | undefined => {
  const types = announcedTypes(announcement);
  const addresses = service.frontends.flatMap(({ type, address }) =>
    types.has(type) && isIp(address) ? [canonicalIp(address)] : [],
  );
  if (addresses.length === 0) return undefined;
  return {
    service: service.id,
    announcement: announcement.name,
    addresses: [...new Set(addresses)].sort(),
    interfaces: announcement.interfaces,
    leaseMs: announcement.leaseDurationMs || LEASE_MS,
    deadlineMs: announcement.renewDeadlineMs || DEADLINE_MS,
    retryMs: announcement.retryPeriodMs || RETRY_MS,
  };
};
