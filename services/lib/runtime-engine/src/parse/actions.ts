// SPDX-License-Identifier: Apache-2.0
/** What is done when a selector matches. */
import {
  type Context,
  type Field,
  type Fields,
  joinPath,
  missing,
  readObject,
  readString,
} from '@weir/policy-engine/reading';
import type { Action, HookTarget } from '../model.ts';
import { ACTION_NAMES, ACTIONS_REFUSED, type ActionName, LIMITS, RATE_SCOPES } from '../words.ts';
import { flag, given, INT32_MAX, INT32_MIN, items, neededOneOf, oneOf, refuse, text, whole } from './fields.ts';

const FIELDS = [
  'action',
  'argFd',
  'argName',
  'argUrl',
  'argFqdn',
  'argError',
  'argSig',
  'argSock',
  'argIndex',
  'argValue',
  'argRegs',
  'argNewSymbol',
  'rateLimit',
  'rateLimitScope',
  'kernelStackTrace',
  'userStackTrace',
  'imaHash',
];

/** Field -> the actions that take it. A field elsewhere would be ignored in silence. */
const TAKEN_BY: Readonly<Record<string, readonly ActionName[]>> = {
  argUrl: ['GetUrl'],
  argFqdn: ['DnsLookup'],
  argError: ['Override', 'NotifyEnforcer'],
  argSig: ['Signal', 'NotifyEnforcer'],
  argSock: ['TrackSock', 'UntrackSock'],
  argIndex: ['Set'],
  argValue: ['Set'],
  argRegs: ['Override'],
  argNewSymbol: ['Override'],
  rateLimit: ['Post'],
  rateLimitScope: ['Post'],
  kernelStackTrace: ['Post'],
  userStackTrace: ['Post'],
  imaHash: ['Post'],
};

/** Errors that a call can return (linux/errno.h: MAX_ERRNO). */
const ERROR_MIN = -4095;
const SIGNAL_MAX = 64;
const UNIT_MS = { '': 1_000, s: 1_000, m: 60_000, h: 3_600_000 } as const;

const readRate = (context: Context, action: Fields): number | undefined => {
  const field = action.get('rateLimit');
  const written = field && readString(context, field);
  if (!field || written === undefined) return undefined;
  const match = /^([1-9][0-9]{0,6})([smh]?)$/.exec(written);
  if (match) return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
  return refuse(context, field, `${JSON.stringify(written)} is no time`, written, 'write 30, 30s, 5m or 1h');
};

const checkFields = (context: Context, action: Fields, name: ActionName): void => {
  for (const [field, takers] of Object.entries(TAKEN_BY)) {
    const found = action.get(field);
    if (!found || takers.includes(name)) continue;
    // What a server writes out by default says nothing.
    if (found.node.kind === 'scalar' && [0, '', false].includes(found.node.value as never)) continue;
    context.issues.add(found.path, found.keyAt, `${name} takes no ${field}`, {
      fix: `remove it; it goes with ${takers.join(', ')}`,
    });
  }
};

/** Where an action can be taken. */
const checkPlace = (context: Context, field: Field, name: ActionName, target: HookTarget['kind'] | undefined): void => {
  const only = (kinds: readonly string[], what: string): void => {
    if (target === undefined || kinds.includes(target)) return;
    refuse(context, field, `${name} does not go with ${what}`, name, `use it with ${kinds.join(', ')}`);
  };
  const names = {
    kprobe: 'kprobes',
    fentry: 'fentries',
    tracepoint: 'tracepoints',
    uprobe: 'uprobes',
    usdt: 'usdts',
    lsm: 'lsmhooks',
  };
  const where = target ? names[target] : '';
  if (name === 'Override') only(['kprobe', 'fentry', 'lsm', 'uprobe'], where);
  if (name === 'Set') only(['usdt'], where);
  if (name === 'TrackSock' || name === 'UntrackSock') only(['kprobe', 'fentry'], where);
};

