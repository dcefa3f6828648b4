// SPDX-License-Identifier: Apache-2.0
/**
 * Cells asked with real packets. Silence is asked about a second time, the more patiently the longer others took to
 * answer: on a busy machine an answer may be late, but what the policy refuses stays silent however long one waits.
 */
import { inParallel, type ProbeResult } from '@weir/infra/fleet';
import type { Cell, Verdict } from '../mode.ts';
import type { Cast } from './cast.ts';

const IN_FLIGHT = 200;
const SILENCE_MS = 300;
const PATIENT_MS = 1_500;
/** Times as long as the slowest answer. */
const PATIENCE = 10;
/** The types that a kernel answers by itself. */
const ECHO_REQUEST = { ICMP: 8, ICMPv6: 128 } as const;

const PROTOCOL = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const;

const askOnce = async (cast: Cast, cell: Cell, timeoutMs: number): Promise<ProbeResult> => {
  const { from, to, address: host } = await cast.route(cell);
  const { protocol, port } = cell;
  if (protocol === 'ICMP' || protocol === 'ICMPv6') {
    return port === ECHO_REQUEST[protocol]
      ? from.probe({ protocol: 'icmp', host, timeoutMs })
      : from.deliver(to, { type: port, host, timeoutMs });
  }
  return from.probe({ protocol: PROTOCOL[protocol], host, port, timeoutMs });
};

export const askAll = async (cast: Cast, cells: readonly Cell[]): Promise<Verdict[]> => {
  const first = await inParallel(cells, IN_FLIGHT, (cell) => askOnce(cast, cell, SILENCE_MS));
  const silent = cells.flatMap((cell, at) => (first[at]?.outcome === 'timeout' ? [{ cell, at }] : []));
  const slowest = first.reduce((max, { ok, ms }) => Math.max(max, ok ? ms : 0), 0);
  const patientMs = slowest === 0 ? PATIENT_MS : Math.min(PATIENT_MS, Math.max(SILENCE_MS, PATIENCE * slowest));
  const second = await inParallel(silent, IN_FLIGHT, ({ cell }) => askOnce(cast, cell, Math.ceil(patientMs)));
  const results = [...first];
  for (const [i, { at }] of silent.entries()) results[at] = second[i] as ProbeResult;
  return results.map(({ ok }) => (ok ? 'allow' : 'drop'));
};
