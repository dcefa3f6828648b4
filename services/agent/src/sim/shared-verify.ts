// SPDX-License-Identifier: Apache-2.0
/**
 * A fleet in one process: what a thousand hosts do at the same time on their own processors would come one after the
 * other here, and the signature, with which each host begins, is half of it. So an envelope is verified once, and the other
 * agents get the same document. Only what was good is kept, and only for exactly those bytes.
 */
import { type Verify, verifySigned } from '@weir/bus';

/** Envelopes on their way to the slowest agent; a snapshot is larger, and verified by each agent that is late. */
const KEPT = 16_384;

export const sharedVerify = (): Verify => {
  const good = new Map<string, { readonly bytes: Uint8Array; readonly document: ReturnType<Verify> }>();
  return (bytes, trustedKeys, subject) => {
    const known = good.get(subject);
    if (known !== undefined && Buffer.compare(known.bytes, bytes) === 0) return known.document;
    const document = verifySigned(bytes, trustedKeys, subject);
    good.delete(subject);
    // A copy: the message shares its memory with all that came in one read of the socket.
    good.set(subject, { bytes: Uint8Array.from(bytes), document });
    if (good.size > KEPT) good.delete(good.keys().next().value as string);
    return document;
  };
};
