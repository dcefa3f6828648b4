// SPDX-License-Identifier: Apache-2.0
/**
 * Which events a client of Tetragon asked for. Values of one field are alternatives, fields must all hold. What this agent
 * cannot judge is refused: a filter that is passed over would let through what it should hold back.
 */
import { weirError } from '@weir/errors';
import type { CapFilterSet, EventType, Filter, GetEventsResponse } from '@weir/proto/tetragon/events_pb.js';
import { EventTypeSchema } from '@weir/proto/tetragon/events_pb.js';
import type { Process } from '@weir/proto/tetragon/tetragon_pb.js';

export type EventTest = (event: GetEventsResponse) => boolean;

/** Those above a process, from its parent up. */
export type AncestorsOf = (execId: string) => readonly { readonly pid: number; readonly binary: string }[];

const VALUES_MAX = 100;
const FILTERS_MAX = 100;
const UNSUPPORTED: Readonly<Record<string, string>> = {
  labels: 'labels of workloads are known to the fleet: ask weir processes observe --workload',
  celExpression: 'write it with the other fields',
  containerNameRegex: 'containers are known by their id here: use container_id',
};

interface Subject {
  readonly event: GetEventsResponse;
  readonly process: Process | undefined;
  readonly parent: Process | undefined;
}

type SubjectTest = (subject: Subject) => boolean;

const subjectOf = (event: GetEventsResponse): Subject => {
  const about = event.event.value;
  return {
    event,
    process: about && 'process' in about ? about.process : undefined,
    parent: about && 'parent' in about ? about.parent : undefined,
  };
};

