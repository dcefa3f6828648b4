// SPDX-License-Identifier: Apache-2.0
/**
 * Leases of hosts: one message a service, written only over the one that was read (the broker compares sequences), so of
 * several that want it one gets it. No clock is compared: who wants it watches for as long as the lease says.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { JetStreamApiError } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { weirError } from '@weir/errors';
import type { Lease, LeaseSchema } from '@weir/proto/weir/bus/v1/agent_pb.js';
import type { Bus } from './connect.ts';
import { STREAM } from './streams.ts';
import { subjects } from './subjects.ts';

export interface StoredLease {
  readonly lease: Lease;
  /** What it must be written over. */
  readonly seq: number;
  /** By the broker's clock, Unix milliseconds. */
  readonly timeMs: number;
}

const TIMEOUT_MS = 2_000;
const WRONG_LAST_SEQUENCE = 10_071;
const NOT_FOUND = 404;

const unreachable = (service: string, what: string, cause?: unknown): Error =>
  weirError('UNAVAILABLE', `the lease of service ${service} could not be ${what}`, {
    field: service,
    fix: 'it is tried again; if it lasts, look at nats-server',
    retryAfterS: 1,
    cause,
  });

/** Undefined: nobody ever had it. */
export const readLease = async (
  { nc }: Pick<Bus, 'nc'>,
  service: string,
  timeoutMs = TIMEOUT_MS,
): Promise<StoredLease | undefined> => {
  const subject = subjects.lease.build({ service });
  const answer = await nc
    .request(`$JS.API.DIRECT.GET.${STREAM.LEASES}.${subject}`, undefined, { timeout: timeoutMs })
    .catch((cause) => {
      throw unreachable(service, 'read', cause);
    });
  const code = answer.headers?.code ?? 0;
  if (code === NOT_FOUND) return undefined;
  const seq = Number(answer.headers?.get('Nats-Sequence'));
  // Of another subject: somebody had the broker answer to this inbox.
  if (code !== 0 || !Number.isSafeInteger(seq) || answer.headers?.get('Nats-Subject') !== subject)
    throw unreachable(service, `read: ${code} ${answer.headers?.description ?? ''}`);
  return {
    lease: subjects.lease.decode(answer.data, subject),
    seq,
    timeMs: Date.parse(answer.headers?.get('Nats-Time-Stamp') ?? ''),
  };
};

/** `over`: sequence of what was read, 0 of none. Its new sequence, or undefined when another one was faster. */
export const writeLease = async (
  { js }: Pick<Bus, 'js'>,
  service: string,
  lease: MessageInitShape<typeof LeaseSchema>,
  over: number,
  timeoutMs = TIMEOUT_MS,
): Promise<number | undefined> => {
  const subject = subjects.lease.build({ service });
  try {
    const { stream, seq } = await js.publish(subject, subjects.lease.encode(lease), {
      timeout: timeoutMs,
      headers: headers(),
      expect: { lastSubjectSequence: over },
    });
    if (stream !== STREAM.LEASES) throw unreachable(service, `written: ${stream} answered`);
    return seq;
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === WRONG_LAST_SEQUENCE) return undefined;
    throw unreachable(service, 'written', cause);
  }
};
