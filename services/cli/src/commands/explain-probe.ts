// SPDX-License-Identifier: Apache-2.0
/**
 * `weir explain --probe`: a real attempt from the workload, and whether the kernel did what the engine says. Connected means that
 * both ends let it through; what did not come about may have many reasons, so a refusal counts only with the flow that tells of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeUntrusted, PROTOCOLS, protocolName } from '@weir/net';
import type { Context } from '../context.ts';
import type { Flow } from '../output/flow.ts';
import { endText } from './explain-balancing.ts';

export interface ProbeAsked {
  /** namespace/name */
  readonly from: string;
  readonly address: string;
  readonly protocol: number;
  readonly port: number;
}

interface Probe {
  readonly host: string;
  readonly source_address: string;
  readonly source_port: number | null;
  readonly error: string | null;
  readonly duration_us: number;
  readonly started_at: string;
}

export interface Probed extends Probe {
  /** What the kernel did of it: nobody tells when nothing answered and nobody reported a drop. */
  readonly outcome: 'allow' | 'deny' | 'unknown';
  readonly drop: Pick<Flow, 'host' | 'direction' | 'drop_reason' | 'rule'> | null;
}

/** Drops are on their way for as long as an agent collects, publishes, and analytics stores. */
const DROP_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 500;
/** Clocks of hosts differ a little. */
const SKEW_MS = 5_000;

const dropOf = async (context: Context, asked: ProbeAsked, probe: Probe): Promise<Flow | undefined> => {
  const query = new URLSearchParams({
    from_ip: probe.source_address,
    ...(probe.source_port === null ? { to_ip: asked.address } : { from_port: String(probe.source_port) }),
    protocol: protocolName(asked.protocol),
    verdict: 'DROPPED',
    since: new Date(Date.parse(probe.started_at) - SKEW_MS).toISOString(),
  });
  const [drop] = await context.client.list<Flow>('analytics', '/v1/flows', query, 1);
  return drop;
};

/** A host or router said so, or nobody listens: the packet was let through. Of a silence nothing follows. */
const REACHED: ReadonlySet<string> = new Set(['ECONNREFUSED']);

export const probeFlow = async (context: Context, asked: ProbeAsked): Promise<Probed> => {
  const isEcho = asked.protocol === PROTOCOLS.ICMP || asked.protocol === PROTOCOLS.ICMPv6;
  const path = `/v1/workloads/${encodeURIComponent(asked.from.replace('/', '.'))}/probe`;
  const protocol = protocolName(asked.protocol);
  const text = JSON.stringify({ address: asked.address, protocol, port: isEcho ? 0 : asked.port });
  const probe = await context.client.json<Probe>('inventory', path, {
    method: 'POST',
    body: { type: 'application/json', text },
    timeoutMs: 20_000,
  });
  if (probe.error === null) return { ...probe, outcome: 'allow', drop: null };
  const end = performance.now() + DROP_WITHIN_MS;
  for (;;) {
    const drop = await dropOf(context, asked, probe);
    if (drop) return { ...probe, outcome: 'deny', drop };
    if (performance.now() >= end) break;
    await sleep(LOOK_EVERY_MS, undefined, { signal: context.signal });
  }
  return { ...probe, outcome: REACHED.has(probe.error) ? 'allow' : 'unknown', drop: null };
};

const VERBS = { allow: 'lets it through', deny: 'refuses it' } as const;

export const isContradiction = (verdict: 'allow' | 'deny' | 'mixed', { outcome }: Probed): boolean =>
  outcome !== 'unknown' && verdict !== 'mixed' && verdict !== outcome;

export const sayProbe = (
  context: Context,
  asked: ProbeAsked,
  verdict: 'allow' | 'deny' | 'mixed',
  probe: Probed,
): void => {
  const { source_address, source_port, error, duration_us, drop, outcome } = probe;
  const from = source_port === null ? source_address : endText(source_address, source_port);
  const isEcho = source_port === null;
  const to = isEcho ? asked.address : endText(asked.address, asked.port);
  const came = error === null ? (isEcho ? 'answered' : 'it came about') : error;
  context.out(
    `probe: ${protocolName(asked.protocol)} ${from} -> ${to}: ${escapeUntrusted(came)} after ${(duration_us / 1_000).toFixed(1)} ms`,
  );
  if (drop) {
    const rule = drop.rule ? `, rule ${drop.rule.id}${drop.rule.policy ? ` of ${drop.rule.policy}` : ''}` : '';
    const reason = drop.drop_reason?.text ?? 'dropped';
    context.out(`  ${escapeUntrusted(`${drop.host} dropped it, ${drop.direction.toLowerCase()}: ${reason}${rule}`)}`);
  }
  if (outcome === 'unknown')
    context.out('  neither agrees nor disagrees: nothing answered, and no host reported a drop within 10 s');
  else if (verdict === 'mixed') context.out(`  the kernel ${VERBS[outcome]}, by the backend that was chosen`);
  else if (isContradiction(verdict, probe))
    context.out(context.paint('red', `  DISAGREES: the engine ${VERBS[verdict]}, the kernel ${VERBS[outcome]}`));
  else context.out(context.paint('green', `  agrees: the kernel ${VERBS[outcome]}`));
};
