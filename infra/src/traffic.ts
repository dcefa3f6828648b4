// SPDX-License-Identifier: Apache-2.0
/** What stations ask of the network, and what came of it: as sockets saw it, counted and timed, never interpreted. */

export interface ProbeRequest {
  /**
   * sctp: an INIT by raw socket, answered by the INIT ACK of a station that listens. association: the kernel's own SCTP,
   * where it has any.
   */
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'sctp' | 'association';
  /** Address, not a name. */
  readonly host: string;
  readonly port?: number;
  readonly timeoutMs?: number;
  /** Bytes to send; the echo must return as many. */
  readonly payloadBytes?: number;
  /** Local port to use; 0 = any. */
  readonly localPort?: number;
}

export interface ProbeResult {
  readonly ok: boolean;
  /** answered | timeout | ECONNREFUSED | EHOSTUNREACH ... as the socket said. */
  readonly outcome: string;
  readonly ms: number;
  /** Of ICMP: the identifier. */
  readonly localPort: number;
}

/** Silence this long counts as refused. */
export const DEFAULT_TIMEOUT_MS = 700;
/** For a probe that should be answered: however busy the machine, only a real refusal may fail it. */
export const PATIENT_TIMEOUT_MS = 10_000;

export interface Listening {
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
  readonly sctp?: readonly number[];
  /** By the kernel's own SCTP; a station has these or `sctp`, not both. */
  readonly associations?: readonly number[];
}

/** Connections that stay, with a message and its echo on every tick of each; they never connect again. */
export interface HoldRequest {
  readonly protocol?: 'tcp' | 'udp' | 'association';
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  readonly tickMs: number;
  /** A longer gap between two answers is a stall. */
  readonly stallMs: number;
  readonly payloadBytes?: number;
}

/** New connections (UDP: new sockets, ICMP: new identifiers) all the time. */
export interface OpenRequest extends ProbeRequest {
  readonly tickMs: number;
  /** Each tick; default 1. */
  readonly count?: number;
  readonly stallMs?: number;
  /** Also at the very moment at which a link, an address or a route comes. */
  readonly atLinkUp?: boolean;
  /** The first answer ends it. */
  readonly untilAnswered?: boolean;
}

export interface DriveReport {
  /** hold: connections that came about. */
  readonly connected: number;
  readonly sent: number;
  readonly answered: number;
  /** The kernel had nowhere to send it, or no room. */
  readonly unsent: number;
  /** An error instead of an answer. */
  readonly refused: number;
  /** Neither; of hold: what is under way is among them. */
  readonly lost: number;
  /** hold: connections that ended by themselves. */
  readonly resets: number;
  readonly stalls: number;
  readonly longestGapMs: number;
  /** From question to answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** On the machine's monotonic clock, as process.hrtime has it; 0: never. */
  readonly firstSentAtMs: number;
  readonly firstAnsweredAtMs: number;
  readonly lastError: string;
}

export interface Served {
  readonly connections: number;
  readonly datagrams: number;
  /** SCTP: INITs that were answered. */
  readonly associations: number;
  readonly bytes: number;
  /** UDP: the kernel of the station did not take the answer. */
  readonly unanswered: number;
}
