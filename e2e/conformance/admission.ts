// SPDX-License-Identifier: Apache-2.0
/** What the policy engine says to a document before anything is applied. */
import { toWeirError } from '@weir/errors';
import { parseDocument } from '@weir/policy-engine';
import type { PolicyJson, Refusal } from './mode.ts';

/** How the engine refuses what it does not enforce yet, as opposed to what is wrong. */
const NOT_YET = /not supported yet/;

export interface Refused extends Refusal {
  /** Everything that is wrong is only not enforced yet: the fields' names. */
  readonly notYet: readonly string[] | undefined;
}

const lastField = (path: string): string => path.slice(path.lastIndexOf('.') + 1).replace(/\[[0-9]+\]$/, '');

export const refusal = (policy: PolicyJson): Refused | undefined => {
  try {
    parseDocument(policy);
    return undefined;
  } catch (error) {
    const { message, facts } = toWeirError(error);
    const issues = facts.issues ?? [];
    const notYet = issues.length > 0 && issues.every((issue) => NOT_YET.test(issue.message));
    const fields = issues.map(({ path, value }) =>
      typeof value === 'string' && value.length < 30 ? `${lastField(path)} ${value}` : lastField(path),
    );
    return { path: facts.field ?? '', message, notYet: notYet ? [...new Set(fields)].sort() : undefined };
  }
};
