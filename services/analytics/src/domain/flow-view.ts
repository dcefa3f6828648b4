// SPDX-License-Identifier: Apache-2.0
/** A flow as the APIs show it: numbers, and beside them the names that they had at its time. */

import { createHash } from 'node:crypto';
import { formatTimeUs, protocolName } from '@weir/net';
import { isIcmp, unpackDetail } from './detail.ts';
import type { Directory } from './directory.ts';
import { execIdOf, type FlowOwner } from './flow-owners.ts';
import {
  DIRECTIONS,
  DROP_REASONS,
  dropReasonText,
  FRONTEND_TYPES,
  REPORTS,
  SOCK_XLATE_POINTS,
  TRACE_POINTS,
  TRACE_REASONS,
  tcpFlagNames,
  VERDICTS,
} from './names.ts';
import type { Pending } from './pending.ts';

/** What is stored, and what a live flow gives too. */
export interface StoredFlow extends Pending {
  readonly timeUs: number;
  readonly host: string;
  readonly boot: number;
  readonly seq: number;
  readonly connectionNs: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly ruleId: number;
  readonly workloadId: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly detail: number;
  readonly protocol: number;
  readonly verdict: number;
  readonly dropReason: number;
  readonly sourceIp: string;
  readonly destinationIp: string;
  /** Number of the service's frontend that the client asked for; 0: of none. */
  readonly frontend: number;
  /** null: it stays, or is not known yet. */
  readonly sourceXlated: string | null;
  /** Whose the socket was, at the workload where it was seen; absent: not known. */
  readonly owner?: FlowOwner;
}

/** A process, by whichever way it is known. */
export interface ProcessView {
  readonly exec_id: string;
  readonly pid: number;
  readonly uid: number;
  readonly binary: string | null;
  readonly unit: string | null;
  readonly unit_kind: string | null;
}

export interface EndpointView {
  readonly ip: string;
  readonly port: number;
  readonly identity: number;
  readonly labels: string[];
  readonly workload: string | null;
  readonly namespace: string | null;
}

export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
}

/** What the client asked for, and where it was sent. */
export interface FrontendView {
  readonly number: number;
  /** UNKNOWN: it has not been heard of. */
  readonly type: string;
  /** null: of a node port, which is at every host, or not known. */
  readonly address: string | null;
  readonly port: number | null;
  /** null: there was none. */
  readonly backend: { readonly ip: string; readonly port: number } | null;
}

/** Without names: it is not known here. */
export interface RuleView {
  readonly id: number;
  readonly policy: string | null;
  readonly path: string | null;
}

export interface FlowView {
  readonly time: string;
  readonly host: string;
  readonly boot: number;
  readonly seq: number;
  readonly source: EndpointView;
  readonly destination: EndpointView;
  readonly protocol: string;
  readonly tcp_flags: string[];
  readonly icmp: { readonly type: number; readonly code: number } | null;
  readonly verdict: string;
  readonly drop_reason: { readonly code: number; readonly name: string; readonly text: string } | null;
  readonly rule: RuleView | null;
  /** log.value of the policy whose rule decided. */
  readonly policy_log: string | null;
  /** What would be if staged policies were in place; null: none are staged for the workload. */
  readonly pending: { readonly verdict: string; readonly rule: RuleView | null } | null;
  readonly direction: string;
  readonly is_reply: boolean;
  readonly trace_point: string;
  readonly trace_reason: string;
  readonly report: string;
  readonly packets: number;
  readonly bytes: number;
  readonly connection_id: string | null;
  readonly encrypted: boolean;
  /** Of the flow's source, when that is what serves. */
  readonly source_service: ServiceView | null;
  readonly destination_service: ServiceView | null;
  readonly frontend: FrontendView | null;
  /** What the source becomes where packets leave the host; null: it stays, or is not known yet. */
  readonly source_xlated: string | null;
  /** Of a socket that asked for a service: where its addresses are those of; null: no socket did. */
  readonly sock_xlate_point: string | null;
  readonly process: ProcessView | null;
}

/** Enough that connections of one host do not meet. */
const CONNECTION_ID_CHARS = 22;

/** The same for both directions of a connection; one connection seen at two hosts has two. */
const connectionId = (flow: StoredFlow, isReply: boolean): string | null => {
  if (flow.connectionNs === 0n) return null;
  const source = `${flow.sourceIp}|${flow.sourcePort}`;
  const destination = `${flow.destinationIp}|${flow.destinationPort}`;
  const ends = isReply ? `${destination}|${source}` : `${source}|${destination}`;
  const key = `${flow.host}|${flow.workloadId}|${flow.connectionNs}|${flow.protocol}|${ends}`;
  return createHash('sha256').update(key).digest('base64url').slice(0, CONNECTION_ID_CHARS);
};

