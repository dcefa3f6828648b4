// SPDX-License-Identifier: Apache-2.0
/** One connection or one datagram from inside a namespace, as a program there would make it. */
import { getSystemErrorName } from 'node:util';
import { parseIp } from '@weir/net';
import { attemptAsync } from './errors.ts';
import { native } from './native.ts';

export interface AttemptRequest {
  readonly netns: string;
  readonly address: string;
  readonly port: number;
  /** A connection, which is closed again, or a datagram without content. */
  readonly protocol: 'TCP' | 'UDP';
  readonly timeoutMs: number;
}

export interface AttemptResult {
  /** Empty: connected, or answered by a datagram. Else ETIMEDOUT (nothing was heard), ECONNREFUSED, EHOSTUNREACH, EACCES ... */
  readonly error: string;
  /** Of the socket; 0 when it never had one. */
  readonly sourcePort: number;
  readonly us: number;
}

export const attempt = async ({
  netns,
  address,
  port,
  protocol,
  timeoutMs,
}: AttemptRequest): Promise<AttemptResult> => {
  const [errno, sourcePort, us] = await attemptAsync(`${protocol} ${address} port ${port} from ${netns}`, () =>
    native().attempt(netns, parseIp(address), port, protocol === 'TCP', timeoutMs),
  );
  return { error: errno === 0 ? '' : getSystemErrorName(-errno), sourcePort, us };
};
