// SPDX-License-Identifier: Apache-2.0
/**
 * The policy documents, parsed once, and which of them select which of the host's identities.
 *
 * A new version that can't be read leaves the version before it in force: refusing to understand must not open what
 * was closed. The document error says so.
 *
 * A CIDR group is a document, too: those that name groups are made anew whenever one changes.
 */
import { isWeirError } from '@weir/errors';
import {
  type CidrGroup,
  collectCidrs,
  type DirectoryBody,
  directoryGroup,
  inItsTime,
  nextChange,
  type PolicyDocument,
  parseDocument,
  refersToDirectory,
  refersToGroups,
  resolveGroups,
  type Standing,
  selects,
  standingAt,
} from '@weir/policy-engine';
import type { Policy } from '@weir/proto/weir/bus/v1/config_pb.js';
import { bundleOf, HOST_IDENTITY, type HostPolicyBundle, type StoredPolicy } from './host-policy.ts';
import type { DocumentError } from './model.ts';

export interface CompilablePolicy {
  readonly doc: PolicyDocument;
  readonly ruleIds: ReadonlyMap<string, number>;
  /** Prefixes that need a number of their own. */
  readonly cidrs: readonly string[];
}

interface Held extends CompilablePolicy {
  /** As it counts in its time; `doc` is what it counts as now. */
  readonly inTime: PolicyDocument;
  /** As it came, groups by their names. */
  readonly written: PolicyDocument;
  readonly told: StoredPolicy;
  /** When the control plane made this version: a clock that says less is wrong. */
  readonly appliedMs: number;
  /** Of the host's identities, those that it selects. */
  readonly selected: Set<number>;
}

const textOf = (group: CidrGroup | undefined): string =>
  group ? JSON.stringify([group.name, group.labels, group.cidrs.map(({ text }) => text)]) : '';

export class Policies {
  readonly #held = new Map<string, Held>();
  /** By the subject of their document. */
  readonly #groups = new Map<string, CidrGroup>();
  readonly #directory = new Map<string, CidrGroup>();
  #isDirectoryNew = false;
  readonly #errors = new Map<string, DocumentError>();
  #nowMs = 0;
  /** Identities of the host's workloads, with their labels. */
  readonly #local = new Map<number, readonly string[]>();
  /** Per local identity; undefined = to be collected again. */
  readonly #bySubject = new Map<number, readonly CompilablePolicy[]>();

  get size(): number {
    return this.#held.size;
  }

