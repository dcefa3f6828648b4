// SPDX-License-Identifier: Apache-2.0
/** What callers see of an event of a process. */
import { create, fromBinary, toJson } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { formatTimeUs } from '@weir/net';
import { GetEventsResponseSchema } from '@weir/proto/tetragon/events_pb.js';
import { PodSchema, type Process } from '@weir/proto/tetragon/tetragon_pb.js';
import { type ProcessEvent, ProcessEventSchema } from '@weir/proto/weir/process/v1/process_pb.js';
import { execIdText, PROCESS_KINDS, PROCESS_VERDICTS } from './process-filter.ts';

export interface StoredProcessEvent {
  readonly timeUs: number;
  readonly host: string;
  readonly boot: number;
  readonly seq: number;
  readonly event: ProcessEvent;
}

const NS_PER_MS = 1_000_000n;

/** namespace.name */
export const workloadName = (id: string): { readonly namespace: string; readonly name: string } => {
  const at = id.indexOf('.');
  return { namespace: id.slice(0, Math.max(0, at)), name: id.slice(at + 1) };
};

export const processOf = ({ event }: ProcessEvent): Process | undefined => {
  const about = event?.event.value;
  return about && 'process' in about ? about.process : undefined;
};

/** From what is stored or passes on the bus: an event that its host got wrong is without what it should tell. */
export const readProcessEvent = (host: string, bytes: Uint8Array): ProcessEvent => {
  let event: ProcessEvent;
  try {
    event = fromBinary(ProcessEventSchema, bytes);
  } catch {
    return create(ProcessEventSchema);
  }
  const { event: response, workload } = event;
  if (!response) return event;
  response.nodeName = host;
  response.time = timestampFromMs(Number(event.timeNs / NS_PER_MS));
  response.time.nanos = Number(event.timeNs % 1_000_000_000n);
  const process = processOf(event);
  if (process && workload !== '') {
    const { unitKind, unit } = event;
    const container = unitKind === 'container' ? { id: unit, pid: event.ownPid } : undefined;
    process.pod = create(PodSchema, { ...workloadName(workload), ...(container ? { container } : {}) });
  }
  return event;
};

const signalOf = ({ event }: ProcessEvent) => {
  if (event?.event.case !== 'processExit') return null;
  const { status, signal } = event.event.value;
  return { status, signal: signal || null };
};

const policyOf = ({ event }: ProcessEvent): string | null => {
  const about = event?.event.value;
  return about && 'policyName' in about ? about.policyName : null;
};

export const processEventView = ({ timeUs, host, boot, seq, event }: StoredProcessEvent) => {
  const process = processOf(event);
  const { pid, execNs, parentExecNs, parentPid, workload } = event;
  return {
    time: formatTimeUs(timeUs),
    host,
    boot,
    seq,
    kind: PROCESS_KINDS[event.kind - 1] ?? String(event.kind),
    exec_id: execIdText({ host, execNs, pid }),
    parent_exec_id: parentExecNs === 0n ? null : execIdText({ host, execNs: parentExecNs, pid: parentPid }),
    pid,
    own_pid: event.ownPid,
    parent_pid: parentPid,
    uid: process?.uid ?? null,
    binary: process?.binary ?? '',
    arguments: process?.arguments ?? '',
    raw_arguments: event.rawArguments.length === 0 ? null : Buffer.from(event.rawArguments).toString('base64'),
    cwd: process?.cwd ?? '',
    flags: process?.flags ?? '',
    workload: workload === '' ? null : workloadName(workload),
    unit: event.unit === '' ? null : { kind: event.unitKind, name: event.unit },
    cgroup: event.cgroup || null,
    exit: signalOf(event),
    policy: policyOf(event),
    verdict: PROCESS_VERDICTS[event.verdict - 1] ?? null,
    event: event.event ? toJson(GetEventsResponseSchema, event.event, { useProtoFieldName: true }) : null,
  };
};
