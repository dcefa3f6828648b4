// SPDX-License-Identifier: Apache-2.0
/** hb.<host>: that the agent lives, how far it is, and what it counts. Core NATS: the next one follows in 5 s. */
import { type Bus, subjects } from '@weir/bus';
import type { LimiterState } from '../apply/ports.ts';
import type { PeerState } from '../bgp/speaker.ts';
import type { SpoolStats } from '../events/spool.ts';
import type { ToldHostFirewall } from '../host-firewall/state.ts';
import type { Counters } from '../platform.ts';
import type { ProcessAccount } from './process-accounts.ts';
import type { Report } from './report.ts';
import type { ToldCounts } from './service-counts.ts';
import type { ThrottleReport } from './throttles.ts';

export const HEARTBEAT_MS = 5_000;
export const VERSION = '0.1.0';

export interface HeartbeatFacts {
  readonly host: string;
  readonly boot: bigint;
  readonly kernel: string;
  readonly features: readonly string[];
  /** Public half of the key of what encrypts; empty: it cannot. */
  readonly wireguardKey: string;
  readonly report: Report;
  readonly counters: Counters;
  readonly spool: SpoolStats;
  readonly nextSeq: bigint;
  readonly firstSeq: bigint;
  /** Of the ring buffer, in this boot or while no agent ran before it. */
  readonly lostRing: bigint;
  /** By workloads' rate limits, the same way. */
  readonly lostThrottle: bigint;
  readonly throttles: readonly ThrottleReport[];
  /** Things that somebody took away behind the agent and that it put back. */
  readonly repairs: number;
  readonly spooledBoots: readonly bigint[];
  /** Undefined where processes are not watched. */
  readonly processes: ProcessAccount | undefined;
  readonly processesSpooledBoots: readonly bigint[];
  /** By what egress limits hold. */
  readonly egressLimiter: LimiterState;
  readonly bgpPeers: readonly PeerState[];
  /** Undefined: as it was told last. */
  readonly serviceCounts: ToldCounts | undefined;
  readonly hostFirewall: ToldHostFirewall;
}

const processCounts = ({ produced, lostRing, lostByKind, nextSeq, spool }: ProcessAccount) => ({
  processes: {
    ...{ produced, lostRing, nextSeq },
    lostSpool: spool.lost,
    published: spool.published,
    committedSeq: spool.committedSeq,
  },
  processesLost: { ...lostByKind },
});

export const publishAgentHeartbeat = ({ nc }: Pick<Bus, 'nc'>, facts: HeartbeatFacts): void => {
  if (nc.isClosed()) return;
  const { host, boot, report, counters, spool, nextSeq, firstSeq, lostRing, lostThrottle } = facts;
  const bytes = subjects.hb.encode({
    boot,
    timeMs: BigInt(Date.now()),
    version: VERSION,
    kernel: facts.kernel,
    realised: { ...report.realised },
    workloadsReady: report.workloads.filter(({ state }) => state === 'ready').length,
    workloadsTotal: report.workloads.length,
    flows: {
      produced: nextSeq - firstSeq + lostRing + lostThrottle,
      lostRing,
      lostSpool: spool.lost,
      lostThrottle,
      published: spool.published,
      committedSeq: spool.committedSeq,
      nextSeq,
    },
    counters: { ...counters.named, repairs: BigInt(facts.repairs) },
    features: [...facts.features],
    wireguardKey: facts.wireguardKey,
    throttles: facts.throttles.map((throttle) => ({ ...throttle })),
    spooledBoots: [...facts.spooledBoots],
    ...(facts.processes ? processCounts(facts.processes) : {}),
    processesSpooledBoots: [...facts.processesSpooledBoots],
    egressLimiter: { ...facts.egressLimiter },
    ...(facts.serviceCounts
      ? {
          serviceCounts: {
            counts: facts.serviceCounts.counts.map((one) => ({ ...one })),
            leftOut: facts.serviceCounts.leftOut,
          },
        }
      : {}),
    hostFirewall: {
      ...facts.hostFirewall,
      documents: [...facts.hostFirewall.documents],
      lastGood: [...facts.hostFirewall.lastGood],
      untilMs: BigInt(facts.hostFirewall.untilMs),
      events: facts.hostFirewall.events.map((one) => ({
        ...{ ...one, sequence: BigInt(one.sequence), timeMs: BigInt(one.timeMs), documents: [...one.documents] },
      })),
    },
    bgpPeers: facts.bgpPeers.map(({ sinceMs, families, ...peer }) => ({
      ...peer,
      sinceMs: BigInt(sinceMs),
      families: families.map(({ prefixes, ...counts }) => ({ ...counts, prefixes: [...prefixes] })),
    })),
  });
  nc.publish(subjects.hb.build({ host }), bytes);
};