/** `host`: where the flow was seen. */
const endpoint = (
  { ip, port, identity }: Pick<EndpointView, 'ip' | 'port' | 'identity'>,
  host: string,
  directory: Directory,
  atMs: number,
): EndpointView => {
  const owner = directory.workload(ip, identity, host, atMs);
  return {
    ip,
    port,
    identity,
    labels: [...directory.labels(identity, atMs)],
    workload: owner?.name ?? null,
    namespace: owner?.namespace ?? null,
  };
};

/** Of the drop reason: nobody served, so the packet never got another destination. */
const NO_BACKEND = 158;

const frontendView = (flow: StoredFlow, isReply: boolean, directory: Directory): FrontendView | null => {
  if (flow.frontend === 0) return null;
  const known = directory.frontend(flow.frontend);
  const backend = isReply
    ? { ip: flow.sourceIp, port: flow.sourcePort }
    : { ip: flow.destinationIp, port: flow.destinationPort };
  return {
    number: flow.frontend,
    type: FRONTEND_TYPES.name(known?.type ?? 0),
    address: known?.address || null,
    port: known?.port ?? null,
    backend: flow.dropReason === NO_BACKEND ? null : backend,
  };
};

const ruleView = (id: number, directory: Directory): RuleView | null => {
  if (id === 0) return null;
  const rule = directory.rule(id);
  return { id, policy: rule?.policyKey ?? null, path: rule?.path ?? null };
};

const processView = ({ owner, host }: StoredFlow): ProcessView | null =>
  owner === undefined
    ? null
    : {
        ...{ exec_id: execIdOf(host, owner), pid: owner.pid, uid: owner.uid, binary: owner.binary || null },
        ...{ unit: owner.unit || null, unit_kind: owner.unitKind || null },
      };

export const flowView = (flow: StoredFlow, directory: Directory): FlowView => {
  const detail = unpackDetail(flow.detail, flow.protocol);
  const atMs = flow.timeUs / 1000;
  const source = { ip: flow.sourceIp, port: flow.sourcePort, identity: flow.sourceIdentity };
  const destination = { ip: flow.destinationIp, port: flow.destinationPort, identity: flow.destinationIdentity };
  const asked = directory.frontend(flow.frontend);
  const service = asked ? { namespace: asked.namespace, name: asked.name } : null;
  return {
    time: formatTimeUs(flow.timeUs),
    host: flow.host,
    boot: flow.boot,
    seq: flow.seq,
    source: endpoint(source, flow.host, directory, atMs),
    destination: endpoint(destination, flow.host, directory, atMs),
    protocol: protocolName(flow.protocol),
    tcp_flags: tcpFlagNames(detail.tcpFlags),
    icmp: isIcmp(flow.protocol) ? { type: detail.icmpType, code: detail.icmpCode } : null,
    verdict: VERDICTS.name(flow.verdict),
    drop_reason:
      flow.dropReason === 0
        ? null
        : {
            code: flow.dropReason,
            name: DROP_REASONS.name(flow.dropReason),
            text: dropReasonText(flow.dropReason),
          },
    rule: ruleView(flow.ruleId, directory),
    policy_log: directory.rule(flow.ruleId)?.log || null,
    pending:
      flow.pendingVerdict === 0
        ? null
        : { verdict: VERDICTS.name(flow.pendingVerdict), rule: ruleView(flow.pendingRuleId, directory) },
    direction: DIRECTIONS.name(detail.direction),
    is_reply: detail.isReply,
    trace_point: TRACE_POINTS.name(detail.tracePoint),
    trace_reason: TRACE_REASONS.name(detail.traceReason),
    report: REPORTS.name(detail.report),
    packets: Number(flow.packets),
    bytes: Number(flow.bytes),
    connection_id: connectionId(flow, detail.isReply),
    encrypted: detail.encrypted,
    source_service: detail.isReply ? service : null,
    destination_service: detail.isReply ? null : service,
    frontend: frontendView(flow, detail.isReply, directory),
    source_xlated: flow.sourceXlated,
    sock_xlate_point: detail.sockXlatePoint === 0 ? null : SOCK_XLATE_POINTS.name(detail.sockXlatePoint),
    process: processView(flow),
  };
};
