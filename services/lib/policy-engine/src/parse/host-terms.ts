// SPDX-License-Identifier: Apache-2.0
/**
 * Which hosts serve, as annotations say it in one line: a node's own label, or a selector of labels as kubectl takes it
 * (`a=b,c!=d,e in (f,g),h notin (i),j,!k`).
 */
import type { Requirement } from '../selector.ts';
import { type GatewaySelector, selectorOf } from './egress-gateway.ts';
import { type Context, type Field, readString } from './reader.ts';

const ANY = 'any';
const LABEL = '[A-Za-z0-9](?:[-A-Za-z0-9_./]{0,251}[A-Za-z0-9])?';
const VALUE = '(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?';
const SET = new RegExp(`^(${LABEL}) +(in|notin) +\\(([^()]*)\\)$`);
const EQUAL = new RegExp(`^(${LABEL}) *(==?|!=) *(${VALUE})$`);
const THERE = new RegExp(`^(!?) *(${LABEL})$`);
const ONE_VALUE = new RegExp(`^${VALUE}$`);

/** Between commas that stand in no brackets. */
const termsOf = (text: string): string[] => text.split(/,(?![^()]*\))/).map((term) => term.trim());

const termOf = (term: string): Requirement | undefined => {
  const [, setKey, word, list] = SET.exec(term) ?? [];
  if (setKey !== undefined && list !== undefined) {
    const values = list.split(',').map((value) => value.trim());
    if (!values.every((value) => ONE_VALUE.test(value))) return undefined;
    return { source: ANY, key: setKey, operator: word === 'in' ? 'In' : 'NotIn', values };
  }
  const [, key, sign, value] = EQUAL.exec(term) ?? [];
  if (key !== undefined && value !== undefined)
    return { source: ANY, key, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] };
  const [, not, name] = THERE.exec(term) ?? [];
  if (name === undefined) return undefined;
  return { source: ANY, key: name, operator: not ? 'DoesNotExist' : 'Exists', values: [] };
};

/** `label`: what `node` is the value of. Both given: hosts that are both. Undefined: all hosts, or it was refused. */
export const readHosts = (
  context: Context,
  node: Field | undefined,
  selector: Field | undefined,
  label: string,
): { readonly selector: GatewaySelector; readonly at: number } | undefined => {
  const requirements: Requirement[] = [];
  const own = node && readString(context, node);
  if (own !== undefined) requirements.push({ source: ANY, key: label, operator: 'In', values: [own] });
  const text = selector && readString(context, selector);
  for (const term of text === undefined ? [] : termsOf(text)) {
    const requirement = termOf(term);
    if (requirement) requirements.push(requirement);
    else if (selector) {
      context.issues.add(selector.path, selector.node.at, `${JSON.stringify(term)} says nothing of a label`, {
        value: text,
        fix: 'write terms such as zone=edge, rack!=r1, zone in (a,b), rack notin (c), gpu, !gpu with commas between',
      });
    }
  }
  const at = (selector ?? node)?.node.at;
  return requirements.length === 0 || at === undefined ? undefined : { selector: selectorOf(requirements), at };
};
