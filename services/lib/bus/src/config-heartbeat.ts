// SPDX-License-Identifier: Apache-2.0
/** Says every 5 s how far a publisher is, so that readers see what they missed. Not kept by any stream. */
import type { NatsConnection } from '@nats-io/transport-node';
import { type Signer, signDocument } from './signing.ts';
import { type Publisher, subjects } from './subjects.ts';

export interface PublisherState {
  readonly epoch: bigint;
  /** Newest revision that was published. */
  readonly revision: bigint;
  /** Documents that exist. */
  readonly documents: bigint;
}

export const HEARTBEAT_INTERVAL_MS = 5_000;

export const publishHeartbeat = (
  nc: NatsConnection,
  signer: Signer,
  publisher: Publisher,
  state: PublisherState,
): void => {
  const subject = subjects.cfgHeartbeat.build({ publisher });
  const { epoch, revision, documents } = state;
  nc.publish(
    subject,
    signDocument(signer, {
      subject,
      epoch,
      revision,
      publisher,
      body: { case: 'heartbeat', value: { epoch, revision, documents } },
    }),
  );
};