/** RE2 has flags in front, which JavaScript has behind. */
const regex = (field: string, text: string): RegExp => {
  const [, flags = '', pattern = ''] = /^(?:\(\?([ims]+)\))?([\s\S]*)$/.exec(text) ?? [];
  try {
    return new RegExp(pattern, flags);
  } catch (cause) {
    throw weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(text)} is no regular expression`, {
      field,
      value: text,
      fix: 'write it such as ^/usr/bin/cat$',
      cause,
    });
  }
};

const matches = (
  field: string,
  patterns: readonly string[],
  textOf: (subject: Subject) => string | undefined,
): SubjectTest => {
  const compiled = patterns.map((pattern) => regex(field, pattern));
  return (subject) => {
    const text = textOf(subject);
    return text !== undefined && compiled.some((pattern) => pattern.test(text));
  };
};

const capSet = (set: CapFilterSet | undefined, of: (process: Process) => readonly number[]): SubjectTest => {
  if (!set) return () => true;
  return ({ process }) => {
    if (!process) return false;
    const has = new Set(of(process));
    if (set.any.length > 0 && !set.any.some((one) => has.has(one))) return false;
    if (!set.all.every((one) => has.has(one))) return false;
    if (set.exactly.length > 0 && !(set.exactly.length === has.size && set.exactly.every((one) => has.has(one))))
      return false;
    return !set.none.some((one) => has.has(one));
  };
};

const policyOf = ({ event }: Subject): string | undefined => {
  const about = event.event.value;
  return about && 'policyName' in about ? about.policyName : undefined;
};

/** Of the fields of GetEventsResponse: its number is that of the event's type. */
const TYPE_OF = new Map<string, EventType>(
  EventTypeSchema.values.map(({ name, number }) => [
    name.toLowerCase().replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    number as EventType,
  ]),
);

export const typeOf = ({ event }: GetEventsResponse): EventType | undefined => TYPE_OF.get(event.case ?? '');

const compile = (filter: Filter, ancestorsOf: AncestorsOf): SubjectTest => {
  for (const [field, fix] of Object.entries(UNSUPPORTED)) {
    if ((filter[field as 'labels'] as readonly unknown[]).length === 0) continue;
    const name = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    throw weirError('INVALID_ARGUMENT', `this agent cannot filter by ${name}`, { field: name, fix });
  }
  const tests: SubjectTest[] = [];
  const add = (values: readonly unknown[], test: () => SubjectTest): void => {
    if (values.length > VALUES_MAX) {
      throw weirError('INVALID_ARGUMENT', `a filter has ${values.length} values of one field`, {
        field: 'allow_list',
        fix: `give at most ${VALUES_MAX}`,
      });
    }
    if (values.length > 0) tests.push(test());
  };
  add(filter.binaryRegex, () => matches('binary_regex', filter.binaryRegex, ({ process }) => process?.binary));
  add(
    filter.namespace,
    () =>
      ({ process }) =>
        filter.namespace.includes(process?.pod?.namespace ?? ''),
  );
  add(filter.namespaceRegex, () =>
    matches('namespace_regex', filter.namespaceRegex, ({ process }) => process?.pod?.namespace ?? ''),
  );
  add(filter.podRegex, () => matches('pod_regex', filter.podRegex, ({ process }) => process?.pod?.name));
  add(
    filter.pid,
    () =>
      ({ process }) =>
        process?.pid !== undefined && filter.pid.includes(process.pid),
  );
  add(filter.pidSet, () => ({ process }) => {
    if (process?.pid === undefined) return false;
    return [process.pid, ...ancestorsOf(process.execId).map(({ pid }) => pid)].some((pid) =>
      filter.pidSet.includes(pid),
    );
  });
  add(
    filter.eventSet,
    () =>
      ({ event }) =>
        filter.eventSet.includes(typeOf(event) as EventType),
  );
  add(filter.argumentsRegex, () =>
    matches('arguments_regex', filter.argumentsRegex, ({ process }) => process?.arguments),
  );
  add(filter.policyNames, () => (subject) => filter.policyNames.includes(policyOf(subject) ?? ''));
  add(filter.parentBinaryRegex, () =>
    matches('parent_binary_regex', filter.parentBinaryRegex, ({ parent }) => parent?.binary),
  );
  add(filter.parentArgumentsRegex, () =>
    matches('parent_arguments_regex', filter.parentArgumentsRegex, ({ parent }) => parent?.arguments),
  );
  add(filter.containerId, () => matches('container_id', filter.containerId, ({ process }) => process?.docker));
  add(filter.ancestorBinaryRegex, () => {
    const patterns = filter.ancestorBinaryRegex.map((pattern) => regex('ancestor_binary_regex', pattern));
    // the parent is no ancestor of this field
    return ({ process }) =>
      ancestorsOf(process?.execId ?? '')
        .slice(1)
        .some(({ binary }) => patterns.some((pattern) => pattern.test(binary)));
  });
  const { healthCheck, inInitTree, capabilities } = filter;
  // Nobody has probes here: no event is of a health check.
  if (healthCheck !== undefined) tests.push(() => !healthCheck);
  if (inInitTree !== undefined) tests.push(({ process }) => process?.inInitTree === inInitTree);
  if (capabilities) {
    tests.push(capSet(capabilities.permitted, ({ cap }) => cap?.permitted ?? []));
    tests.push(capSet(capabilities.effective, ({ cap }) => cap?.effective ?? []));
    tests.push(capSet(capabilities.inheritable, ({ cap }) => cap?.inheritable ?? []));
  }
  return (subject) => tests.every((holds) => holds(subject));
};

/** An event passes when one of `allow` matches, or there are none, and none of `deny` does. Throws INVALID_ARGUMENT. */
export const compileFilters = (
  allow: readonly Filter[],
  deny: readonly Filter[],
  ancestorsOf: AncestorsOf,
): EventTest => {
  if (allow.length + deny.length > FILTERS_MAX) {
    throw weirError('INVALID_ARGUMENT', `there are ${allow.length + deny.length} filters`, {
      field: 'allow_list',
      fix: `give at most ${FILTERS_MAX}`,
    });
  }
  const allowed = allow.map((filter) => compile(filter, ancestorsOf));
  const denied = deny.map((filter) => compile(filter, ancestorsOf));
  return (event) => {
    const subject = subjectOf(event);
    if (allowed.length > 0 && !allowed.some((holds) => holds(subject))) return false;
    return !denied.some((holds) => holds(subject));
  };
};
