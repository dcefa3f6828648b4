// SPDX-License-Identifier: Apache-2.0
/** weir.changes.v1.ChangeService: GET /v1/changes by gRPC, the same events with the same ids. */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ChangeSource, FeedEvent } from '@weir/bus/publishing';
import { nearest, weirError } from '@weir/errors';
import { ChangeService, What } from '@weir/proto/weir/changes/v1/changes_pb.js';
import { implement, type Registered } from './server.ts';

const WHAT = { written: What.WRITTEN, removed: What.REMOVED, status: What.STATUS } as const;

const message = (one: FeedEvent) => {
  if (one.event !== 'change') return { event: { case: one.event, value: {} }, id: one.id };
  const { kind, key, what, revision, at } = one.change;
  const value = { kind, key, what: WHAT[what], at: timestampFromDate(at) };
  const change = revision === null ? value : { ...value, revision };
  return { event: { case: 'change' as const, value: change }, id: one.id };
};

const checkKinds = (given: readonly string[], known: readonly string[]): void => {
  const wrong = given.findIndex((kind) => !known.includes(kind));
  if (wrong < 0) return;
  const kind = given[wrong] as string;
  const meant = nearest(kind, known);
  throw weirError('INVALID_ARGUMENT', `kinds[${wrong}] is not one of the values known here`, {
    field: `kinds[${wrong}]`,
    value: kind.slice(0, 100),
    fix: meant === undefined ? `use one of: ${known.join(', ')}` : `did you mean ${meant}?`,
  });
};

/** `known`: the kinds that the service has. */
export const changeService = (source: ChangeSource, known: readonly string[]): Registered =>
  implement(ChangeService, {
    streamChanges: async function* ({ kinds, afterId }, { signal }) {
      checkKinds(kinds, known);
      const request = { ...(afterId === '' ? {} : { after: afterId }), ...(kinds.length === 0 ? {} : { kinds }) };
      for await (const one of await source.follow(request, signal)) yield message(one);
      if (signal.aborted) return;
      // The source ends by itself only with the service, perhaps before the server does.
      const fix = 'call again with after_id, the id of the last event that you have';
      throw weirError('UNAVAILABLE', 'the service is ending', { fix, retryAfterS: 1 });
    },
  });