  errors(): DocumentError[] {
    return [...this.#errors.values()];
  }

  /** Returns the local identities whose policy may change. */
  put(subject: string, revision: bigint, policy: Policy): Set<number> {
    let doc: PolicyDocument;
    try {
      doc = parseDocument(JSON.parse(policy.document));
    } catch (error) {
      const kept = this.#held.has(subject) ? '; the version before it stays in force' : '';
      this.#errors.set(subject, {
        subject,
        revision,
        code: isWeirError(error) ? error.code : 'MALFORMED',
        message: `policy ${policy.key} could not be read: ${(error as Error).message}${kept}`,
      });
      return new Set();
    }
    this.#errors.delete(subject);
    const selected = new Set<number>();
    for (const [identity, labels] of this.#local) if (selects(doc, labels)) selected.add(identity);
    const touched = new Set([...selected, ...(this.#held.get(subject)?.selected ?? [])]);
    for (const written of [doc, this.#held.get(subject)?.written]) this.#touchAboutWhom(written, touched);
    const ruleIds = new Map(policy.rules.map(({ path, id }) => [path, id]));
    const rules = policy.rules.map(({ path, id }) => [path, id] as const);
    const told = { subject, revision: String(revision), document: policy.document, rules };
    this.#hold(subject, { written: doc, told, ruleIds, selected, appliedMs: Number(policy.appliedMs) });
    this.#forget(touched);
    const { group } = doc;
    if (group) this.#groups.set(subject, group);
    return group || this.#groups.has(subject) ? this.#groupChanged(touched) : touched;
  }

  /** Who is selected by the document that a staged one is about: its putting in place changes what is pending there. */
  #touchAboutWhom(staged: PolicyDocument | undefined, touched: Set<number>): void {
    const of = staged?.staged?.of;
    if (of === undefined) return;
    for (const { written, selected } of this.#held.values())
      if (written.key === of) for (const identity of selected) touched.add(identity);
  }

  #hold(subject: string, held: Pick<Held, 'written' | 'told' | 'ruleIds' | 'selected' | 'appliedMs'>): void {
    const inTime = resolveGroups(held.written, [...this.#groups.values(), ...this.#directory.values()]);
    const doc = inItsTime(inTime, this.#nowMs, held.appliedMs);
    this.#held.set(subject, { ...held, inTime, doc, cidrs: collectCidrs([inTime]) });
  }

  /** Documents that count as something else at that time, in milliseconds of Unix time, than they do now. */
  #changing(nowMs: number): [subject: string, held: Held][] {
    return [...this.#held].filter(
      ([, { inTime, doc, appliedMs }]) => inTime.validity && inItsTime(inTime, nowMs, appliedMs) !== doc,
    );
  }

  isTimeDue(nowMs: number): boolean {
    return this.#changing(nowMs).length > 0;
  }

  /** The time by which documents count or not. Returns the local identities whose policy may change. */
  setTime(nowMs: number): Set<number> {
    this.#nowMs = nowMs;
    const touched = new Set<number>();
    for (const [subject, held] of this.#changing(nowMs)) {
      this.#held.set(subject, { ...held, doc: inItsTime(held.inTime, nowMs, held.appliedMs) });
      for (const identity of held.selected) touched.add(identity);
      this.#touchAboutWhom(held.written, touched);
    }
    this.#forget(touched);
    return touched;
  }

  /** Documents with a time, and how they stand. */
  timed(): { readonly key: string; readonly standing: Standing; readonly nextChangeMs: number | undefined }[] {
    return [...this.#held.values()].flatMap(({ written: { key, validity }, appliedMs }) => {
      if (!validity) return [];
      const standing = this.#nowMs < appliedMs ? 'unsure' : standingAt(validity, this.#nowMs);
      return [{ key, standing, nextChangeMs: nextChange(validity, this.#nowMs) }];
    });
  }

  /** A host or a service, whom rules may name, or (undefined) its end. What comes of it resolveDirectory() says. */
  follow(subject: string, body: DirectoryBody | undefined): void {
    const group = body && directoryGroup(body);
    if (textOf(group) === textOf(this.#directory.get(subject))) return;
    if (group) this.#directory.set(subject, group);
    else this.#directory.delete(subject);
    this.#isDirectoryNew = true;
  }

  /** Once for all that has changed. Returns the local identities whose policy may change. */
  resolveDirectory(): Set<number> {
    const touched = new Set<number>();
    if (!this.#isDirectoryNew) return touched;
    this.#isDirectoryNew = false;
    for (const [subject, held] of this.#held) {
      if (!refersToDirectory(held.written)) continue;
      this.#hold(subject, held);
      for (const identity of held.selected) touched.add(identity);
    }
    this.#forget(touched);
    return touched;
  }

  /** Returns whom that concerns, besides `touched`. */
  #groupChanged(touched: ReadonlySet<number>): Set<number> {
    const all = new Set(touched);
    for (const [subject, held] of this.#held) {
      if (!refersToGroups(held.written)) continue;
      this.#hold(subject, held);
      for (const identity of held.selected) all.add(identity);
    }
    this.#forget(all);
    return all;
  }

  remove(subject: string): Set<number> {
    this.#errors.delete(subject);
    const touched = new Set(this.#held.get(subject)?.selected);
    this.#touchAboutWhom(this.#held.get(subject)?.written, touched);
    this.#held.delete(subject);
    this.#forget(touched);
    return this.#groups.delete(subject) ? this.#groupChanged(touched) : touched;
  }

  /** The host has workloads of this identity. True when it or its labels are new. */
  addIdentity(identity: number, labels: readonly string[]): boolean {
    if (this.#local.get(identity) === labels) return false;
    this.#local.set(identity, labels);
    for (const held of this.#held.values()) {
      if (selects(held.doc, labels)) held.selected.add(identity);
      else held.selected.delete(identity);
    }
    this.#bySubject.delete(identity);
    return true;
  }

  identities(): number[] {
    return [...this.#local.keys()];
  }

  removeIdentity(identity: number): void {
    this.#local.delete(identity);
    this.#bySubject.delete(identity);
    for (const held of this.#held.values()) held.selected.delete(identity);
  }

  /** In the order of their subjects, so that compiling is repeatable. */
  of(identity: number): readonly CompilablePolicy[] {
    let policies = this.#bySubject.get(identity);
    if (!policies) {
      const keys = new Set<string>();
      for (const { written, selected } of this.#held.values()) if (selected.has(identity)) keys.add(written.key);
      policies = [...this.#held]
        .filter(([, { selected, written }]) => selected.has(identity) || keys.has(written.staged?.of ?? ''))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, held]) => held);
      this.#bySubject.set(identity, policies);
    }
    return policies;
  }

  /** Of what the host's own policy is made: see addIdentity(). */
  hostBundle(): HostPolicyBundle {
    const own = this.of(HOST_IDENTITY) as readonly Held[];
    const held = own.some(({ written }) => refersToGroups(written))
      ? [...own, ...[...this.#groups.keys()].sort().flatMap((subject) => this.#held.get(subject) ?? [])]
      : own;
    return bundleOf(held.map(({ told }) => told));
  }

  /** Prefixes that the policies of the host's workloads name. */
  cidrs(): Set<string> {
    const wanted = new Set<string>();
    for (const { cidrs, selected } of this.#held.values())
      if (selected.size > 0) for (const cidr of cidrs) wanted.add(cidr);
    return wanted;
  }

  #forget(identities: Iterable<number>): void {
    for (const identity of identities) this.#bySubject.delete(identity);
  }
}
