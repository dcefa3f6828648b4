// SPDX-License-Identifier: Apache-2.0
/**
 * ETag, If-Match and If-None-Match (RFC 9110): a change made on what somebody read earlier does not overwrite a newer
 * one, and what has not changed is not sent again.
 *
 * A tag is "<revision>", or "<revision>.<digest>" where the answer also shows what changes without a revision (what a host
 * says of itself). A change is guarded by the revision, since only others' changes may stop it; an answer that the reader
 * has already is recognised by the whole tag.
 */
import { createHash } from 'node:crypto';
import { weirError } from '@weir/errors';
import type { FastifyInstance } from 'fastify';

const DIGEST_CHARS = 10;
const SHOWN_CHARS = 100;

/** `shown`: the answer, when it holds more than the revision stands for. */
export const etag = (revision: bigint | number, shown?: unknown): string =>
  shown === undefined
    ? `"${revision}"`
    : `"${revision}.${createHash('sha256').update(JSON.stringify(shown)).digest('base64url').slice(0, DIGEST_CHARS)}"`;

const tagsOf = (header: string): string[] => header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
const revisionOf = (tag: string): string => tag.replace(/^"(\d+)\.[\w-]+"$/, '"$1"');

/** Throws PRECONDITION_FAILED when the request was made for another revision. `undefined`: there is no such object. */
export const requireMatch = (ifMatch: string | undefined, revision: bigint | number | undefined): void => {
  if (ifMatch === undefined) return;
  const wanted = tagsOf(ifMatch);
  if (revision !== undefined && (wanted.includes('*') || wanted.map(revisionOf).includes(etag(revision)))) return;
  throw weirError(
    'PRECONDITION_FAILED',
    revision === undefined ? 'the object does not exist' : `the object has changed: it is at revision ${revision}`,
    {
      field: 'If-Match',
      value: ifMatch.slice(0, SHOWN_CHARS),
      fix: 'read the object again, apply your change to it, and send its ETag as If-Match',
      ...(revision === undefined ? {} : { current: etag(revision) }),
    },
  );
};

/** Throws PRECONDITION_FAILED when the request was to create (`*`), and the object exists. */
export const requireNoneMatch = (ifNoneMatch: string | undefined, revision: bigint | number | undefined): void => {
  if (ifNoneMatch === undefined || revision === undefined) return;
  const unwanted = tagsOf(ifNoneMatch);
  if (!unwanted.includes('*') && !unwanted.map(revisionOf).includes(etag(revision))) return;
  throw weirError('PRECONDITION_FAILED', `the object exists, at revision ${revision}`, {
    field: 'If-None-Match',
    value: ifNoneMatch.slice(0, SHOWN_CHARS),
    fix: 'leave If-None-Match out to change it, or choose another name',
    current: etag(revision),
  });
};

/** Answers 304 to a GET whose reader has the answer already. */
export const answerNotModified = (app: FastifyInstance): void => {
  app.addHook('onSend', async (request, reply, payload) => {
    const tag = reply.getHeader('etag');
    const had = request.headers['if-none-match'];
    if (request.method !== 'GET' || reply.statusCode !== 200 || typeof tag !== 'string' || had === undefined)
      return payload;
    if (!tagsOf(had).includes('*') && !tagsOf(had).includes(tag)) return payload;
    reply.status(304).removeHeader('content-type').removeHeader('content-length');
    return null;
  });
};
