// SPDX-License-Identifier: Apache-2.0
/**
 * FirewallPolicy (weir.io/v1), our own: peers and ports as in Cilium's documents, and what those lack: tier, priority, an action
 * for each rule, a mode. In the tiers Admin and Baseline rules are a list in order, and Pass leaves it to the next tier. In the
 * Normal tier it is one of many: a Deny goes before an Allow, whatever the order, and what has a section becomes default-deny.
 * With a namespace it is for that namespace, without for all; with a nodeSelector it is for hosts.
 */
import type { Action, DenyResponse, PolicySpec, Rule } from '../model.ts';
import { TIERS } from '../model.ts';
import { readDefaultDeny, readLog, readSectionRule, readSubject, sectionOf } from './cilium.ts';
import type { CiliumScope } from './cilium-peers.ts';
import { readDenyResponse } from './modes.ts';
import { type Context, type Field, readInteger, readList, readObject, readOneOf, readString } from './reader.ts';

export const FIREWALL_FIELDS = [
  'tier',
  'priority',
  'mode',
  'stagedAction',
  'stages',
  'endpointSelector',
  'nodeSelector',
  'ingress',
  'egress',
  'enableDefaultDeny',
  'description',
  'log',
  'denyResponse',
  'validity',
];

const ACTIONS = { Allow: 'allow', Deny: 'deny', Pass: 'pass' } as const satisfies Record<string, Action>;
/** Between the two ends, for those who do not care. */
const DEFAULT_PRIORITY = 500;

export const FIREWALL_SPEC = {
  fields: FIREWALL_FIELDS,
  widens: { ingress: 'that this direction is not isolated', egress: 'that this direction is not isolated' },
};

const readAction = (context: Context, item: Field): Action | undefined => {
  if (item.node.kind !== 'map') return 'allow';
  const entry = item.node.entries.get('action');
  if (!entry) {
    context.issues.add(`${item.path}.action`, item.node.at, 'action is required', { fix: 'write Allow, Deny or Pass' });
    return undefined;
  }
  const field = { node: entry.value, keyAt: entry.keyAt, path: `${item.path}.action` };
  const action = readOneOf(context, field, Object.keys(ACTIONS) as (keyof typeof ACTIONS)[]);
  return action && ACTIONS[action];
};

/** A rule's own answer, else that of its policy. */
const withResponse = (
  context: Context,
  item: Field,
  rule: Rule,
  onHosts: boolean,
  ofPolicy: DenyResponse | undefined,
): Rule => {
  const written = item.node.kind === 'map' ? item.node.entries.get('denyResponse') : undefined;
  const field = written && { node: written.value, keyAt: written.keyAt, path: `${item.path}.denyResponse` };
  const own = readDenyResponse(context, field, onHosts);
  if (field && rule.action !== 'deny') {
    context.issues.add(field.path, field.keyAt, 'only a Deny is answered', {
      value: own,
      fix: 'remove it; for what nobody allows write denyResponse beside the rules',
    });
  }
  const response = own ?? ofPolicy;
  return rule.action === 'deny' && response ? { ...rule, denyResponse: response } : rule;
};

export const readFirewallSpec = (
  context: Context,
  field: Field,
  namespace: string | undefined,
): PolicySpec | undefined => {
  const spec = readObject(context, field, FIREWALL_SPEC);
  if (!spec) return undefined;
  const tierField = spec.get('tier');
  const tier = tierField ? readOneOf(context, tierField, TIERS) : 'Normal';
  const priorityField = spec.get('priority');
  const priority = priorityField ? readInteger(context, priorityField, 0, 1000) : DEFAULT_PRIORITY;
  if (priorityField && tier === 'Normal') {
    context.issues.add(priorityField.path, priorityField.keyAt, 'the Normal tier has no order', {
      value: priority,
      fix: 'remove priority, or write tier: Admin or Baseline',
    });
  }
  const { subject, onHosts } = readSubject(context, spec, namespace, 'remove the namespace');
  const scope: CiliumScope = { selectsInit: false, onHosts, ...(namespace === undefined ? {} : { namespace }) };
  const response = readDenyResponse(context, spec.get('denyResponse'), onHosts);
  const rules: Rule[] = [];
  const present = { ingress: false, egress: false };
  for (const direction of ['ingress', 'egress'] as const) {
    const list = spec.get(direction);
    for (const item of list ? (readList(context, list) ?? []) : []) {
      present[direction] = true;
      const action = readAction(context, item);
      if (!action) continue;
      if (action === 'pass' && tier === 'Normal') {
        context.issues.add(`${item.path}.action`, item.node.at, 'the Normal tier passes nothing on', {
          value: 'Pass',
          fix: 'use Allow or Deny, or tier: Admin or Baseline',
        });
      }
      const rule = readSectionRule(context, item, sectionOf(direction, action, ['action', 'denyResponse']), scope);
      if (rule) rules.push(withResponse(context, item, rule, onHosts, response));
    }
  }
  if (!present.ingress && !present.egress) {
    context.issues.add(field.path, field.keyAt, 'has no rules', {
      fix: 'add at least one element to ingress or egress',
    });
  }
  const defaultField = spec.get('enableDefaultDeny');
  if (defaultField && tier !== 'Normal') {
    context.issues.add(defaultField.path, defaultField.keyAt, 'only the Normal tier has a default deny', {
      fix: 'remove enableDefaultDeny; end the list with a Deny of everybody',
    });
  }
  const written = readDefaultDeny(context, spec);
  const descriptionField = spec.get('description');
  const description = descriptionField && readString(context, descriptionField);
  const log = readLog(context, spec);
  if (!tier || priority === undefined) return undefined;
  return {
    path: field.path,
    subject,
    ...(onHosts ? { onHosts } : {}),
    tier,
    priority: tier === 'Normal' ? 0 : priority,
    defaultDeny: {
      ingress: tier === 'Normal' && present.ingress && written.ingress !== false,
      egress: tier === 'Normal' && present.egress && written.egress !== false,
    },
    ...(response ? { denyResponse: response } : {}),
    rules,
    ...(description === undefined ? {} : { description }),
    ...(log ? { log } : {}),
    position: context.issues.locate(field.keyAt),
  };
};
