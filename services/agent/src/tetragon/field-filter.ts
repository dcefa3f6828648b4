// SPDX-License-Identifier: Apache-2.0
/** Fields of events that a client wants, or does not. What is excluded stays out whatever is included. */
import type { DescMessage, Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { weirError } from '@weir/errors';
import {
  type EventType,
  type FieldFilter,
  FieldFilterAction,
  type GetEventsResponse,
  GetEventsResponseSchema,
} from '@weir/proto/tetragon/events_pb.js';
import { typeOf } from './event-filter.ts';

/** Names of fields below an event: an empty one is wanted whole. */
interface Paths extends Map<string, Paths> {}

const pathsOf = (filters: readonly FieldFilter[]): Paths => {
  const root: Paths = new Map();
  for (const path of filters.flatMap(({ fields }) => fields?.paths ?? [])) {
    let at = root;
    for (const name of path.split('.')) {
      const next: Paths = at.get(name) ?? new Map();
      at.set(name, next);
      at = next;
    }
  }
  return root;
};

const appliesTo = ({ eventSet, invertEventSet }: FieldFilter, type: EventType | undefined): boolean =>
  eventSet.length === 0 || (type !== undefined && eventSet.includes(type)) !== (invertEventSet ?? false);

const inner = (message: ReflectMessage, name: string): ReflectMessage | undefined => {
  const field = message.desc.fields.find((one) => one.name === name);
  return field?.fieldKind === 'message' && message.isSet(field) ? message.get(field) : undefined;
};

const keepOnly = (message: ReflectMessage, paths: Paths): void => {
  for (const field of message.desc.fields) {
    const below = paths.get(field.name);
    if (!below) message.clear(field);
    else if (below.size > 0) {
      const next = inner(message, field.name);
      if (next) keepOnly(next, below);
    }
  }
};

const leaveOut = (message: ReflectMessage, paths: Paths): void => {
  for (const [name, below] of paths) {
    const field = message.desc.fields.find((one) => one.name === name);
    if (!field) continue;
    if (below.size === 0) message.clear(field);
    else {
      const next = inner(message, name);
      if (next) leaveOut(next, below);
    }
  }
};

const EVENTS: readonly DescMessage[] = GetEventsResponseSchema.oneofs.flatMap(({ fields }) =>
  fields.flatMap(({ message }) => message ?? []),
);

const exists = (desc: DescMessage, [name, ...rest]: readonly string[]): boolean => {
  const field = desc.fields.find((one) => one.name === name);
  if (!field || rest.length === 0) return field !== undefined;
  return field.fieldKind === 'message' && exists(field.message, rest);
};

/** Changes an event, which must be the caller's own. Throws INVALID_ARGUMENT. */
export const compileFieldFilters = (filters: readonly FieldFilter[]): ((event: GetEventsResponse) => void) => {
  for (const path of filters.flatMap(({ fields }) => fields?.paths ?? [])) {
    if (EVENTS.some((desc) => exists(desc, path.split('.')))) continue;
    throw weirError('INVALID_ARGUMENT', `no event has a field ${JSON.stringify(path)}`, {
      field: 'field_filters',
      value: path,
      fix: 'write it as in the .proto, from the event down: process.exec_id, parent.pod',
    });
  }
  return (event) => {
    const type = typeOf(event);
    const about = event.event.value as Message | undefined;
    const applying = filters.filter((filter) => appliesTo(filter, type));
    const field = GetEventsResponseSchema.fields.find(({ localName }) => localName === event.event.case);
    if (!about || applying.length === 0 || field?.fieldKind !== 'message') return;
    const message = reflect(field.message, about);
    const included = applying.filter(({ action }) => action === FieldFilterAction.INCLUDE);
    if (included.length > 0) keepOnly(message, pathsOf(included));
    leaveOut(message, pathsOf(applying.filter(({ action }) => action === FieldFilterAction.EXCLUDE)));
  };
};
