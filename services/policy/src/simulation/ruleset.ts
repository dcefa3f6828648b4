// SPDX-License-Identifier: Apache-2.0
/** A set of documents to judge by, with what is to be said of the rule that decides. */
import { listRules, type PolicyDocument, type PolicyInput } from '@weir/policy-engine';

export interface RuleOfSet {
  readonly policyKey: string;
  readonly path: string;
  readonly file: string | null;
  readonly line: number | null;
  /** 0: its document is not in force. */
  readonly id: number;
}

export interface PlacedRule {
  readonly id: number;
  readonly path: string;
  readonly file: string | null;
  readonly line: number | null;
}

export interface Ruleset {
  readonly inputs: readonly PolicyInput[];
  readonly rules: ReadonlyMap<number, RuleOfSet>;
}

export interface DocumentWithRules {
  readonly doc: PolicyDocument;
  readonly rules: readonly PlacedRule[];
}

/** Behind all numbers that rules in force will ever have: those are decided first, as they would be when applied. */
const FIRST_UNNUMBERED = 0x40000000;

export const createRuleset = (documents: readonly DocumentWithRules[]): Ruleset => {
  const rules = new Map<number, RuleOfSet>();
  let unnumbered = FIRST_UNNUMBERED;
  const inputs = documents.map(({ doc, rules: own }) => {
    const ruleIds = new Map<string, number>();
    for (const { id, path, file, line } of own) {
      const number = id === 0 ? unnumbered++ : id;
      ruleIds.set(path, number);
      rules.set(number, { policyKey: doc.key, path, file, line, id });
    }
    return { doc, ruleIds };
  });
  return { inputs, rules };
};

/** Rules of a document that has no numbers yet. */
export const unnumberedRules = (
  doc: PolicyDocument,
  placeOf: (at: { readonly line?: number }) => { readonly file: string | null; readonly line: number | null },
): PlacedRule[] =>
  listRules(doc).map(({ path, line }) => {
    const place = placeOf(line === undefined ? {} : { line });
    return { id: 0, path, file: place.file, line: place.line };
  });
