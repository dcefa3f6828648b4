// SPDX-License-Identifier: Apache-2.0
/**
 * Names for the numbers in flows, as of any time: identity -> labels, address -> workload, rule -> policy. Fed by the
 * configuration stream, kept in memory so that a page of flows or a live stream costs no query per flow.
 *
 * A span lasts until the next one of the same number or address begins: the last packets of a removed workload still
 * bear its name. The first span reaches back to the beginning, because flows may be older than what we heard.
 */

import { type LabelSelector, selectorMatches } from '@weir/net';
import { fixedLabels } from './identities.ts';
import { type Unit, Units } from './units.ts';

export interface LabelSpan {
  readonly identity: number;
  readonly fromMs: number;
  readonly labels: readonly string[];
  readonly removedMs: number | null;
}

export interface AddressSpan {
  /** Canonical text. */
  readonly ip: string;
  readonly fromMs: number;
  readonly workloadId: string;
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly identity: number;
  readonly removedMs: number | null;
}

export interface RuleName {
  readonly id: number;
  readonly policyKey: string;
  readonly path: string;
  readonly policyRevision: number;
  /** What flows say that it decided; mostly empty. */
  readonly log: string;
}

/** Of a service; its number is never used again, so it is kept for ever. */
export interface FrontendName {
  readonly number: number;
  readonly namespace: string;
  readonly name: string;
  /** weir.bus.v1.FrontendType */
  readonly type: number;
  /** Canonical text; empty for a node port. */
  readonly address: string;
  readonly port: number;
  readonly protocol: number;
}

export interface WorkloadFacts {
  readonly workloadId: string;
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly identity: number;
  readonly ips: readonly string[];
}

/** What a change did to the rows, for the tables behind. */
export type DirectoryChange =
  | { readonly kind: 'labels'; readonly span: LabelSpan }
  | { readonly kind: 'address'; readonly span: AddressSpan }
  | { readonly kind: 'rule'; readonly rule: RuleName }
  | { readonly kind: 'frontend'; readonly frontend: FrontendName };

/** Between two owners of an address: half open, in time. */
export interface AddressUse {
  readonly ip: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export const BEGINNING_MS = 0;

const sameLabels = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((label, index) => label === b[index]);

/** The newest span that began by then; before all of them, the first. */
const asOf = <S extends { readonly fromMs: number }>(spans: readonly S[] | undefined, atMs: number): S | undefined => {
  if (spans === undefined) return undefined;
  for (let index = spans.length - 1; index > 0; index -= 1) {
    const span = spans[index] as S;
    if (span.fromMs <= atMs) return span;
  }
  return spans[0];
};

const sameFrontend = (a: FrontendName | undefined, b: FrontendName): boolean =>
  a?.namespace === b.namespace &&
  a.name === b.name &&
  a.type === b.type &&
  a.address === b.address &&
  a.port === b.port &&
  a.protocol === b.protocol;

const put = <S extends { readonly fromMs: number }>(spans: S[], span: S): void => {
  const at = spans.findIndex(({ fromMs }) => fromMs >= span.fromMs);
  if (at < 0) spans.push(span);
  else if (spans[at]?.fromMs === span.fromMs) spans[at] = span;
  else spans.splice(at, 0, span);
};

export class Directory {
  readonly #labels = new Map<number, LabelSpan[]>();
  readonly #addresses = new Map<string, AddressSpan[]>();
  readonly #rules = new Map<number, RuleName>();
  readonly #frontends = new Map<number, FrontendName>();
  readonly #ipsOf = new Map<string, Set<string>>();
  readonly #units = new Units();
  /** Rises with every change: what was resolved under an older one must be resolved again. */
  version = 0;

