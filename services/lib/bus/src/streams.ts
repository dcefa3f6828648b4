// SPDX-License-Identifier: Apache-2.0
/**
 * The four streams, applied idempotently by every service at its start. Only what nats-server 2.9 knows:
 * no per-key TTL, no consumers with several filters.
 */
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { CONFIG_KINDS, subjects } from './subjects.ts';

export const STREAM = { EVENTS: 'WEIR_EVT', CONFIG: 'WEIR_CFG', ACKS: 'WEIR_ACK', LEASES: 'WEIR_LEASE' } as const;
export type StreamName = (typeof STREAM)[keyof typeof STREAM];

export interface StreamLimits {
  /** Room for events that analytics has not read; the oldest go first, and agents keep theirs until committed. */
  readonly eventsMaxBytes?: number;
  readonly eventsMaxAgeMs?: number;
  /** 3 in a cluster. */
  readonly replicas?: number;
}

const EVENTS_MAX_BYTES = 1024 ** 3;
const EVENTS_MAX_AGE_MS = 24 * 3_600_000;
/** Longer than any outage a publisher retries over without asking again; replays after it are told apart by their rows' keys. */
export const DUPLICATE_WINDOW_MS = 120_000;

type Config = Partial<StreamConfig> & { readonly name: StreamName };

export const streamConfigs = (limits: StreamLimits = {}): readonly Config[] => {
  const common = {
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    num_replicas: limits.replicas ?? 1,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  };
  return [
    {
      ...common,
      name: STREAM.EVENTS,
      subjects: ['weir.v1.evt.>'],
      max_bytes: limits.eventsMaxBytes ?? EVENTS_MAX_BYTES,
      max_age: nanos(limits.eventsMaxAgeMs ?? EVENTS_MAX_AGE_MS),
    },
    {
      ...common,
      name: STREAM.CONFIG,
      subjects: CONFIG_KINDS.map((kind) => `weir.v1.cfg.${kind}.*`),
      max_msgs_per_subject: 1,
    },
    { ...common, name: STREAM.ACKS, subjects: [subjects.ack.wildcard], max_msgs_per_subject: 1 },
    {
      ...common,
      name: STREAM.LEASES,
      subjects: [subjects.lease.wildcard],
      max_msgs_per_subject: 1,
      // One message is read by its subject, without a consumer.
      allow_direct: true,
    },
  ];
};

const STREAM_NOT_FOUND = 10_059;
const STREAM_NAME_EXISTS = 10_058;

const sameValue = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const ensureStream = async (jsm: JetStreamManager, config: Config): Promise<void> => {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const { config: current } = await jsm.streams.info(config.name);
      const wanted = Object.entries(config) as [keyof StreamConfig, unknown][];
      if (wanted.every(([key, value]) => sameValue(current[key], value))) return;
      await jsm.streams.update(config.name, { ...current, ...config });
      return;
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
    }
    try {
      await jsm.streams.add(config);
      return;
    } catch (error) {
      // Another service was first, with other limits perhaps: look again.
      if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NAME_EXISTS || attempt > 2) throw error;
    }
  }
};

/** Makes or adapts the streams; several services may do it at once. */
export const ensureStreams = async (jsm: JetStreamManager, limits: StreamLimits = {}): Promise<void> => {
  for (const config of streamConfigs(limits)) await ensureStream(jsm, config);
};
