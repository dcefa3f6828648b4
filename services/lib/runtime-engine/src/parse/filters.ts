// SPDX-License-Identifier: Apache-2.0
/** Filters of a selector that look at the process: who it is, what it runs, where it lives, what it may do. */
import {
  type Context,
  type Field,
  type Fields,
  readInteger,
  readObject,
  readOneOf,
  readRequirements,
  readString,
} from '@weir/policy-engine/reading';
import type { BinaryFilter, CapabilityFilter, NamespaceFilter, PidFilter, Selector, WorkloadFilter } from '../model.ts';
import { BINARY_OPERATORS, CAPABILITIES, CAPABILITY_SETS, LIMITS, NAMESPACES, SET_OPERATORS } from '../words.ts';
import { flag, items, neededOneOf, neededValues, oneOf, refuse, UINT32_MAX } from './fields.ts';
import { readBytes, readNumber } from './values.ts';

/** One PID and one binary filter mean one place in the kernel's table each; more than these of a kind nobody has needed. */
const FILTERS = 4;

const each = <T>(
  context: Context,
  selector: Fields,
  name: string,
  fields: readonly string[],
  read: (filter: Fields) => T | undefined,
): T[] =>
  items(context, selector, name, FILTERS).flatMap((item) => {
    const filter = readObject(context, item, { fields });
    return (filter && read(filter)) ?? [];
  });

const readPids = (context: Context, selector: Fields): PidFilter[] =>
  each(context, selector, 'matchPIDs', ['operator', 'values', 'isNamespacePID', 'followForks'], (filter) => {
    const operator = neededOneOf(context, filter, 'operator', SET_OPERATORS);
    const pids = neededValues(context, filter, LIMITS.pids).flatMap(
      (item) => readInteger(context, item, 0, 0x7fff_ffff) ?? [],
    );
    return {
      negated: operator === 'NotIn',
      pids,
      followForks: flag(context, filter, 'followForks'),
      ofNamespace: flag(context, filter, 'isNamespacePID'),
    };
  });

const COMPARISONS = { In: 'equal', Prefix: 'prefix', Postfix: 'postfix' } as const;

const readBinaries = (context: Context, selector: Fields, name: string): BinaryFilter[] =>
  each(context, selector, name, ['operator', 'values', 'followChildren'], (filter) => {
    const operator = neededOneOf(context, filter, 'operator', BINARY_OPERATORS) ?? 'In';
    const comparison = COMPARISONS[operator.replace(/^Not/, '') as keyof typeof COMPARISONS];
    const values = neededValues(context, filter, LIMITS.values).flatMap((item) => {
      const written = readString(context, item);
      if (written === undefined) return [];
      if (comparison !== 'postfix' && !written.startsWith('/')) {
        refuse(context, item, 'is not an absolute path', written, 'write the whole path, such as /usr/bin/cat');
        return [];
      }
      return readBytes(context, item, written, comparison) ?? [];
    });
    const children = filter.get('followChildren');
    const followChildren = flag(context, filter, 'followChildren');
    if (children && followChildren && comparison !== 'equal') {
      refuse(context, children, `followChildren does not go with ${operator}`, true, 'use In or NotIn');
    }
    return { comparison, negated: operator.startsWith('Not'), values, followChildren };
  });

const readNamespaceValue = (context: Context, item: Field): bigint | 'host' | undefined => {
  const written = readString(context, item);
  if (written === undefined) return undefined;
  if (written === 'host_ns') return 'host';
  const inode = readNumber(written);
  if (inode !== undefined && inode > 0n && inode <= BigInt(UINT32_MAX)) return inode;
  return refuse(
    context,
    item,
    `${JSON.stringify(written)} is no namespace`,
    written,
    'write its inode number (lsns shows it), or host_ns',
  );
};

