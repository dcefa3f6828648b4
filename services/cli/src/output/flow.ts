// SPDX-License-Identifier: Apache-2.0
/** One flow on one line, as `weir observe -o compact` prints it, and its columns for -o table. */
import { escapeUntrusted } from '@weir/net';
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

export interface Flow {
  readonly time: string;
  readonly host: string;
  readonly source: FlowEnd;
  readonly destination: FlowEnd;
  readonly protocol: string;
  readonly tcp_flags: readonly string[];
  readonly icmp: { readonly type: number; readonly code: number } | null;
  readonly verdict: string;
  readonly drop_reason: { readonly code: number; readonly name: string; readonly text: string } | null;
  readonly rule: { readonly id: number; readonly policy: string | null; readonly path: string | null } | null;
  readonly direction: string;
  readonly is_reply: boolean;
  readonly trace_point: string;
  readonly packets: number | string;
  readonly bytes: number | string;
}

/** Names a reader knows: namespace/workload, else the reserved label, else the address. */
const end = (e: FlowEnd): string => {
  const reserved = e.labels.find((label) => label.startsWith('reserved:'))?.slice('reserved:'.length);
  const name = e.workload ? workloadName(e) : e.ip.includes(':') ? `[${e.ip}]` : e.ip;
  const port = e.port ? `:${e.port}` : '';
  return `${escapeUntrusted(name)}${port} (${reserved && !e.workload ? reserved : `ID:${e.identity}`})`;
};

const workloadName = (e: FlowEnd): string => {
  const workload = e.workload as string;
  if (!e.namespace || workload.includes('/')) return workload;
  return `${e.namespace}/${workload.startsWith(`${e.namespace}.`) ? workload.slice(e.namespace.length + 1) : workload}`;
};

const detail = (flow: Flow): string => {
  if (flow.tcp_flags.length) return `${flow.protocol} ${flow.tcp_flags.join(',')}`;
  if (flow.icmp) return `${flow.protocol} type ${flow.icmp.type} code ${flow.icmp.code}`;
  return flow.protocol;
};

const ruleOf = (flow: Flow): string => {
  if (!flow.rule) return '';
  return flow.rule.policy ? `${flow.rule.policy} ${flow.rule.path ?? ''}`.trim() : `rule ${flow.rule.id}`;
};

/** Local time with milliseconds, as in `Nov 22 19:41:17.123`. */
export const shortTime = (time: string): string => {
  const date = new Date(time);
  const two = (n: number) => String(n).padStart(2, '0');
  const month = date.toLocaleString('en', { month: 'short' });
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${month} ${two(date.getDate())} ${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`;
};

export const compactFlow = (flow: Flow, paint: Paint): string => {
  const arrow = flow.is_reply ? '<-' : '->';
  const [left, right] = flow.is_reply ? [flow.destination, flow.source] : [flow.source, flow.destination];
  const verdict = paint(flow.verdict === 'FORWARDED' ? 'green' : 'red', flow.verdict);
  const reason = flow.drop_reason ? ` ${flow.drop_reason.text}` : '';
  const rule = ruleOf(flow);
  return [
    `${shortTime(flow.time)} ${escapeUntrusted(flow.host)}:`,
    `${end(left)} ${arrow} ${end(right)}`,
    flow.trace_point,
    `${verdict}${reason}`,
    `(${detail(flow)}; ${flow.packets} ${Number(flow.packets) === 1 ? 'packet' : 'packets'}, ${flow.bytes} bytes)`,
    ...(rule ? [`by ${escapeUntrusted(rule)}`] : []),
  ].join(' ');
};

export const FLOW_COLUMNS: readonly Column<Flow>[] = [
  { title: 'TIME', cell: (f) => shortTime(f.time) },
  { title: 'HOST', cell: (f) => f.host },
  { title: 'SOURCE', cell: (f) => end(f.source) },
  { title: 'DESTINATION', cell: (f) => end(f.destination) },
  { title: 'PROTOCOL', cell: detail },
  { title: 'DIRECTION', cell: (f) => (f.is_reply ? `${f.direction} reply` : f.direction) },
  { title: 'VERDICT', cell: (f) => f.verdict },
  { title: 'REASON', cell: (f) => f.drop_reason?.text },
  { title: 'RULE', cell: ruleOf },
  { title: 'PACKETS', cell: (f) => f.packets, wide: true },
  { title: 'BYTES', cell: (f) => f.bytes, wide: true },
  { title: 'POINT', cell: (f) => f.trace_point, wide: true },
];