  labels(identity: number, atMs: number): readonly string[] {
    return fixedLabels(identity) ?? asOf(this.#labels.get(identity), atMs)?.labels ?? [];
  }

  owner(ip: string, atMs: number): AddressSpan | undefined {
    return asOf(this.#addresses.get(ip), atMs);
  }

  /** Whose an end of a flow is that was seen at that host: by its address, or as a workload that has its host's. */
  workload(ip: string, identity: number, host: string, atMs: number): AddressSpan | Unit | undefined {
    return this.owner(ip, atMs) ?? this.#units.find(host, identity);
  }

  rule(id: number): RuleName | undefined {
    return this.#rules.get(id);
  }

  frontend(number: number): FrontendName | undefined {
    return this.#frontends.get(number);
  }

  /** Numbers of frontends of services that are asked for. */
  frontendsOf(wanted: (frontend: FrontendName) => boolean): number[] {
    return [...this.#frontends.values()].filter(wanted).map(({ number }) => number);
  }

  /** Allocated identities whose labels, at any time that we know of, match one of the selectors. */
  identitiesWith(selectors: readonly LabelSelector[]): number[] {
    const found: number[] = [];
    for (const [identity, spans] of this.#labels) {
      if (spans.some(({ labels }) => selectors.some((selector) => selectorMatches(selector, labels)))) {
        found.push(identity);
      }
    }
    return found;
  }

  /** When which address belonged to a workload that is asked for. */
  usesOf(wanted: (span: AddressSpan) => boolean): AddressUse[] {
    const uses: AddressUse[] = [];
    for (const [ip, spans] of this.#addresses) {
      for (const [index, span] of spans.entries()) {
        if (!wanted(span)) continue;
        const fromMs = index === 0 ? BEGINNING_MS : span.fromMs;
        uses.push({ ip, fromMs, toMs: spans[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY });
      }
    }
    return uses;
  }

  /** Identities that did not mean the same all through a stretch of time, and when their meaning changed. */
  labelChanges(fromMs: number, toMs: number): { readonly identities: number[]; readonly boundsMs: number[] } {
    const identities: number[] = [];
    const bounds = new Set<number>();
    for (const [identity, spans] of this.#labels) {
      const inside = spans.slice(1).filter((span) => span.fromMs > fromMs && span.fromMs < toMs);
      if (inside.length === 0) continue;
      identities.push(identity);
      for (const span of inside) bounds.add(span.fromMs);
    }
    return { identities, boundsMs: [...bounds].sort((a, b) => a - b) };
  }

  /** Owners of addresses as of a time, by their identity. */
  workloadsByIdentity(atMs: number): ReadonlyMap<number, readonly AddressSpan[]> {
    const byIdentity = new Map<number, AddressSpan[]>();
    for (const spans of this.#addresses.values()) {
      const owner = asOf(spans, atMs);
      if (owner === undefined) continue;
      const owners = byIdentity.get(owner.identity);
      if (owners) owners.push(owner);
      else byIdentity.set(owner.identity, [owner]);
    }
    return byIdentity;
  }

  /** As read from the tables. */
  load(change: DirectoryChange): void {
    this.version += 1;
    if (change.kind === 'rule') {
      this.#rules.set(change.rule.id, change.rule);
      return;
    }
    if (change.kind === 'frontend') {
      this.#frontends.set(change.frontend.number, change.frontend);
      return;
    }
    if (change.kind === 'labels') {
      const spans = this.#labels.get(change.span.identity) ?? [];
      this.#labels.set(change.span.identity, spans);
      put(spans, change.span);
      return;
    }
    const { span } = change;
    const spans = this.#addresses.get(span.ip) ?? [];
    this.#addresses.set(span.ip, spans);
    put(spans, span);
    const ips = this.#ipsOf.get(span.workloadId) ?? new Set();
    this.#ipsOf.set(span.workloadId, ips);
    ips.add(span.ip);
  }

  #apply(changes: DirectoryChange[]): DirectoryChange[] {
    for (const change of changes) this.load(change);
    return changes;
  }

  setLabels(identity: number, labels: readonly string[], nowMs: number): DirectoryChange[] {
    const last = this.#labels.get(identity)?.at(-1);
    if (last !== undefined && sameLabels(last.labels, labels)) {
      return last.removedMs === null ? [] : this.#apply([{ kind: 'labels', span: { ...last, removedMs: null } }]);
    }
    const fromMs = last === undefined ? BEGINNING_MS : (last.removedMs ?? nowMs);
    return this.#apply([{ kind: 'labels', span: { identity, fromMs, labels, removedMs: null } }]);
  }

  removeLabels(identity: number, nowMs: number): DirectoryChange[] {
    const last = this.#labels.get(identity)?.at(-1);
    if (last === undefined || last.removedMs !== null) return [];
    return this.#apply([{ kind: 'labels', span: { ...last, removedMs: nowMs } }]);
  }

  setWorkload(facts: WorkloadFacts, nowMs: number): DirectoryChange[] {
    const { ips, ...rest } = facts;
    const changes = this.#release(facts.workloadId, (ip) => !ips.includes(ip), nowMs);
    for (const ip of ips) {
      const last = this.#addresses.get(ip)?.at(-1);
      const own = last?.workloadId === facts.workloadId;
      const fromMs = last === undefined ? BEGINNING_MS : own ? last.fromMs : (last.removedMs ?? nowMs);
      const span: AddressSpan = { ...rest, ip, fromMs, removedMs: null };
      if (!own || JSON.stringify({ ...last, ...span }) !== JSON.stringify(last))
        changes.push({ kind: 'address', span });
    }
    return this.#apply(changes);
  }

  /** A workload that is a cgroup. */
  setUnit(workloadId: string, unit: Unit, nowMs: number): DirectoryChange[] {
    this.version += 1;
    this.#units.set(workloadId, unit);
    return this.#apply(this.#release(workloadId, () => true, nowMs));
  }

  removeWorkload(workloadId: string, nowMs: number): DirectoryChange[] {
    if (this.#units.remove(workloadId)) this.version += 1;
    return this.#apply(this.#release(workloadId, () => true, nowMs));
  }

  #release(workloadId: string, which: (ip: string) => boolean, nowMs: number): DirectoryChange[] {
    return [...(this.#ipsOf.get(workloadId) ?? [])].filter(which).flatMap((ip) => {
      const last = this.#addresses.get(ip)?.at(-1);
      if (last?.workloadId !== workloadId || last.removedMs !== null) return [];
      return [{ kind: 'address' as const, span: { ...last, removedMs: nowMs } }];
    });
  }

  setRules(rules: readonly RuleName[]): DirectoryChange[] {
    const news = rules.filter(({ id }) => !this.#rules.has(id));
    return this.#apply(news.map((rule) => ({ kind: 'rule', rule })));
  }

  setFrontends(frontends: readonly FrontendName[]): DirectoryChange[] {
    const news = frontends.filter((frontend) => !sameFrontend(this.#frontends.get(frontend.number), frontend));
    return this.#apply(news.map((frontend) => ({ kind: 'frontend', frontend })));
  }

  /** Identities and workloads that exist now, to see what a snapshot lacks. */
  living(): { readonly identities: number[]; readonly workloads: string[] } {
    const identities = [...this.#labels].flatMap(([identity, spans]) =>
      spans.at(-1)?.removedMs === null ? [identity] : [],
    );
    const workloads = new Set<string>(this.#units.ids);
    for (const spans of this.#addresses.values()) {
      const last = spans.at(-1);
      if (last?.removedMs === null) workloads.add(last.workloadId);
    }
    return { identities, workloads: [...workloads] };
  }

  /** Forgets spans that ended before `beforeMs`: no flow is that old. */
  prune(beforeMs: number): void {
    const gone = ({ removedMs }: { readonly removedMs: number | null }): boolean =>
      removedMs !== null && removedMs < beforeMs;
    for (const [identity, spans] of this.#labels) {
      if (spans.every(gone)) this.#labels.delete(identity);
    }
    for (const [ip, spans] of this.#addresses) {
      const kept = spans.filter((span) => !gone(span));
      for (const { workloadId } of spans.filter(gone)) {
        const ips = this.#ipsOf.get(workloadId);
        if (!kept.some((span) => span.workloadId === workloadId)) ips?.delete(ip);
        if (ips?.size === 0) this.#ipsOf.delete(workloadId);
      }
      if (kept.length === 0) this.#addresses.delete(ip);
      else if (kept.length < spans.length) this.#addresses.set(ip, kept);
    }
  }
}
