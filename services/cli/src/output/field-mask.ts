// SPDX-License-Identifier: Apache-2.0
/** `--field-mask`: of each flow only the fields named, by their places in the JSON. */
import { usage } from '../observe/filter.ts';
import type { Flow } from './flow.ts';

const SERVICE = ['namespace', 'name'];
const END = ['ip', 'port', 'identity', 'labels', 'workload', 'namespace'];

/** Fields of a flow as GET /v1/flows gives it; a test compares them with its openapi.json. */
export const FLOW_FIELDS: Readonly<Record<string, readonly string[]>> = {
  ...{ time: [], host: [], boot: [], seq: [], source: END, destination: END, protocol: [], tcp_flags: [] },
  ...{
    icmp: ['type', 'code'],
    verdict: [],
    drop_reason: ['code', 'name', 'text'],
    rule: ['id', 'policy', 'path'],
    policy_log: [],
    pending: ['verdict', 'rule'],
  },
  ...{ direction: [], is_reply: [], trace_point: [], trace_reason: [], report: [], packets: [], bytes: [] },
  ...{ connection_id: [], encrypted: [], source_service: SERVICE, destination_service: SERVICE },
  frontend: ['number', 'type', 'address', 'port', 'backend'],
  ...{ source_xlated: [], sock_xlate_point: [] },
  process: ['exec_id', 'pid', 'uid', 'binary', 'unit', 'unit_kind'],
};

export type FieldMask = (flow: Flow) => unknown;

const checkPath = (path: string): void => {
  const [first = '', second, ...rest] = path.split('.');
  const below = Object.hasOwn(FLOW_FIELDS, first) ? FLOW_FIELDS[first] : undefined;
  if (below !== undefined && rest.length === 0 && (second === undefined || below.includes(second))) return;
  const known = below?.length ? below.map((name) => `${first}.${name}`) : Object.keys(FLOW_FIELDS);
  throw usage(`--field-mask: a flow has no field ${path}; there are ${known.join(', ')}`);
};

/** `paths`: such as time and source.workload. */
export const fieldMask = (paths: readonly string[]): FieldMask => {
  for (const path of paths) checkPath(path);
  return (flow) => {
    const shown: Record<string, unknown> = {};
    for (const path of paths) {
      const [first = '', second] = path.split('.');
      const value = (flow as unknown as Record<string, unknown>)[first];
      if (second === undefined || value === null || value === undefined) shown[first] ??= value ?? null;
      else {
        const part = { [second]: (value as Record<string, unknown>)[second] };
        shown[first] = { ...(shown[first] as object | undefined), ...part };
      }
    }
    return shown;
  };
};
