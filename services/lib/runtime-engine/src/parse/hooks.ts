// SPDX-License-Identifier: Apache-2.0
/** The six kinds of hooks of a spec. */
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readInteger,
  readObject,
  readString,
} from '@weir/policy-engine/reading';
import type { Argument, Hook, HookTarget, NamedList } from '../model.ts';
import { DIGESTS, LIMITS, RETURN_ARG_ACTIONS } from '../words.ts';
import { readArgument, readArguments } from './arguments.ts';
import { flag, given, items, needed, oneOf, refuse } from './fields.ts';
import { type Macros, readSelectors } from './selectors.ts';

const COMMON = ['message', 'args', 'selectors', 'tags', 'ignore'];
const RETURNING = ['return', 'returnArg', 'returnArgAction', 'data'];
const UPROBE = [
  'path',
  'symbols',
  'offsets',
  'addrs',
  'refCtrOffsets',
  'binaryDigests',
  'btfPath',
  'resolvePathInContainer',
];

/** spec field -> what it holds. */
export const HOOK_FIELDS = {
  kprobes: [...COMMON, ...RETURNING, 'call', 'syscall'],
  fentries: [...COMMON, ...RETURNING, 'call', 'syscall'],
  tracepoints: [...COMMON, 'subsystem', 'event', 'raw'],
  uprobes: [...COMMON, ...RETURNING, ...UPROBE],
  usdts: [...COMMON, 'path', 'provider', 'name', 'btfPath', 'resolvePathInContainer'],
  lsmhooks: [...COMMON, 'hook'],
} as const;
export type HookField = keyof typeof HOOK_FIELDS;

const FUNCTION = /^[A-Za-z_][A-Za-z0-9_.]*$/;

const readName = (context: Context, hook: Fields, name: string, fix: string): string => {
  const value = needed(context, hook, name, fix);
  const field = hook.get(name);
  if (field && value !== undefined && !FUNCTION.test(value)) {
    refuse(context, field, `${JSON.stringify(value)} is not a name`, value, fix);
  }
  return value ?? '';
};

const readCall = (context: Context, hook: Fields, lists: readonly NamedList[]): string => {
  const call = needed(context, hook, 'call', 'name the function, or a list: list:NAME') ?? '';
  const field = hook.get('call');
  if (!field || call === '') return call;
  const list = /^list:(.+)$/.exec(call)?.[1];
  if (list === undefined && !FUNCTION.test(call)) {
    refuse(context, field, `${JSON.stringify(call)} is not a name`, call, 'name the function, or a list: list:NAME');
  }
  if (list !== undefined && !lists.some(({ name }) => name === list)) {
    refuse(context, field, `there is no list ${JSON.stringify(list)}`, call, 'add it to spec.lists');
  }
  return call;
};

const readPath = (context: Context, hook: Fields): string => {
  const path = needed(context, hook, 'path', 'write the whole path of the binary or library') ?? '';
  const field = hook.get('path');
  if (field && path !== '' && !path.startsWith('/')) {
    refuse(context, field, 'is not an absolute path', path, 'write the whole path of the binary or library');
  }
  return path;
};

const readNumbers = (context: Context, hook: Fields, name: string): bigint[] =>
  items(context, hook, name, LIMITS.values).flatMap((item) => {
    const value = readInteger(context, item, 0, Number.MAX_SAFE_INTEGER);
    return value === undefined ? [] : [BigInt(value)];
  });

const readDigests = (context: Context, hook: Fields): string[] =>
  items(context, hook, 'binaryDigests', 16).flatMap((item) => {
    const written = readString(context, item);
    if (written === undefined) return [];
    const [algorithm = '', hex = ''] = written.split(':');
    const digits = Object.hasOwn(DIGESTS, algorithm) ? DIGESTS[algorithm] : undefined;
    const length = digits === 0 ? hex.length > 0 && hex.length <= 128 && hex.length % 2 === 0 : hex.length === digits;
    if (digits !== undefined && length && /^[0-9a-f]+$/i.test(hex) && written.split(':').length === 2) return [written];
    const fix = `write ALGORITHM:HEX with one of ${Object.keys(DIGESTS).join(', ')}, all digits`;
    refuse(context, item, `${JSON.stringify(written)} is no digest`, written, fix);
    return [];
  });

const readUprobe = (context: Context, hook: Fields): HookTarget => {
  const symbols = items(context, hook, 'symbols', LIMITS.values).flatMap((item) => readString(context, item) ?? []);
  const offsets = readNumbers(context, hook, 'offsets');
  const addresses = readNumbers(context, hook, 'addrs');
  const ways = [symbols, offsets, addresses].filter((all) => all.length > 0);
  const places = ways[0]?.length ?? 0;
  if (ways.length !== 1) {
    context.issues.add(hook.path, hook.at, `names ${ways.length === 0 ? 'no place' : 'places in several ways'}`, {
      fix: 'write one of symbols, offsets, addrs',
    });
  }
  const refCtrOffsets = readNumbers(context, hook, 'refCtrOffsets');
  const counters = hook.get('refCtrOffsets');
  if (counters && refCtrOffsets.length !== places) {
    refuse(
      context,
      counters,
      `has ${refCtrOffsets.length} elements for ${places} places`,
      undefined,
      'write one for each',
    );
  }
  return {
    kind: 'uprobe',
    path: readPath(context, hook),
    symbols,
    offsets,
    addresses,
    refCtrOffsets,
    digests: readDigests(context, hook),
    inContainer: flag(context, hook, 'resolvePathInContainer'),
  };
};

