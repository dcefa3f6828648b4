// SPDX-License-Identifier: Apache-2.0
/** Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a POST that is sent again does not happen again. */
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';

/** Spread into the headers schema of a POST that changes something. */
export const idempotencyHeader = {
  'idempotency-key': Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{1,255}$',
      description:
        'Up to 255 visible ASCII characters, such as a UUID; for a day the same request with it gets the same answer',
    }),
  ),
};

export interface OnceOfRequest {
  readonly key: string;
  readonly onReplay: () => void;
}

/** What @weir/db's onlyOnce() takes; an answer that is given again says so in a header. */
export const onceOf = (
  headers: { readonly 'idempotency-key'?: string },
  reply: Pick<FastifyReply, 'header'>,
): OnceOfRequest | undefined => {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  return { key, onReplay: () => void reply.header('idempotency-replayed', 'true') };
};
