// SPDX-License-Identifier: Apache-2.0
/** gRPC's messages from and to our own terms. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { weirError } from '@weir/errors';
import { formatTimeUs, parseTimeUs } from '@weir/net';
import type {
  EndpointFilter,
  EndpointSchema,
  FlowFilter,
  FlowGroupSchema,
  FlowSchema,
  FrontendSchema,
} from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { isIcmp, unpackDetail } from '../domain/detail.ts';
import type { Directory } from '../domain/directory.ts';
import type { FilterParams } from '../domain/filter.ts';
import type { FlowGroup } from '../domain/flow-groups.ts';
import {
  type EndpointView,
  type FrontendView,
  flowView,
  type ProcessView,
  type RuleView,
  type StoredFlow,
} from '../domain/flow-view.ts';
import { DIRECTIONS, VERDICTS } from '../domain/names.ts';

type List = readonly string[];

const US_PER_S = 1_000_000;

export const timeText = (time: Timestamp | undefined): List | undefined =>
  time && [formatTimeUs(Number(time.seconds) * US_PER_S + Math.floor(time.nanos / 1_000))];

const texts = (values: readonly (string | number)[]): List => values.map(String);

const endParams = (prefix: '' | 'from_' | 'to_', end: EndpointFilter | undefined): Record<string, List> =>
  end === undefined
    ? {}
    : {
        [`${prefix}ip`]: end.ips,
        [`${prefix}port`]: texts(end.ports),
        [`${prefix}identity`]: texts(end.identities),
        [`${prefix}label`]: end.labels,
        [`${prefix}workload`]: end.workloads,
        [`${prefix}namespace`]: end.namespaces,
        [`${prefix}service`]: end.services,
      };

/** The same parameters as REST's, so that one parser refuses what is wrong with one text. */
export const filterParams = (filter: FlowFilter | undefined): FilterParams =>
  filter === undefined
    ? {}
    : {
        since: timeText(filter.since),
        until: timeText(filter.until),
        verdict: filter.verdicts.map((verdict) => VERDICTS.name(verdict)),
        direction: filter.directions.map((direction) => DIRECTIONS.name(direction)),
        protocol: filter.protocols,
        drop_reason: filter.dropReasons,
        rule_id: texts(filter.ruleIds),
        pending: filter.pendingVerdicts.map((verdict) => VERDICTS.name(verdict)),
        pending_rule_id: texts(filter.pendingRuleIds),
        source_xlated: filter.sourceXlatedIps,
        host: filter.hosts,
        exec_id: filter.execIds,
        process: filter.processes,
        unit: filter.units,
        uid: texts(filter.uids),
        is_reply: filter.isReply === undefined ? [] : [String(filter.isReply)],
        ...endParams('', filter.any),
        ...endParams('from_', filter.from),
        ...endParams('to_', filter.to),
      };

const timeUs = (field: string, time: Timestamp | undefined): number | undefined =>
  timeText(time)?.map((text) => parseTimeUs(field, text, Date.now()))[0];

/** A range that is not empty. */
export const rangeUs = (
  since: Timestamp | undefined,
  until: Timestamp | undefined,
): { readonly sinceUs?: number; readonly untilUs?: number } => {
  const [sinceUs, untilUs] = [timeUs('since', since), timeUs('until', until)];
  if (sinceUs !== undefined && sinceUs >= (untilUs ?? Number.POSITIVE_INFINITY)) {
    throw weirError('INVALID_ARGUMENT', 'until is not after since', {
      field: 'until',
      value: timeText(until)?.[0],
      fix: 'give a later time, or leave it out for now',
    });
  }
  return { ...(sinceUs === undefined ? {} : { sinceUs }), ...(untilUs === undefined ? {} : { untilUs }) };
};

export const timestamp = (us: number): { seconds: bigint; nanos: number } => ({
  seconds: BigInt(Math.floor(us / US_PER_S)),
  nanos: (us % US_PER_S) * 1_000,
});

const endpointMessage = (end: EndpointView): MessageInitShape<typeof EndpointSchema> => ({
  ...end,
  workload: end.workload ?? '',
  namespace: end.namespace ?? '',
});

const frontendMessage = (
  number: number,
  { address, port, backend }: FrontendView,
  directory: Directory,
): MessageInitShape<typeof FrontendSchema> => ({
  ...{ number, type: directory.frontend(number)?.type ?? 0, address: address ?? '', port: port ?? 0 },
  ...(backend ? { backend } : {}),
});

const ruleMessage = ({ id, policy, path }: RuleView) => ({ id, policy: policy ?? '', path: path ?? '' });

const processMessage = ({ exec_id, pid, uid, binary, unit, unit_kind }: ProcessView) => ({
  ...{ execId: exec_id, pid, uid, binary: binary ?? '' },
  ...{ unit: unit ?? '', unitKind: unit_kind ?? '' },
});

export const flowMessage = (flow: StoredFlow, directory: Directory): MessageInitShape<typeof FlowSchema> => {
  const view = flowView(flow, directory);
  const detail = unpackDetail(flow.detail, flow.protocol);
  return {
    time: timestamp(flow.timeUs),
    host: flow.host,
    boot: BigInt(flow.boot),
    seq: BigInt(flow.seq),
    source: endpointMessage(view.source),
    destination: endpointMessage(view.destination),
    protocol: flow.protocol,
    tcpFlags: detail.tcpFlags,
    ...(isIcmp(flow.protocol) ? { icmp: { type: detail.icmpType, code: detail.icmpCode } } : {}),
    verdict: flow.verdict,
    ...(view.drop_reason ? { dropReason: view.drop_reason } : {}),
    ...(view.rule ? { rule: ruleMessage(view.rule) } : {}),
    policyLog: view.policy_log ?? '',
    pendingVerdict: flow.pendingVerdict,
    ...(view.pending?.rule ? { pendingRule: ruleMessage(view.pending.rule) } : {}),
    direction: detail.direction,
    isReply: detail.isReply,
    tracePoint: detail.tracePoint,
    traceReason: detail.traceReason,
    report: detail.report,
    packets: flow.packets,
    bytes: flow.bytes,
    connectionId: view.connection_id ?? '',
    encrypted: detail.encrypted,
    sourceXlated: view.source_xlated ?? '',
    sockXlatePoint: detail.sockXlatePoint,
    ...(view.source_service ? { sourceService: view.source_service } : {}),
    ...(view.destination_service ? { destinationService: view.destination_service } : {}),
    ...(view.process ? { process: processMessage(view.process) } : {}),
    ...(view.frontend ? { frontend: frontendMessage(flow.frontend, view.frontend, directory) } : {}),
  };
};

export const groupMessage = ({ lastUs, ...group }: FlowGroup): MessageInitShape<typeof FlowGroupSchema> => ({
  ...group,
  lastSeen: timestamp(Number(lastUs)),
});
