// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads of the compose fleet by name: where one is asked, which address it has, and what comes of a conversation.
 * Sockets with a path are not bound to a network namespace: who asks needs none of the workloads' networks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CONVERSATIONS, type Conversation } from '../demo/scenario.ts';
import { ApiError, callApi } from '../src/api.ts';
import { StationControl } from '../src/station-control.ts';
import { DEFAULT_TIMEOUT_MS, PATIENT_TIMEOUT_MS, type ProbeResult } from '../src/traffic.ts';

const inventory = process.env.WEIR_INVENTORY_URL ?? 'http://inventory:7101';
const SHOP_DIR = '/run/shop';
const INVENTORY_MS = 30_000;
const AGAIN_MS = 1_000;

export const stationOf = (name: string): StationControl => new StationControl(`${SHOP_DIR}/shop.${name}.sock`);

/** Waits out an inventory that says it will be back: what is asked here is the network. */
export const addressOf = async (name: string, family: 4 | 6): Promise<string> => {
  for (const deadline = Date.now() + INVENTORY_MS; ; await sleep(AGAIN_MS)) {
    try {
      const { ip4, ip6 } = await callApi<{ ip4: string; ip6: string }>(`${inventory}/v1/workloads/shop.${name}`);
      return family === 6 ? ip6 : ip4;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503 || Date.now() > deadline) throw error;
    }
  }
};

/** Those of the demo but for ICMP: its socket needs a capability, and workloads have none. */
export const conversations = CONVERSATIONS.filter(({ protocol }) => protocol !== 'icmp');

/** Asked for with a real socket; `outcome` is what the socket said. */
export const tryOut = async (
  { from, to, protocol, port, family }: Omit<Conversation, 'allowedAfter'>,
  { patient = false } = {},
): Promise<ProbeResult> => {
  const host = await addressOf(to, family);
  const control = stationOf(from);
  try {
    const timeout = patient ? PATIENT_TIMEOUT_MS : DEFAULT_TIMEOUT_MS;
    return await control.ask<ProbeResult>('probe', { proto: protocol, host, port, timeout });
  } finally {
    control.close();
  }
};
