// SPDX-License-Identifier: Apache-2.0
/** One flow on one line, as `weir observe -o compact` prints it, line by line, and its columns for -o table. */
import { escapeUntrusted } from '@weir/net';
import { formatTime, type TimeFormat } from '../observe/times.ts';
import type { Column, Paint } from './table.ts';

/** A flow as GET /v1/flows gives it. */
export interface FlowEnd {
  readonly ip: string;
  readonly port: number;
  readonly identity: number;
  readonly labels: readonly string[];
  readonly workload: string | null;
  readonly namespace: string | null;
}

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** What the client asked for, which is a service's. */
export interface Frontend {
  readonly number: number;
  readonly type: string;
  readonly address: string | null;
  readonly port: number | null;
  readonly backend: { readonly ip: string; readonly port: number } | null;
}

export interface FlowRule {
  readonly id: number;
  readonly policy: string | null;
  readonly path: string | null;
}

export interface FlowProcess {
  readonly exec_id: string;
  readonly pid: number;
  readonly uid: number;
  readonly binary: string | null;
  readonly unit: string | null;
  readonly unit_kind: string | null;
}

export interface Flow {
  readonly time: string;
  readonly host: string;
  /** Start of the agent that saw it, unix milliseconds; with host and seq its id. */
  readonly boot?: number;
  readonly seq?: number;
  readonly source: FlowEnd;
  readonly destination: FlowEnd;
  readonly protocol: string;
  readonly tcp_flags: readonly string[];
  readonly icmp: { readonly type: number; readonly code: number } | null;
  readonly verdict: string;
  readonly drop_reason: { readonly code: number; readonly name: string; readonly text: string } | null;
  readonly rule: FlowRule | null;
  readonly policy_log?: string | null;
  /** What would be if staged policies were in place. */
  readonly pending?: { readonly verdict: string; readonly rule: FlowRule | null } | null;
  /** Whose the socket is where it was seen. */
  readonly process?: FlowProcess | null;
  readonly direction: string;
  readonly is_reply: boolean;
  readonly encrypted?: boolean;
  readonly trace_point: string;
  readonly packets: number | string;
  readonly bytes: number | string;
  readonly source_service?: ServiceName | null;
  readonly destination_service?: ServiceName | null;
  readonly frontend?: Frontend | null;
  /** What the source becomes where packets leave the host. */
  readonly source_xlated?: string | null;
}

/** What of a flow is shown, and how. */
export interface FlowStyle {
  readonly time: TimeFormat;
  /** Names of workloads instead of addresses. */
  readonly names: boolean;
  /** Numbers instead of the names of reserved identities. */
  readonly numeric: boolean;
  /** Where it was seen. */
  readonly host: boolean;
  /** By which rule of which policy. */
  readonly policies: boolean;
}

export const PLAIN_STYLE: FlowStyle = { time: 'StampMilli', names: true, numeric: false, host: true, policies: true };

/** Names a reader knows: namespace/workload, else the reserved label, else the address. */
const end = (e: FlowEnd, { names, numeric }: FlowStyle): string => {
  const reserved = e.labels.find((label) => label.startsWith('reserved:'))?.slice('reserved:'.length);
  const isNamed = names && !numeric && e.workload !== null;
  const name = isNamed ? workloadName(e) : e.ip.includes(':') ? `[${e.ip}]` : e.ip;
  const port = e.port ? `:${e.port}` : '';
  return `${escapeUntrusted(name)}${port} (${reserved && !e.workload && !numeric ? reserved : `ID:${e.identity}`})`;
};

const workloadName = (e: FlowEnd): string => {
  const workload = e.workload as string;
  if (!e.namespace || workload.includes('/')) return workload;
  return `${e.namespace}/${workload.startsWith(`${e.namespace}.`) ? workload.slice(e.namespace.length + 1) : workload}`;
};

/** `203.0.113.80:80 (shop/front)`: what was asked for, by its address and its name. */
const asked = (flow: Flow, { names, numeric }: FlowStyle): string => {
  const { frontend } = flow;
  if (!frontend) return '';
  const service = flow.destination_service ?? flow.source_service;
  const { address, port, number, type } = frontend;
  const host = address?.includes(':') ? `[${address}]` : (address ?? type.toLowerCase().replaceAll('_', '-'));
  const place = port === null ? `frontend ${number}` : `${host}:${port}`;
  return service && names && !numeric ? `${place} (${service.namespace}/${service.name})` : place;
};

const detail = (flow: Flow): string => {
  if (flow.tcp_flags.length) return `${flow.protocol} ${flow.tcp_flags.join(',')}`;
  if (flow.icmp) return `${flow.protocol} type ${flow.icmp.type} code ${flow.icmp.code}`;
  return flow.protocol;
};

const ruleText = (rule: FlowRule | null): string => {
  if (!rule) return '';
  return rule.policy ? `${rule.policy} ${rule.path ?? ''}`.trim() : `rule ${rule.id}`;
};

const ruleOf = (flow: Flow): string =>
  [ruleText(flow.rule), flow.policy_log ? `"${flow.policy_log}"` : ''].filter((text) => text !== '').join(' ');

