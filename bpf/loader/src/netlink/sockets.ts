// SPDX-License-Identifier: Apache-2.0
/**
 * Sockets of a namespace, found and closed by others (linux/inet_diag.h). Who is closed so learns it at once (ECONNABORTED)
 * instead of waiting for answers that nobody sends. Needs a kernel with CONFIG_INET_DIAG_DESTROY.
 */
import { isWeirError } from '@weir/errors';
import { attempt, attemptAsync } from '../errors.ts';
import { native } from '../native.ts';
import { AF, FLAG, message, messages, NETLINK } from './message.ts';

const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const PROTOCOLS = [6, 17];
const FAMILIES = [AF.INET, AF.INET6];
/** inet_diag_req_v2: family, protocol, ext, pad, states, then the socket's id. */
const REQUEST_BYTES = 56;
const ID_AT = { request: 8, answer: 4 } as const;
const ID_BYTES = 48;
const DPORT_AT = 2;
const COOKIE_AT = 40;
const ALL_STATES = 0xffffffff;

const request = (family: number, protocol: number, id: Uint8Array = new Uint8Array(ID_BYTES)): Buffer => {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(protocol, 1);
  bytes.writeUInt32LE(ALL_STATES, 4);
  bytes.set(id, ID_AT.request);
  return bytes;
};

/** It ended by itself meanwhile. */
const isGone = (error: unknown): boolean =>
  isWeirError(error) && ['ENOENT', 'ESTALE'].includes(String(error.facts.details?.errnoName));

/**
 * Closes connected TCP and UDP sockets. `wanted`: cookie (`bpf_get_socket_cookie`) -> port that the socket must still be
 * connected to. Returns how many it were.
 */
export const destroySockets = async (
  netns: string | undefined,
  wanted: ReadonlyMap<bigint, number>,
): Promise<number> => {
  const what = `sockets of ${netns ?? 'this network namespace'}`;
  const handle = attempt(what, () => native().netlinkOpen(netns, NETLINK.SOCK_DIAG));
  const ask = async (type: number, flags: number, body: Buffer): Promise<Buffer> =>
    attemptAsync(what, () => native().netlinkRequest(handle, message(type, flags, body)));
  let destroyed = 0;
  try {
    for (const family of FAMILIES) {
      for (const protocol of PROTOCOLS) {
        for (const { body } of messages(await ask(SOCK_DIAG_BY_FAMILY, FLAG.DUMP, request(family, protocol)))) {
          const id = body.subarray(ID_AT.answer, ID_AT.answer + ID_BYTES);
          if (wanted.get(id.readBigUInt64LE(COOKIE_AT)) !== id.readUInt16BE(DPORT_AT)) continue;
          try {
            await ask(SOCK_DESTROY, 0, request(family, protocol, id));
            destroyed++;
          } catch (error) {
            if (!isGone(error)) throw error;
          }
        }
      }
    }
  } finally {
    native().close(handle);
  }
  return destroyed;
};
