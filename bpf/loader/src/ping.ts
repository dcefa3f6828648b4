// SPDX-License-Identifier: Apache-2.0
/** ICMP echo to many addresses at once. Needs CAP_NET_RAW. */
import { getSystemErrorName } from 'node:util';
import { weirError } from '@weir/errors';
import { parseIp } from '@weir/net';
import { attemptAsync } from './errors.ts';
import { native } from './native.ts';

/** More at once would fill the buffers of sockets. */
export const PING_MAX = 1_024;

export interface PingResult {
  /** Microseconds; undefined without an answer. */
  readonly latencyUs: number | undefined;
  /** Empty when it answered: `no answer`, or the name of the error with which the kernel refused to send. */
  readonly error: string;
}

/** One result for each address, in their order. `netns`: the namespace to ask from; this process's unless given. */
export const ping = async (
  addresses: readonly string[],
  timeoutMs: number,
  netns?: string,
): Promise<readonly PingResult[]> => {
  if (addresses.length > PING_MAX) {
    throw weirError('INVALID_ARGUMENT', `${addresses.length} addresses are too many to ask at once`, {
      field: 'addresses',
      value: addresses.length,
      fix: `ask at most ${PING_MAX}, and the others after them`,
    });
  }
  const bytes = Buffer.concat(addresses.map((text) => parseIp(text)));
  const results = await attemptAsync('ping', () => native().ping(netns, bytes, timeoutMs));
  return results.map((result) => {
    if (result >= 0) return { latencyUs: result, error: '' };
    return { latencyUs: undefined, error: result === -1 ? 'no answer' : getSystemErrorName(result + 1) };
  });
};
