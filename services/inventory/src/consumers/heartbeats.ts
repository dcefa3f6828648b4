// SPDX-License-Identifier: Apache-2.0
/**
 * hb.<host>: the newest heartbeat of each host, written in one statement a second, so that ten thousand hosts
 * cost one transaction a second. One that can't be written is overtaken by the next.
 */
import { type Bus, subjects } from '@weir/bus';
import type { Database } from '@weir/db';
import type { AgentHeartbeat } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter } from '@weir/telemetry';
import { cleanBig, cleanCount, cleanMap, cleanText, cleanTexts } from '../domain/reports.ts';
import { saveKeys } from '../operations/wireguard.ts';
import { type BgpReport, saveBgp } from '../store/bgp.ts';
import { type ReportedFirewall, saveFirewalls } from '../store/host-firewalls.ts';
import { type ReportedStatus, saveStatuses } from '../store/host-status.ts';
import { type CountsOfHost, saveServiceCounts } from '../store/service-counts.ts';
import type { Tables } from '../store/tables.ts';

const FLUSH_MS = 1_000;
/** After the first heartbeat of a silent while: a host that joins is seen at once. */
const FIRST_FLUSH_MS = 50;

const statusOf = (host: string, heartbeat: AgentHeartbeat, seen: Date): ReportedStatus => ({
  host_id: host,
  last_seen_at: seen,
  boot: cleanBig(heartbeat.boot),
  version: cleanText(heartbeat.version),
  kernel: cleanText(heartbeat.kernel),
  realised: cleanMap(heartbeat.realised),
  workloads_ready: cleanCount(heartbeat.workloadsReady),
  workloads_total: cleanCount(heartbeat.workloadsTotal),
  flows: {
    produced: String(heartbeat.flows?.produced ?? 0n),
    lost_throttle: String(heartbeat.flows?.lostThrottle ?? 0n),
    lost_ring: String(heartbeat.flows?.lostRing ?? 0n),
    lost_spool: String(heartbeat.flows?.lostSpool ?? 0n),
    published: String(heartbeat.flows?.published ?? 0n),
    committed_seq: String(heartbeat.flows?.committedSeq ?? 0n),
  },
  counters: cleanMap(heartbeat.counters),
  features: cleanTexts(heartbeat.features),
  egress_limiter: cleanText(heartbeat.egressLimiter?.kind ?? ''),
  egress_limiter_reason: cleanText(heartbeat.egressLimiter?.reason ?? ''),
});

const PEERS_MAX = 1_024;

const bgpOf = (host: string, { bgpPeers }: AgentHeartbeat, seen: Date): BgpReport => ({
  host_id: host,
  reported_at: seen,
  peers: bgpPeers.slice(0, PEERS_MAX).map((one) => ({
    ...{ instance: cleanText(one.instance), peer: cleanText(one.peer), address: cleanText(one.address) },
    ...{ asn: one.asn, local_asn: one.localAsn, state: cleanText(one.state), error: cleanText(one.error) },
    since_ms: Math.min(Number(one.sinceMs), Date.now()),
    families: one.families.map(({ family, received, advertised, prefixes }) => ({
      ...{ family: cleanText(family), received, advertised },
      prefixes: [...new Set(prefixes.slice(0, PREFIXES_MAX).map(cleanText))],
    })),
  })),
});
const PREFIXES_MAX = 1_000;
const COUNTS_MAX = 1_000;
const EVENTS_MAX = 100;

/** Undefined: an agent of before. */
const firewallOf = (host: string, { hostFirewall }: AgentHeartbeat): ReportedFirewall | undefined =>
  hostFirewall && {
    ...{ host_id: host, state: cleanText(hostFirewall.state), confirmed_by: cleanText(hostFirewall.confirmedBy) },
    ...{ documents: cleanTexts(hostFirewall.documents), last_good: cleanTexts(hostFirewall.lastGood) },
    until: hostFirewall.untilMs > 0n ? dateOf(hostFirewall.untilMs) : null,
    why: cleanText(hostFirewall.why),
    events: hostFirewall.events.slice(-EVENTS_MAX).map((one) => ({
      ...{ sequence: String(cleanBig(one.sequence)), time_ms: String(dateOf(one.timeMs).getTime()) },
      ...{ act: cleanText(one.act), by: cleanText(one.by), why: cleanText(one.why) },
      documents: cleanTexts(one.documents),
    })),
  };