/** `DROPPED by CiliumNetworkPolicy/prod/web spec.ingress[0]`: of staged policies. */
const pendingOf = (flow: Flow, { policies }: FlowStyle): string => {
  if (!flow.pending) return '';
  const rule = policies ? ruleText(flow.pending.rule) : '';
  return rule ? `${flow.pending.verdict} by ${rule}` : flow.pending.verdict;
};

/** `/usr/bin/curl[4242]`, with its unit behind it. */
const processOf = ({ process }: Flow): string => {
  if (!process) return '';
  const unit = process.unit && process.unit_kind === 'container' ? process.unit.slice(0, 12) : process.unit;
  return `${process.binary ?? '?'}[${process.pid}]${unit ? ` ${unit}` : ''}`;
};

const counts = (flow: Flow): string =>
  `${flow.packets} ${Number(flow.packets) === 1 ? 'packet' : 'packets'}, ${flow.bytes} bytes`;

/** Client, the service that it asked for, and who serves; a service that has nobody stands for itself. */
const way = (flow: Flow, style: FlowStyle): string => {
  const [left, right] = flow.is_reply ? [flow.destination, flow.source] : [flow.source, flow.destination];
  const service = escapeUntrusted(asked(flow, style));
  const ends = [end(left, style), service, flow.frontend?.backend === null ? '' : end(right, style)];
  return ends.filter((one) => one !== '').join(flow.is_reply ? ' <- ' : ' -> ');
};

export const compactFlow = (flow: Flow, paint: Paint, style: FlowStyle = PLAIN_STYLE): string => {
  const verdict = paint(flow.verdict === 'FORWARDED' ? 'green' : 'red', escapeUntrusted(flow.verdict));
  const reason = flow.drop_reason ? ` ${escapeUntrusted(flow.drop_reason.text)}` : '';
  const rule = style.policies ? ruleOf(flow) : '';
  const pending = pendingOf(flow, style);
  const owner = processOf(flow);
  return [
    `${formatTime(flow.time, style.time)}${style.host ? ` ${escapeUntrusted(flow.host)}` : ''}:`,
    way(flow, style),
    escapeUntrusted(flow.trace_point),
    `${verdict}${reason}`,
    `(${escapeUntrusted(detail(flow))}; ${counts(flow)})`,
    ...(rule ? [`by ${escapeUntrusted(rule)}`] : []),
    ...(owner ? [`of ${escapeUntrusted(owner)}`] : []),
    ...(pending ? [`[pending ${escapeUntrusted(pending)}]`] : []),
  ].join(' ');
};

/** One field a line, names in front. */
export const dictFlow = (flow: Flow, style: FlowStyle): string[] => {
  const fields: readonly (readonly [string, string])[] = [
    ['TIMESTAMP', formatTime(flow.time, style.time)],
    ...(style.host ? ([['NODE', flow.host]] as const) : []),
    ['SOURCE', end(flow.source, style)],
    ['DESTINATION', end(flow.destination, style)],
    ...(flow.frontend ? ([['SERVICE', asked(flow, style)]] as const) : []),
    ['TYPE', `${flow.trace_point}${flow.is_reply ? ' reply' : ''}`],
    ['VERDICT', flow.drop_reason ? `${flow.verdict} ${flow.drop_reason.text}` : flow.verdict],
    ...(style.policies ? ([['RULE', ruleOf(flow) || '-']] as const) : []),
    ...(flow.pending ? ([['PENDING', pendingOf(flow, style)]] as const) : []),
    ...(flow.process
      ? ([
          ['PROCESS', `${processOf(flow)} uid ${flow.process.uid}`],
          ['EXEC ID', flow.process.exec_id],
        ] as const)
      : []),
    ['SUMMARY', `${detail(flow)}; ${counts(flow)}`],
  ];
  return fields.map(([name, value]) => `${name.padStart(11)}: ${escapeUntrusted(value)}`);
};

export const flowColumns = (style: FlowStyle): readonly Column<Flow>[] => [
  { title: 'TIME', cell: (f) => formatTime(f.time, style.time) },
  ...(style.host ? [{ title: 'HOST', cell: (f: Flow) => f.host }] : []),
  { title: 'SOURCE', cell: (f) => end(f.source, style) },
  { title: 'DESTINATION', cell: (f) => end(f.destination, style) },
  { title: 'SERVICE', cell: (f) => asked(f, style) || undefined },
  { title: 'PROTOCOL', cell: detail },
  { title: 'DIRECTION', cell: (f) => (f.is_reply ? `${f.direction} reply` : f.direction) },
  { title: 'VERDICT', cell: (f) => f.verdict },
  { title: 'REASON', cell: (f) => f.drop_reason?.text },
  ...(style.policies ? [{ title: 'RULE', cell: ruleOf }] : []),
  { title: 'PROCESS', cell: (f) => processOf(f) || undefined, wide: true },
  { title: 'EXEC ID', cell: (f) => f.process?.exec_id, wide: true },
  { title: 'USER', cell: (f) => f.process?.uid, wide: true },
  { title: 'PENDING', cell: (f) => pendingOf(f, style) || undefined, wide: true },
  { title: 'PACKETS', cell: (f) => f.packets, wide: true },
  { title: 'BYTES', cell: (f) => f.bytes, wide: true },
  { title: 'POINT', cell: (f) => f.trace_point, wide: true },
];
