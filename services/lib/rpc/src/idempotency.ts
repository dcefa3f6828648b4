// SPDX-License-Identifier: Apache-2.0
/** `idempotency-key` in the metadata of a call: what Idempotency-Key is for HTTP. */
import { weirError } from '@weir/errors';
import type { CallContext } from './server.ts';

const KEY = /^[\x21-\x7e]{1,255}$/;

/** What @weir/db's onlyOnce() takes. */
export const onceOfCall = ({ metadata }: Pick<CallContext, 'metadata'>): { readonly key: string } | undefined => {
  const [key] = metadata.get('idempotency-key');
  if (key === undefined) return undefined;
  const text = key.toString();
  if (KEY.test(text)) return { key: text };
  throw weirError('INVALID_ARGUMENT', 'idempotency-key does not have the right form', {
    field: 'idempotency-key',
    value: text.slice(0, 100),
    fix: 'give up to 255 visible ASCII characters, such as a UUID',
  });
};