const checkNeeds = (
  context: Context,
  action: Fields,
  name: ActionName,
  target: HookTarget['kind'] | undefined,
): void => {
  const need = (field: string, fix: string): void => {
    if (!action.get(field)) missing(context, action, field, fix);
  };
  if (name === 'Signal') need('argSig', 'write the number of the signal: 9 is SIGKILL, 15 SIGTERM');
  if (name === 'GetUrl') need('argUrl', 'write the URL to ask for');
  if (name === 'DnsLookup') need('argFqdn', 'write the name to look up');
  if (name !== 'Override') return;
  const ways = ['argError', 'argRegs', 'argNewSymbol'].filter((field) => action.get(field));
  if (target !== 'uprobe') need('argError', 'write the error to return: -1 is EPERM');
  else if (ways.length === 0) {
    context.issues.add(action.path, action.at, 'Override of a uprobe says not what to do instead', {
      fix: 'write argRegs, argNewSymbol or argError',
    });
  }
};

const readRegs = (context: Context, action: Fields): string[] | undefined => {
  if (!action.get('argRegs')) return undefined;
  return items(context, action, 'argRegs', 8).flatMap((item) => {
    const written = readString(context, item);
    if (written === undefined) return [];
    if (/^[a-z][a-z0-9]{1,5}=.+$/.test(written)) return [written];
    refuse(context, item, `${JSON.stringify(written)} sets no register`, written, 'write rax=0 or rip=(%rsp)%8');
    return [];
  });
};

const readAction = (context: Context, item: Field, target: HookTarget['kind'] | undefined): Action | undefined => {
  const action = readObject(context, item, { fields: FIELDS });
  const name = action && neededOneOf(context, action, 'action', ACTION_NAMES);
  const field = action?.get('action');
  if (!action || !name || !field) return undefined;
  const why = ACTIONS_REFUSED[name];
  if (why)
    return refuse(
      context,
      field,
      `${name} ${why}`,
      name,
      `use one of ${ACTION_NAMES.filter((one) => !ACTIONS_REFUSED[one]).join(', ')}`,
    );
  checkPlace(context, field, name, target);
  checkFields(context, action, name);
  checkNeeds(context, action, name, target);
  const scope = oneOf(context, action, 'rateLimitScope', RATE_SCOPES);
  const scopeField = action.get('rateLimitScope');
  if (scopeField && !action.get('rateLimit')) {
    refuse(context, scopeField, 'rateLimitScope needs rateLimit', scope, 'write rateLimit, or remove it');
  }
  const ima = action.get('imaHash');
  if (ima && flag(context, action, 'imaHash') && target !== undefined && target !== 'lsm') {
    refuse(context, ima, 'imaHash goes with lsmhooks only', true, 'remove it');
  }
  return {
    action: name,
    ...given('rateLimitMs', readRate(context, action)),
    ...given('rateLimitScope', scope),
    ...(flag(context, action, 'kernelStackTrace') ? { kernelStackTrace: true } : {}),
    ...(flag(context, action, 'userStackTrace') ? { userStackTrace: true } : {}),
    ...(flag(context, action, 'imaHash') ? { imaHash: true } : {}),
    ...given(
      'argError',
      whole(
        context,
        action,
        'argError',
        target === 'uprobe' ? INT32_MIN : ERROR_MIN,
        target === 'uprobe' ? INT32_MAX : 0,
      ),
    ),
    ...given('argSig', whole(context, action, 'argSig', 0, SIGNAL_MAX)),
    ...given('argSock', whole(context, action, 'argSock', 0, LIMITS.places - 1)),
    ...given('argIndex', whole(context, action, 'argIndex', 0, LIMITS.places - 1)),
    ...given('argValue', whole(context, action, 'argValue')),
    ...given('argUrl', text(context, action, 'argUrl')),
    ...given('argFqdn', text(context, action, 'argFqdn')),
    ...given('argRegs', readRegs(context, action)),
    ...given('argNewSymbol', text(context, action, 'argNewSymbol')),
  };
};

/** `target` undefined: of a macro, whose hook is not known. */
export const readActions = (
  context: Context,
  selector: Fields,
  name: 'matchActions' | 'matchReturnActions',
  target: HookTarget['kind'] | undefined,
): Action[] => {
  const read = items(context, selector, name, LIMITS.actions).flatMap(
    (item) => readAction(context, item, target) ?? [],
  );
  const seen = new Set<string>();
  for (const { action } of read) {
    if (seen.has(action)) {
      context.issues.add(joinPath(selector.path, name), selector.at, `${action} is given twice`, { fix: 'remove one' });
    }
    seen.add(action);
  }
  if (seen.has('Post') && seen.has('NoPost')) {
    context.issues.add(joinPath(selector.path, name), selector.at, 'Post and NoPost contradict each other', {
      fix: 'remove one of them',
    });
  }
  return read;
};