const readNamespaces = (context: Context, selector: Fields): NamespaceFilter[] =>
  items(context, selector, 'matchNamespaces', NAMESPACES.length).flatMap((item) => {
    const filter = readObject(context, item, { fields: ['namespace', 'operator', 'values'] });
    if (!filter) return [];
    const namespace = neededOneOf(context, filter, 'namespace', NAMESPACES);
    const operator = neededOneOf(context, filter, 'operator', SET_OPERATORS);
    const values = neededValues(context, filter, 4).flatMap((value) => readNamespaceValue(context, value) ?? []);
    return namespace ? [{ namespace, negated: operator === 'NotIn', values }] : [];
  });

const readNamespaceChanges = (context: Context, selector: Fields): Selector['namespaceChanges'] =>
  each(context, selector, 'matchNamespaceChanges', ['operator', 'values'], (filter) => ({
    negated: neededOneOf(context, filter, 'operator', SET_OPERATORS) === 'NotIn',
    namespaces: neededValues(context, filter, NAMESPACES.length).flatMap(
      (value) => readOneOf(context, value, NAMESPACES) ?? [],
    ),
  }));

const readCapabilities = (context: Context, selector: Fields, name: string): CapabilityFilter[] =>
  each(context, selector, name, ['type', 'operator', 'isNamespaceCapability', 'values'], (filter) => {
    const type = oneOf(context, filter, 'type', CAPABILITY_SETS) ?? 'Effective';
    const operator = neededOneOf(context, filter, 'operator', SET_OPERATORS);
    const named = neededValues(context, filter, CAPABILITIES.length).flatMap(
      (value) => readOneOf(context, value, CAPABILITIES) ?? [],
    );
    return {
      set: type.toLowerCase() as CapabilityFilter['set'],
      negated: operator === 'NotIn',
      capabilities: named.reduce((bits, capability) => bits | (1n << BigInt(CAPABILITIES.indexOf(capability))), 0n),
      ofNamespace: flag(context, filter, 'isNamespaceCapability'),
    };
  });

const PLAIN = { sources: true, source: 'any' } as const;
/** Facts of a container are labels of their own source. */
const CONTAINER = { sources: false, source: 'container' } as const;
const CONTAINER_FACTS = ['name', 'repo'];

/** `containerSelector`: name and repo only. */
export const readContainers = (context: Context, field: Field): WorkloadFilter['containers'] => {
  const requirements = readRequirements(context, field, CONTAINER);
  for (const { key } of requirements ?? []) {
    if (CONTAINER_FACTS.includes(key)) continue;
    refuse(context, field, `containers have no ${JSON.stringify(key)} to select by`, key, 'use name or repo');
  }
  return requirements;
};

export const readPods = (context: Context, field: Field): WorkloadFilter['pods'] =>
  readRequirements(context, field, PLAIN);

const readWorkloads = (context: Context, selector: Fields): WorkloadFilter[] =>
  each(context, selector, 'matchWorkloads', ['podSelector', 'containerSelector'], (filter) => {
    const podField = filter.get('podSelector');
    const containerField = filter.get('containerSelector');
    const pods = podField && readPods(context, podField);
    const containers = containerField && readContainers(context, containerField);
    return { ...(pods ? { pods } : {}), ...(containers ? { containers } : {}) };
  });

export type ProcessFilters = Pick<
  Selector,
  | 'pids'
  | 'binaries'
  | 'parentBinaries'
  | 'namespaces'
  | 'namespaceChanges'
  | 'capabilities'
  | 'capabilityChanges'
  | 'workloads'
>;

export const PROCESS_FIELDS = [
  'matchPIDs',
  'matchBinaries',
  'matchParentBinaries',
  'matchNamespaces',
  'matchNamespaceChanges',
  'matchCapabilities',
  'matchCapabilityChanges',
  'matchWorkloads',
];

export const readProcessFilters = (context: Context, selector: Fields): ProcessFilters => ({
  pids: readPids(context, selector),
  binaries: readBinaries(context, selector, 'matchBinaries'),
  parentBinaries: readBinaries(context, selector, 'matchParentBinaries'),
  namespaces: readNamespaces(context, selector),
  namespaceChanges: readNamespaceChanges(context, selector),
  capabilities: readCapabilities(context, selector, 'matchCapabilities'),
  capabilityChanges: readCapabilities(context, selector, 'matchCapabilityChanges'),
  workloads: readWorkloads(context, selector),
});