const readTarget = (context: Context, kind: HookField, hook: Fields, lists: readonly NamedList[]): HookTarget => {
  switch (kind) {
    case 'kprobes':
    case 'fentries':
      return {
        kind: kind === 'kprobes' ? 'kprobe' : 'fentry',
        call: readCall(context, hook, lists),
        syscall: flag(context, hook, 'syscall', true),
      };
    case 'tracepoints':
      return {
        kind: 'tracepoint',
        subsystem: readName(context, hook, 'subsystem', 'name the folder in /sys/kernel/tracing/events'),
        event: readName(context, hook, 'event', 'name the event of the subsystem'),
        raw: flag(context, hook, 'raw'),
      };
    case 'lsmhooks':
      return { kind: 'lsm', hook: readName(context, hook, 'hook', 'name it without security_, such as file_open') };
    case 'uprobes':
      return readUprobe(context, hook);
    case 'usdts':
      return {
        kind: 'usdt',
        path: readPath(context, hook),
        provider: readName(context, hook, 'provider', 'name the provider, as readelf -n shows it'),
        name: readName(context, hook, 'name', 'name the probe, as readelf -n shows it'),
      };
  }
};

const readTags = (context: Context, hook: Fields): string[] =>
  items(context, hook, 'tags', LIMITS.tags).flatMap((item) => readString(context, item) ?? []);

const readMessage = (context: Context, hook: Fields): string | undefined => {
  const field = hook.get('message');
  const message = field && readString(context, field);
  if (!field || message === undefined) return undefined;
  const bytes = Buffer.byteLength(message);
  if (bytes <= LIMITS.messageBytes) return message;
  return refuse(context, field, `has ${bytes} bytes`, message, `use ${LIMITS.messageBytes} bytes at most`);
};

const readReturn = (context: Context, hook: Fields): { returns: boolean; returnArg?: Argument } => {
  const returns = flag(context, hook, 'return');
  const field = hook.get('returnArg');
  const returnArg = field && readArgument(context, field, false);
  if (returns && !field) missing(context, hook, 'returnArg', 'write returnArg: {index: 0, type: int}');
  if (field && !returns) {
    context.issues.add(field.path, field.keyAt, 'returnArg needs return: true', { fix: 'write return: true' });
  }
  return { returns, ...(returnArg ? { returnArg } : {}) };
};

/** The kernel has it under the name, or no hook is attached and nobody told of it. */
const readIgnore = (context: Context, hook: Fields): boolean => {
  const field = hook.get('ignore');
  const ignore = field && readObject(context, field, { fields: ['callNotFound'] });
  return ignore ? flag(context, ignore, 'callNotFound') : false;
};

/** The size of a buffer is told by a place of the call, from 1. */
const checkSizes = (context: Context, hook: Fields, args: readonly Argument[]): void => {
  const seen = new Set<string>();
  for (const [at, arg] of args.entries()) {
    const same = `${arg.index} ${arg.resolve ?? ''} ${arg.source ?? ''} ${arg.type}`;
    if (seen.has(same)) {
      context.issues.add(`${hook.path}.args[${at}]`, hook.at, `argument ${arg.index} is given twice`, {
        value: arg.index,
        fix: 'remove one of them',
      });
    }
    seen.add(same);
  }
};

const readHook = (
  context: Context,
  kind: HookField,
  item: Field,
  lists: readonly NamedList[],
  macros: Macros,
): Hook | undefined => {
  const hook = readObject(context, item, { fields: HOOK_FIELDS[kind] });
  if (!hook) return undefined;
  const target = readTarget(context, kind, hook, lists);
  const args = readArguments(context, hook, 'args');
  const data = readArguments(context, hook, 'data');
  checkSizes(context, hook, args);
  const { returns, returnArg } = readReturn(context, hook);
  const scope = { target: target.kind, args, data, returns, returnArg, lists, macros };
  if (!hook.get('selectors')) {
    const fix = 'add selectors, or matchActions with a rateLimit';
    context.warnings.add('tells-everything', hook.path, hook.at, 'has no selectors: every call becomes an event', fix);
  }
  const position = context.issues.locate(hook.at);
  return {
    path: hook.path,
    ...(position ? { position } : {}),
    target,
    args,
    data,
    returns,
    ...given('returnArg', returnArg),
    ...given('returnArgAction', oneOf(context, hook, 'returnArgAction', RETURN_ARG_ACTIONS)),
    selectors: readSelectors(context, hook, scope),
    tags: readTags(context, hook),
    ...given('message', readMessage(context, hook)),
    ignoreNotFound: readIgnore(context, hook),
  };
};

export const readHooks = (context: Context, spec: Fields, lists: readonly NamedList[], macros: Macros): Hook[] =>
  (Object.keys(HOOK_FIELDS) as HookField[]).flatMap((kind) =>
    items(context, spec, kind, LIMITS.hooks).flatMap((item) => readHook(context, kind, item, lists, macros) ?? []),
  );
