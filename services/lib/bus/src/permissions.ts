// SPDX-License-Identifier: Apache-2.0
/**
 * Who may do what on the bus, by user. The broker authenticates the host in a subject, so these lists are what
 * makes an event's host true. Only exact calls of the JetStream API are granted; a host cannot make a consumer
 * that another one uses, nor read an inbox but its own.
 */
import { weirError } from '@weir/errors';
import { agentInbox, serviceInbox } from './connect.ts';
import { hostSnapshotConsumer } from './snapshot.ts';
import { STREAM, type StreamName } from './streams.ts';
import {
  CFG_ALL,
  CFG_HEARTBEAT_ALL,
  CONFIG_KINDS,
  evtWildcard,
  PUBLISHER_OF,
  rpcSubject,
  subjects,
} from './subjects.ts';

export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export type Service = 'inventory' | 'policy' | 'analytics';

/** A host id is a DNS label (RFC 1123): as a subject token it stands for itself, and never has capitals. */
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const checkHost = (host: string): void => {
  if (!DNS_LABEL.test(host)) {
    throw weirError('INVALID_ARGUMENT', `${JSON.stringify(host)} is not a host id`, {
      field: 'host',
      value: host,
      fix: 'use a DNS label: lower case letters, digits and hyphens, at most 63',
    });
  }
};

const consumerCalls = (stream: StreamName, consumer: string, calls: readonly string[]): string[] =>
  calls.map((call) => `$JS.API.CONSUMER.${call}.${stream}.${consumer}`);

/** Reading one lease. */
const LEASE_READ = `$JS.API.DIRECT.GET.${STREAM.LEASES}.>`;

/** The calls that readSnapshot makes. */
const snapshotCalls = (consumer: string): string[] => [
  `$JS.API.CONSUMER.CREATE.${STREAM.CONFIG}.${consumer}.${CFG_ALL}`,
  ...consumerCalls(STREAM.CONFIG, consumer, ['DELETE', 'MSG.NEXT']),
];

export const agentPermissions = (host: string): Permissions => {
  checkHost(host);
  return {
    publish: [
      evtWildcard(host),
      subjects.ack.build({ host }),
      subjects.hb.build({ host }),
      subjects.health.build({ host }),
      subjects.check.build({ host }),
      rpcSubject.replyWildcard(host),
      // Any host's user may write any lease: who holds one is what hosts agree on among themselves.
      subjects.lease.wildcard,
      LEASE_READ,
      ...snapshotCalls(hostSnapshotConsumer(host)),
    ],
    subscribe: [
      CFG_ALL,
      CFG_HEARTBEAT_ALL,
      subjects.wm.build({ host }),
      subjects.lease.wildcard,
      rpcSubject.requestWildcard(host),
      `${agentInbox(host)}.>`,
    ],
  };
};

/** Every service makes the streams if it is first. */
const STREAM_CALLS = Object.values(STREAM).flatMap((stream) =>
  ['INFO', 'CREATE', 'UPDATE'].map((call) => `$JS.API.STREAM.${call}.${stream}`),
);

/** One durable consumer, shared by the replicas of a service. */
const durableCalls = (stream: StreamName, durable: string): string[] => [
  ...consumerCalls(stream, durable, ['INFO', 'CREATE', 'DURABLE.CREATE', 'MSG.NEXT']),
  // A consumer with a filter names it behind its own name.
  `$JS.API.CONSUMER.CREATE.${stream}.${durable}.>`,
  `$JS.ACK.${stream}.${durable}.>`,
];

const publisherSubjects = (service: 'inventory' | 'policy'): string[] => [
  ...CONFIG_KINDS.filter((kind) => PUBLISHER_OF[kind] === service).map((kind) => `weir.v1.cfg.${kind}.*`),
  subjects.cfgHeartbeat.build({ publisher: service }),
  `$JS.API.STREAM.PURGE.${STREAM.CONFIG}`,
];

const SERVICE_PUBLISH: Readonly<Record<Service, readonly string[]>> = {
  inventory: [...publisherSubjects('inventory'), ...durableCalls(STREAM.ACKS, 'inventory'), LEASE_READ],
  policy: [...publisherSubjects('policy'), ...durableCalls(STREAM.ACKS, 'policy')],
  analytics: [
    subjects.wm.wildcard,
    ...durableCalls(STREAM.EVENTS, 'analytics'),
    ...durableCalls(STREAM.EVENTS, 'analytics-processes'),
    // Up to where one kind of event is published.
    `$JS.API.STREAM.MSG.GET.${STREAM.EVENTS}`,
  ],
};

const SERVICE_SUBSCRIBE: Readonly<Record<Service, readonly string[]>> = {
  inventory: [subjects.hb.wildcard, subjects.ack.wildcard, subjects.health.wildcard, subjects.check.wildcard],
  policy: [subjects.ack.wildcard, subjects.hb.wildcard],
  analytics: [evtWildcard(), subjects.hb.wildcard],
};

export const servicePermissions = (service: Service): Permissions => ({
  publish: [...STREAM_CALLS, ...snapshotCalls('*'), 'weir.v1.rpc.*.*', ...SERVICE_PUBLISH[service]],
  subscribe: [
    CFG_ALL,
    CFG_HEARTBEAT_ALL,
    'weir.v1.reply.*.*',
    `${serviceInbox(service)}.>`,
    ...SERVICE_SUBSCRIBE[service],
  ],
});

/** The supervisor's publish-and-ack probe: its own stream, nothing else. */
export const PROBE = { STREAM: 'WEIR_PROBE', SUBJECT: 'weir.v1.probe', INBOX: '_INBOX_SVC_probe' } as const;
export const probePermissions = (): Permissions => ({
  publish: [PROBE.SUBJECT, ...['INFO', 'CREATE'].map((call) => `$JS.API.STREAM.${call}.${PROBE.STREAM}`)],
  subscribe: [`${PROBE.INBOX}.>`],
});
