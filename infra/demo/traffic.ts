// SPDX-License-Identifier: Apache-2.0
/** Makes the shop's workloads talk and reads back, through the API, what the datapath says of each conversation. */
import { callApi } from '../src/api.ts';
import { type Fleet, until } from '../src/fleet.ts';
import { PATIENT_TIMEOUT_MS, type ProbeResult } from '../src/traffic.ts';
import type { Workload } from '../src/workloads.ts';
import type { Conversation } from './scenario.ts';

/** Fields of GET /v1/flows used here. */
export interface FlowView {
  readonly time: string;
  readonly host: string;
  readonly verdict: string;
  readonly direction: string;
  readonly is_reply: boolean;
  readonly source: { ip: string; port: number; workload: string | null };
  readonly destination: { ip: string; port: number; workload: string | null };
  readonly protocol: string;
  readonly packets: number | string;
  readonly bytes: number | string;
  readonly drop_reason: { code: number; name: string; text: string } | null;
  readonly rule: { id: number; policy: string | null; path: string | null } | null;
}

export interface Talk {
  readonly conversation: Conversation;
  readonly result: ProbeResult;
}

const workloadOf = (fleet: Fleet, name: string): Workload => {
  const found = [...fleet.workloads.values()].find((w) => w.spec.name === name);
  if (!found) throw new Error(`no workload ${name}`);
  return found;
};

export const addressOf = (fleet: Fleet, name: string, family: 4 | 6): string => {
  const workload = workloadOf(fleet, name);
  return family === 4 ? workload.ip4 : workload.ip6;
};

/** `answers` says which should be answered: those are waited for, the others only for a moment. */
export const talkAll = (
  fleet: Fleet,
  conversations: readonly Conversation[],
  answers: (conversation: Conversation) => boolean,
): Promise<Talk[]> =>
  Promise.all(
    conversations.map(async (conversation) => ({
      conversation,
      result: await workloadOf(fleet, conversation.from).probe({
        protocol: conversation.protocol,
        host: addressOf(fleet, conversation.to, conversation.family),
        ...(conversation.port === undefined ? {} : { port: conversation.port }),
        ...(answers(conversation) ? { timeoutMs: PATIENT_TIMEOUT_MS } : {}),
      }),
    })),
  );

/**
 * The flow that decided a conversation: seen at the callee, in the direction of the connection. Waits for the
 * pipeline (kernel, agent, bus, database), which takes a fraction of a second.
 */
export const decidingFlow = async (fleet: Fleet, c: Conversation, sinceMs: number): Promise<FlowView> => {
  const query = new URLSearchParams({
    since: new Date(sinceMs).toISOString(),
    from_ip: addressOf(fleet, c.from, c.family),
    to_ip: addressOf(fleet, c.to, c.family),
    protocol: c.protocol === 'icmp' && c.family === 6 ? 'ICMPv6' : c.protocol.toUpperCase(),
    direction: 'INGRESS',
    is_reply: 'false',
    limit: '1',
    ...(c.port === undefined ? {} : { to_port: String(c.port) }),
  });
  let found: FlowView | undefined;
  await until(`a flow of ${c.from} -> ${c.to}`, 60_000, async () => {
    const page = await callApi<{ items: FlowView[] }>(`${fleet.control.urls.analytics}/v1/flows?${query}`);
    found = page.items[0];
    return found !== undefined;
  });
  return found as FlowView;
};

export const workloadByName = workloadOf;
