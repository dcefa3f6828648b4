// SPDX-License-Identifier: Apache-2.0
/**
 * Everybody a rule may select: fleet-wide identities, the reserved ones, CIDR identities of this host. Answers are cached per
 * selector and kept true as identities come and go, so a compiler that lives long looks at a selector once.
 *
 * Invariant: a cached answer equals matching every identity's labels again (a property test does).
 */
import { CIDR_LABELS, IDENTITY, RESERVED_LABELS, scopeOf } from '../constants.ts';
import { type LabelSet, labelSet } from '../labels.ts';
import type { Entity } from '../model.ts';
import { createSelector, matches, matchesSet, requireLabel, type Selector } from '../selector.ts';
import { type CidrAllocator, type CidrIndex, createCidrIndex } from './cidrs.ts';

export type IdentityLabels = ReadonlyMap<number, readonly string[]>;

export interface World {
  /** Takes over what changed since the last call. Label arrays are compared by reference: a changed one is a new array. */
  sync(identities: IdentityLabels, cidrs: CidrAllocator): void;
  /** Changes whenever an answer may have changed. */
  version(): number;
  labelsOf(identity: number): readonly string[] | undefined;
  select(selector: Selector): readonly number[];
  entity(entity: Exclude<Entity, 'all'>): readonly number[];
  cidrs(): CidrIndex;
}

/** With more changes than this, forgetting all answers is cheaper than correcting each. */
const MAX_CORRECTIONS = 64;
const MAX_CACHED_SELECTORS = 20_000;

const RESERVED_ENTITY: Readonly<Partial<Record<Entity, readonly number[]>>> = {
  host: [IDENTITY.HOST],
  init: [IDENTITY.INIT],
  ingress: [IDENTITY.INGRESS],
  unmanaged: [IDENTITY.UNMANAGED],
  'remote-node': [IDENTITY.REMOTE_NODE],
  health: [IDENTITY.HEALTH],
  'kube-apiserver': [IDENTITY.KUBE_APISERVER],
};
const WORLD_IDENTITIES: readonly number[] = [IDENTITY.WORLD, IDENTITY.WORLD_IPV4, IDENTITY.WORLD_IPV6];

const ascending = (a: number, b: number): number => a - b;

const includes = (ids: readonly number[], wanted: number): boolean => {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return ids[low] === wanted;
};

