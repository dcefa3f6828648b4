// SPDX-License-Identifier: Apache-2.0
/**
 * `weir apply --trace`: the way of a change as a tree, from the request to the maps of each host. The times are those
 * that services and agents measured and told; exported spans carry the same trace id.
 */
import { randomBytes } from 'node:crypto';
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';

interface HostStages {
  readonly host: string;
  readonly received_us: number;
  readonly started_us: number;
  readonly compiled_us: number;
  readonly written_us: number;
  readonly acknowledged_us: number;
}

interface RevisionTrace {
  readonly revision: number;
  readonly trace_id: string | null;
  readonly received_us: number;
  readonly committed_us: number | null;
  readonly published_us: number | null;
  readonly hosts: readonly HostStages[];
}

/** A host as GET /v1/revisions/N has it. */
interface HostAt {
  readonly host: string;
  readonly state: string;
  readonly error?: string | null;
}

const W3C = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9a-f]$/;

/** W3C trace context for one request: the caller's own (TRACEPARENT, as CI systems set it), else a new one. */
export const traceparent = (given: string | undefined): string =>
  given !== undefined && W3C.test(given)
    ? given
    : `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

interface Line {
  readonly label: string;
  /** Microseconds since the request; absent: not known. */
  readonly atUs?: number;
  /** Of this step alone. */
  readonly tookUs?: number;
}

const ms = (us: number): string => (us / 1_000).toFixed(3);

/** No duration where the one before ended later: the broker delivers before it acknowledges. */
const step = (label: string, atUs: number | null, beforeUs: number | null, startUs: number): Line =>
  atUs === null
    ? { label: `${label} (not known)` }
    : { label, atUs: atUs - startUs, ...(beforeUs === null || atUs < beforeUs ? {} : { tookUs: atUs - beforeUs }) };

const WHY: Readonly<Record<string, string>> = {
  away: 'away: nothing is heard of its agent; it takes the newest revision when it returns',
  pending: 'pending: not acknowledged yet',
  realised: 'realised with a later revision',
};

const linesOf = (trace: RevisionTrace, others: readonly HostAt[]): Line[] => {
  const { received_us: start, committed_us: committed, published_us: published, hosts } = trace;
  const count = hosts.length + others.length;
  const lines: Line[] = [
    { label: 'policy service received', atUs: 0 },
    step('├─ committed', committed, start, start),
    step(`${count === 0 ? '└─' : '├─'} published`, published, committed, start),
  ];
  for (const [i, host] of hosts.entries()) {
    const isLast = i === count - 1;
    const indent = isLast ? '   ' : '│  ';
    lines.push(
      { label: `${isLast ? '└─' : '├─'} ${escapeUntrusted(host.host)}` },
      step(`${indent}├─ received`, host.received_us, published, start),
      step(`${indent}├─ its pass began`, host.started_us, host.received_us, start),
      step(`${indent}├─ compiled`, host.compiled_us, host.started_us, start),
      step(`${indent}├─ maps written`, host.written_us, host.compiled_us, start),
      step(`${indent}└─ acknowledged`, host.acknowledged_us, host.written_us, start),
    );
  }
  for (const [i, { host, state, error }] of others.entries()) {
    const why = error ? `${state}: ${error}` : (WHY[state] ?? state);
    lines.push({ label: escapeUntrusted(`${hosts.length + i === count - 1 ? '└─' : '├─'} ${host} (${why})`) });
  }
  return lines;
};

export const printTrace = async (context: Context, revision: number | string): Promise<void> => {
  const trace = await context.client.json<RevisionTrace>('policy', `/v1/revisions/${revision}/trace`);
  const { hosts } = await context.client.json<{ hosts: HostAt[] }>('policy', `/v1/revisions/${revision}`);
  const told = new Set(trace.hosts.map(({ host }) => host));
  const lines = linesOf(
    trace,
    hosts.filter(({ host }) => !told.has(host)),
  );
  const width = Math.max(...lines.filter(({ atUs }) => atUs !== undefined).map(({ label }) => label.length));
  context.out(`revision ${trace.revision}, trace ${trace.trace_id ?? 'unknown'}`);
  context.out(`${''.padEnd(width)}   ${'after ms'.padStart(10)}   ${'took ms'.padStart(10)}`);
  for (const { label, atUs, tookUs } of lines) {
    const at = atUs === undefined ? '' : ms(atUs);
    const took = tookUs === undefined ? '' : ms(tookUs);
    context.out(`${label.padEnd(width)}   ${at.padStart(10)}   ${took.padStart(10)}`.trimEnd());
  }
  if (trace.hosts.length > 0)
    context.out('after: since the request came in; took: this step alone. Times of a host are by its own clock.');
};
