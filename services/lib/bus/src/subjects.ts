// SPDX-License-Identifier: Apache-2.0
/**
 * Every subject of the bus with its message, declared once. Who may publish and read them is in permissions.ts;
 * which of them are kept is in streams.ts; tests hold the three together.
 */
import {
  AckSchema,
  AgentHeartbeatSchema,
  CheckReportSchema,
  HealthReportSchema,
  LeaseSchema,
  WatermarkSchema,
} from '@weir/proto/weir/bus/v1/agent_pb.js';
import { SignedConfigSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { ProcessBatchSchema } from '@weir/proto/weir/process/v1/process_pb.js';
import { subject } from './subject.ts';
import { encodeToken as token } from './token.ts';

export const subjects = {
  /** Events that a host saw. The host of an event is this token, never the payload. */
  evtFlow: subject('weir.v1.evt.{host}.flow', FlowBatchSchema),
  evtProcess: subject('weir.v1.evt.{host}.process', ProcessBatchSchema),

  // Configuration, last value kept. Keys: host id, workload id, identity number, policy key (kind/namespace/name),
  // `fleet` for the network, names of egress gateways, prefilters, announcements and BGP instances, ids of services.
  cfgHost: subject('weir.v1.cfg.host.{key}', SignedConfigSchema),
  cfgWorkload: subject('weir.v1.cfg.workload.{key}', SignedConfigSchema),
  cfgIdentity: subject('weir.v1.cfg.identity.{key}', SignedConfigSchema),
  cfgPolicy: subject('weir.v1.cfg.policy.{key}', SignedConfigSchema),
  cfgNetwork: subject('weir.v1.cfg.network.{key}', SignedConfigSchema),
  cfgEgressGateway: subject('weir.v1.cfg.egressGateway.{key}', SignedConfigSchema),
  cfgPrefilter: subject('weir.v1.cfg.prefilter.{key}', SignedConfigSchema),
  cfgService: subject('weir.v1.cfg.service.{key}', SignedConfigSchema),
  cfgL2Announcement: subject('weir.v1.cfg.l2Announcement.{key}', SignedConfigSchema),
  cfgBgpInstance: subject('weir.v1.cfg.bgpInstance.{key}', SignedConfigSchema),
  cfgRuntimePolicy: subject('weir.v1.cfg.runtimePolicy.{key}', SignedConfigSchema),
  cfg: subject('weir.v1.cfg.{kind}.{key}', SignedConfigSchema),
  /** Newest revision of a publisher, every 5 s, not kept. */
  cfgHeartbeat: subject('weir.v1.cfghb.{publisher}', SignedConfigSchema),

  /** What stands in a host's kernel; last value kept. */
  ack: subject('weir.v1.ack.{host}', AckSchema),
  /** Which host answers for a service's addresses; last value kept, each written over the one that was read. */
  lease: subject('weir.v1.lease.{service}', LeaseSchema),
  /** Heartbeat of a host, every 5 s, not kept. */
  hb: subject('weir.v1.hb.{host}', AgentHeartbeatSchema),
  /** How a host reaches the others, after each round of probes; not kept. */
  health: subject('weir.v1.health.{host}', HealthReportSchema),
  /** Whether backends serve, by the host that asks them: when it changes, and all of it every minute; not kept. */
  check: subject('weir.v1.check.{host}', CheckReportSchema),
  /** Up to where analytics has committed a host's events. */
  wm: subject('weir.v1.wm.{host}', WatermarkSchema),
} as const;

/**
 * Calls into one agent. The answer comes on a subject of the host (`reply`), not on the caller's inbox: an agent
 * that could answer to inboxes could also forge the broker's acknowledgements to the services it listens to.
 */
export const rpcSubject = {
  request: (host: string, verb: string): string => `weir.v1.rpc.${token(host)}.${token(verb)}`,
  requestWildcard: (host: string): string => `weir.v1.rpc.${token(host)}.>`,
  reply: (host: string, id: string): string => `weir.v1.reply.${token(host)}.${token(id)}`,
  replyWildcard: (host: string): string => `weir.v1.reply.${token(host)}.>`,
} as const;

/** Each is numbered by itself, and has its own watermark. */
export type EventKind = 'flow' | 'process';

const EVENT_SUBJECT = { flow: subjects.evtFlow, process: subjects.evtProcess } as const;

export const eventSubject = (kind: EventKind, host: string): string => EVENT_SUBJECT[kind].build({ host });

/** All events of one host, whatever their kind. */
export const evtWildcard = (host?: string): string => `weir.v1.evt.${host === undefined ? '' : `${token(host)}.`}>`;
export const CFG_ALL = 'weir.v1.cfg.>';
export const CFG_HEARTBEAT_ALL = 'weir.v1.cfghb.*';

export const CONFIG_KINDS = [
  'host',
  'workload',
  'identity',
  'policy',
  'network',
  'egressGateway',
  'prefilter',
  'service',
  'l2Announcement',
  'bgpInstance',
  'runtimePolicy',
] as const;
export type ConfigKind = (typeof CONFIG_KINDS)[number];
export type Publisher = 'inventory' | 'policy';

/** Who alone may speak about what: a document of another publisher is refused even when its signature is good. */
export const PUBLISHER_OF: Readonly<Record<ConfigKind, Publisher>> = {
  host: 'inventory',
  workload: 'inventory',
  identity: 'inventory',
  policy: 'policy',
  network: 'inventory',
  egressGateway: 'inventory',
  prefilter: 'inventory',
  service: 'inventory',
  l2Announcement: 'inventory',
  bgpInstance: 'inventory',
  runtimePolicy: 'policy',
};

const CONFIG_SUBJECT = {
  host: subjects.cfgHost,
  workload: subjects.cfgWorkload,
  identity: subjects.cfgIdentity,
  policy: subjects.cfgPolicy,
  network: subjects.cfgNetwork,
  egressGateway: subjects.cfgEgressGateway,
  prefilter: subjects.cfgPrefilter,
  service: subjects.cfgService,
  l2Announcement: subjects.cfgL2Announcement,
  bgpInstance: subjects.cfgBgpInstance,
  runtimePolicy: subjects.cfgRuntimePolicy,
} as const;

export const configSubject = (kind: ConfigKind, key: string): string => CONFIG_SUBJECT[kind].build({ key });

export const parseConfigSubject = (text: string): { kind: ConfigKind; key: string } | undefined => {
  const params = subjects.cfg.parse(text);
  if (params === undefined || !(CONFIG_KINDS as readonly string[]).includes(params.kind)) return undefined;
  return { kind: params.kind as ConfigKind, key: params.key };
};