export const createWorld = (): World => {
  const labels = new Map<number, readonly string[]>();
  /** `key=value` -> identities that carry it, from whatever source: candidates for selectors. */
  const postings = new Map<string, Set<number>>();
  const selected = new Map<string, { readonly selector: Selector; ids: readonly number[] }>();
  let sorted: readonly { readonly identity: number; readonly set: LabelSet }[] = [];
  let version = 0;
  let cidrCopy: CidrAllocator = new Map();
  let cidrIndex = createCidrIndex(cidrCopy);

  const eachPosting = (set: LabelSet, visit: (posting: string) => void): void => {
    for (const same of set.byKey.values()) for (const label of same) visit(`${label.key}=${label.value}`);
  };
  const remove = (identity: number, old: readonly string[]): void => {
    labels.delete(identity);
    eachPosting(labelSet(old), (posting) => {
      const ids = postings.get(posting);
      ids?.delete(identity);
      if (ids?.size === 0) postings.delete(posting);
    });
  };
  const add = (identity: number, now: readonly string[]): void => {
    labels.set(identity, now);
    eachPosting(labelSet(now), (posting) => {
      const ids = postings.get(posting);
      if (ids) ids.add(identity);
      else postings.set(posting, new Set([identity]));
    });
  };

  const syncIdentities = (identities: IdentityLabels): void => {
    const changed: number[] = [];
    const update = (identity: number, now: readonly string[]): void => {
      const old = labels.get(identity);
      if (old === now) return;
      if (old) remove(identity, old);
      add(identity, now);
      changed.push(identity);
    };
    for (const [identity, reserved] of RESERVED_LABELS) update(identity, reserved);
    for (const [identity, now] of identities) if (!RESERVED_LABELS.has(identity)) update(identity, now);
    for (const [identity, old] of labels) {
      if (identities.has(identity) || RESERVED_LABELS.has(identity)) continue;
      remove(identity, old);
      changed.push(identity);
    }
    if (changed.length > 0) {
      version++;
      sorted = [...labels]
        .map(([identity, now]) => ({ identity, set: labelSet(now) }))
        .sort((a, b) => a.identity - b.identity);
    }
    if (changed.length > MAX_CORRECTIONS || selected.size > MAX_CACHED_SELECTORS) selected.clear();
    for (const known of changed.length === 0 ? [] : selected.values()) {
      for (const id of changed) {
        const now = labels.get(id);
        const belongs = now !== undefined && matches(known.selector, now);
        if (belongs === includes(known.ids, id)) continue;
        known.ids = belongs ? [...known.ids, id].sort(ascending) : known.ids.filter((other) => other !== id);
      }
    }
  };

  const syncCidrs = (cidrs: CidrAllocator): void => {
    const same =
      cidrs.size === cidrCopy.size && [...cidrs].every(([text, identity]) => cidrCopy.get(text) === identity);
    if (same) return;
    version++;
    cidrCopy = new Map(cidrs);
    cidrIndex = createCidrIndex(cidrCopy);
  };

  /** The shortest list of identities that can match at all; undefined when that is everybody. */
  const candidates = (selector: Selector): ReadonlySet<number> | undefined => {
    let best: ReadonlySet<number>[] | undefined;
    let bestSize = labels.size;
    for (const { operator, key, values } of selector.requirements) {
      if (operator !== 'In') continue;
      const sets = values.map((value) => postings.get(`${key}=${value}`)).filter((set) => set !== undefined);
      const size = sets.reduce((sum, set) => sum + set.size, 0);
      if (size >= bestSize) continue;
      best = sets;
      bestSize = size;
    }
    if (!best) return undefined;
    return best.length === 1 && best[0] ? best[0] : new Set(best.flatMap((set) => [...set]));
  };

  /** CIDR identities have no labels of their own; a selector on reserved labels sees them as parts of the world. */
  const cidrIdentities = (selector: Selector): readonly number[] => {
    if (!selector.requirements.some(({ source }) => source === 'reserved')) return [];
    return ([4, 6] as const).flatMap((family) =>
      matchesSet(selector, labelSet(CIDR_LABELS[family])) ? cidrIndex.ofFamily(family) : [],
    );
  };

  const select = (selector: Selector): readonly number[] => {
    let known = selected.get(selector.text);
    if (!known) {
      const ids: number[] = [];
      const among = candidates(selector);
      if (!among) {
        for (const { identity, set } of sorted) if (matchesSet(selector, set)) ids.push(identity);
      } else {
        for (const identity of among) if (matches(selector, labels.get(identity) ?? [])) ids.push(identity);
        ids.sort(ascending);
      }
      known = { selector, ids };
      selected.set(selector.text, known);
    }
    const ofCidrs = cidrIdentities(selector);
    return ofCidrs.length === 0 ? known.ids : [...known.ids, ...ofCidrs];
  };
  /** Of source `reserved` only: anybody may call a workload's label "host". */
  const withReservedLabel = (key: string): readonly number[] =>
    select(createSelector([requireLabel('reserved', key, '')]));

  return {
    sync(identities, cidrs) {
      syncIdentities(identities);
      syncCidrs(cidrs);
    },
    version: () => version,
    labelsOf: (identity) => labels.get(identity),
    select,
    entity(entity) {
      switch (entity) {
        case 'none':
          return [];
        case 'world':
          return [...WORLD_IDENTITIES, ...cidrIndex.all()];
        case 'world-ipv4':
          return [IDENTITY.WORLD_IPV4, ...cidrIndex.ofFamily(4)];
        case 'world-ipv6':
          return [IDENTITY.WORLD_IPV6, ...cidrIndex.ofFamily(6)];
        case 'cluster':
          return [...labels.keys()].filter(
            (identity) => !WORLD_IDENTITIES.includes(identity) && scopeOf(identity) !== IDENTITY.SCOPE_CIDR,
          );
        default:
          return [...new Set([...(RESERVED_ENTITY[entity] ?? []), ...withReservedLabel(entity)])];
      }
    },
    cidrs: () => cidrIndex,
  };
};
