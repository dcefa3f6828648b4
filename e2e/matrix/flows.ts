// SPDX-License-Identifier: Apache-2.0
/** Reads flows back through the public API and groups them by conversation, for comparison with what sockets saw. */
import { callAll } from '@weir/infra/api';

export interface Flow {
  readonly time: string;
  readonly host: string;
  readonly verdict: string;
  readonly direction: 'INGRESS' | 'EGRESS';
  readonly is_reply: boolean;
  readonly protocol: string;
  readonly source: {
    readonly ip: string;
    readonly port: number;
    readonly identity: number;
    readonly workload: string | null;
  };
  readonly destination: {
    readonly ip: string;
    readonly port: number;
    readonly identity: number;
    readonly workload: string | null;
  };
  readonly packets: number | string;
  readonly bytes: number | string;
  readonly drop_reason: { readonly code: number; readonly name: string; readonly text: string } | null;
  readonly rule: { readonly id: number; readonly policy: string | null; readonly path: string | null } | null;
  readonly trace_point: string;
  readonly source_service: ServiceName | null;
  readonly destination_service: ServiceName | null;
  readonly sock_xlate_point: string | null;
  /** Of a service, that the client asked for. */
  readonly frontend: {
    readonly number: number;
    readonly type: string;
    readonly address: string | null;
    readonly port: number | null;
    readonly backend: { readonly ip: string; readonly port: number } | null;
  } | null;
}

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

export const flowsSince = (analyticsUrl: string, sinceMs: number): Promise<Flow[]> =>
  callAll<Flow>(`${analyticsUrl}/v1/flows?since=${encodeURIComponent(new Date(sinceMs).toISOString())}&limit=1000`);

export interface Seen {
  readonly flows: readonly Flow[];
  readonly packets: number;
  readonly bytes: number;
}

export const seen = (flows: readonly Flow[]): Seen => ({
  flows,
  packets: flows.reduce((sum, f) => sum + Number(f.packets), 0),
  bytes: flows.reduce((sum, f) => sum + Number(f.bytes), 0),
});
