// SPDX-License-Identifier: Apache-2.0
/** On the bus as a host or a service would be, with its credential. */
import {
  agentInbox,
  type Bus,
  type BusOptions,
  connectBus,
  publishEvents,
  STREAM,
  serviceInbox,
  subjects,
} from '@weir/bus';
import { type ControlPlane, until } from '@weir/infra/pipeline';
import type { Accounts } from './accounts.ts';

const opened: Bus[] = [];
const open = async (options: BusOptions): Promise<Bus> => {
  const bus = await connectBus(options);
  opened.push(bus);
  return bus;
};

/** What a row that failed has left open. */
export const closeBuses = async (): Promise<void> => {
  await Promise.all(opened.splice(0).map((bus) => bus.close()));
};

export const asHost = (control: ControlPlane, host: string): Promise<Bus> =>
  open({
    servers: control.natsUrl,
    name: `${host} (test)`,
    nkeySeed: control.agentSeed(host),
    inboxPrefix: agentInbox(host),
  });

export const asService = (control: ControlPlane, service: 'analytics' | 'inventory' | 'policy'): Promise<Bus> =>
  open({
    servers: control.natsUrl,
    name: `${service} (test)`,
    nkeySeed: control.serviceSeed(service),
    inboxPrefix: serviceInbox(service),
  });

/** In how many milliseconds the bus recognises a repetition from now on. */
export const setWindow = async ({ jsm }: Bus, windowMs: number): Promise<void> => {
  await jsm.streams.update(STREAM.EVENTS, { duplicate_window: windowMs * 1_000_000 });
};

export const BOOT = 1_785_600_000_000;
const V4 = (last: number): Uint8Array => Uint8Array.of(10, 0, 0, last % 250);

export interface BatchOptions {
  readonly timeMs?: number;
  readonly ruleId?: number;
  readonly boot?: number;
}

export const flowsFrom = (firstSeq: number, count: number, { timeMs = Date.now(), ruleId = 7 }: BatchOptions = {}) =>
  Array.from({ length: count }, (_, i) => {
    const seq = firstSeq + i;
    return {
      timeNs: BigInt(timeMs) * 1_000_000n + BigInt(seq % 1_000),
      sourceIp: V4(seq % 40),
      destinationIp: V4(200 + (seq % 7)),
      sourcePort: 30_000 + (seq % 20_000),
      destinationPort: 443,
      protocol: 6,
      sourceIdentity: 256 + (seq % 40),
      destinationIdentity: 300 + (seq % 7),
      verdict: 1,
      ruleId,
      direction: 1,
      packets: 3n,
      bytes: 180n,
    };
  });

export const batch = (firstSeq: number, count: number, options: BatchOptions = {}): Uint8Array =>
  subjects.evtFlow.encode({
    boot: BigInt(options.boot ?? BOOT),
    firstSeq: BigInt(firstSeq),
    flows: flowsFrom(firstSeq, count, options),
  });

export const send = async (
  bus: Bus,
  host: string,
  firstSeq: number,
  count: number,
  options: BatchOptions = {},
): Promise<void> => {
  const id = `${host}:${options.boot ?? BOOT}:${firstSeq}`;
  await publishEvents(bus.js, subjects.evtFlow.build({ host }), batch(firstSeq, count, options), id);
};

/** Resolves with the time it took. */
export const untilStored = async (accounts: Accounts, wanted: Readonly<Record<string, number>>): Promise<number> => {
  const startedAt = performance.now();
  let seen = '';
  await until(
    'all flows to be stored',
    180_000,
    async () => {
      const counts = await Promise.all(Object.keys(wanted).map((host) => accounts.count(host)));
      seen = `${counts.join(', ')} of ${Object.values(wanted).join(', ')}`;
      return Object.values(wanted).every((count, i) => (counts[i] ?? 0) >= count);
    },
    () => seen,
  );
  return performance.now() - startedAt;
};
