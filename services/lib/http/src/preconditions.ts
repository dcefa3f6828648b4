// SPDX-License-Identifier: Apache-2.0
/** ETag and If-Match (RFC 9110): a change made on what somebody read earlier does not overwrite a newer one. */
import { weirError } from '@weir/errors';

export const etag = (revision: bigint | number): string => `"${revision}"`;

/** Throws PRECONDITION_FAILED when the request was made for another revision. `*` and no header match. */
export const requireMatch = (ifMatch: string | undefined, revision: bigint | number): void => {
  if (ifMatch === undefined) return;
  const wanted = ifMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (wanted.includes('*') || wanted.includes(etag(revision))) return;
  throw weirError('PRECONDITION_FAILED', `the object has changed: it is at revision ${revision}`, {
    field: 'If-Match',
    value: ifMatch.slice(0, 100),
    fix: 'read the object again, apply your change to it, and send its ETag as If-Match',
  });
};
