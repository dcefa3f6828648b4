// SPDX-License-Identifier: Apache-2.0
/** A GET on a connection of its own: the status, and what the body contains. */
import type { IncomingMessage } from 'node:http';
import { isIp } from '@weir/net';
import type { HealthCheck } from '@weir/proto/weir/bus/v1/config_pb.js';
import { failed, failedBy, noAnswer, OK, type Outcome, type Place } from './outcome.ts';

const STATUS_LOW = 200;
const STATUS_HIGH = 399;
/** A page that says that all is well is short. */
const BODY_MAX_BYTES = 65_536;

const hasStatus = ({ statusCode = 0 }: IncomingMessage, { statusLow, statusHigh }: HealthCheck): boolean =>
  statusCode >= (statusLow || STATUS_LOW) && statusCode <= (statusHigh || STATUS_HIGH);

const bodyOutcome = async (response: IncomingMessage, expect: Uint8Array): Promise<Outcome> => {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response) {
    parts.push(part);
    bytes += part.length;
    if (Buffer.concat(parts).includes(Buffer.from(expect))) return OK;
    if (bytes > BODY_MAX_BYTES) break;
  }
  return failed('the body does not contain what is expected', true);
};

export const probeWeb = async (place: Place, check: HealthCheck, isTls: boolean): Promise<Outcome> => {
  const { address, port, timeoutMs } = place;
  const { request } = await (isTls ? import('node:https') : import('node:http'));
  const signal = AbortSignal.timeout(timeoutMs);
  const host = check.host || (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
  const name = check.host.replace(/:\d+$/, '');
  const tls = {
    rejectUnauthorized: !check.insecure,
    ...(name === '' || isIp(name) ? {} : { servername: name }),
  };
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      resolve(signal.aborted ? noAnswer(timeoutMs) : failedBy(error));
    const asked = request(
      {
        ...{ host: address, port, path: check.path || '/', agent: false, signal },
        headers: { host, 'user-agent': 'weir-health-check', connection: 'close' },
        ...(isTls ? tls : {}),
      },
      (response) => {
        const end = (outcome: Outcome): void => {
          resolve(outcome);
          asked.destroy();
        };
        response.on('error', fail);
        if (!hasStatus(response, check)) end(failed(`HTTP ${response.statusCode}`, true));
        else if (check.expect.length === 0) end(OK);
        else bodyOutcome(response, check.expect).then(end, fail);
      },
    );
    asked.on('error', fail);
    asked.end();
  });
};