/** The newest state; of events, what both told, which may be the same. */
const withEventsOf = (before: ReportedFirewall | undefined, newest: ReportedFirewall): ReportedFirewall =>
  before ? { ...newest, events: [...before.events, ...newest.events].slice(-2 * EVENTS_MAX) } : newest;
/** Of hosts' clocks anything may come, of a Date only so much. */
const DATE_MAX = 253_402_300_799_999n;
const dateOf = (ms: bigint): Date => new Date(Number(ms > DATE_MAX ? DATE_MAX : ms));

/** Undefined: they are as they were. */
const countsOf = (host: string, { serviceCounts }: AgentHeartbeat, seen: Date): CountsOfHost | undefined =>
  serviceCounts && {
    host_id: host,
    reported_at: seen,
    left_out: Math.min(serviceCounts.leftOut + Math.max(0, serviceCounts.counts.length - COUNTS_MAX), 2 ** 31 - 1),
    counts: serviceCounts.counts.slice(0, COUNTS_MAX).map((one) => ({
      ...{ f: one.frontend, b: one.backend, o: one.open },
      ...{ c: String(one.connections), p: String(one.packets), y: String(one.bytes) },
      ...{ h: String(one.flowHits), m: String(one.flowMisses), n: String(one.noBackend), d: String(one.denied) },
    })),
  };

export interface Consumer {
  stop(): Promise<void>;
}

export const consumeHeartbeats = (bus: Bus, db: Database<Tables>, onError: (error: unknown) => void): Consumer => {
  const received = counter('weir_inventory_heartbeats_total');
  const waiting = new Map<string, ReportedStatus>();
  const bgp = new Map<string, BgpReport>();
  const counts = new Map<string, CountsOfHost>();
  const firewalls = new Map<string, ReportedFirewall>();
  let keys = new Map<string, string>();
  const refusedKeys = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let lastFlush = 0;

  const flush = (): void => {
    timer = undefined;
    lastFlush = Date.now();
    const statuses = [...waiting.values()];
    waiting.clear();
    const sessions = [...bgp.values()];
    bgp.clear();
    const asked = [...counts.values()];
    counts.clear();
    const told = [...firewalls.values()];
    firewalls.clear();
    const said = keys;
    keys = new Map();
    writing = writing
      .then(() => saveStatuses(db, statuses))
      .then(() => saveBgp(db.kysely, sessions))
      .then(() => saveServiceCounts(db.kysely, asked))
      .then(() => saveFirewalls(db, told))
      .then(() => saveKeys({ db }, said, refusedKeys, onError))
      .catch(onError);
  };

  const subscription = bus.nc.subscribe(subjects.hb.wildcard, {
    callback: (error, message) => {
      if (error) return onError(error);
      try {
        const host = subjects.hb.parse(message.subject)?.host;
        if (host === undefined) return;
        received.add(1);
        const heartbeat = subjects.hb.decode(message.data);
        waiting.set(host, statusOf(host, heartbeat, new Date()));
        bgp.set(host, bgpOf(host, heartbeat, new Date()));
        const asked = countsOf(host, heartbeat, new Date());
        if (asked) counts.set(host, asked);
        const firewall = firewallOf(host, heartbeat);
        if (firewall) firewalls.set(host, withEventsOf(firewalls.get(host), firewall));
        keys.set(host, cleanText(heartbeat.wireguardKey));
        timer ??= setTimeout(flush, Date.now() - lastFlush > FLUSH_MS ? FIRST_FLUSH_MS : FLUSH_MS);
      } catch (failure) {
        onError(failure);
      }
    },
  });

  return {
    stop: async () => {
      subscription.unsubscribe();
      clearTimeout(timer);
      if (waiting.size > 0) flush();
      await writing;
    },
  };
};
