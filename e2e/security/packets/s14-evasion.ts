// SPDX-License-Identifier: Apache-2.0
/** S14: tricks with fragments, headers, ICMP and addresses, byte by byte through the loaded programs. */
import type { TestContext } from 'node:test';
import { DROP_TEXT } from '@weir/bpf';
import { PEER, UPLINK, WEB, World } from '@weir/bpf/testing/world';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import { ASKED_PORT, type Attempt, DNS_PORT, EVASIONS, type Family, fineAttempt, type Way } from './evasions.ts';
import { randomFrom, seedOfRun } from './random.ts';

/** Of each kind. */
const TRIES = size({ short: 60, long: 5_000 });
const DROPPED = 2;
const RULES = [
  { identity: PEER.identity, protocol: 6, port: ASKED_PORT, id: 1 },
  { egress: true, identity: PEER.identity, protocol: 17, port: DNS_PORT, id: 2 },
];
const WAYS: readonly Way[] = ['sent', 'received'];
const FAMILIES: readonly Family[] = ['ip4', 'ip6'];

export const evasion = async (t: TestContext): Promise<void> => {
  const seed = seedOfRun();
  const below = randomFrom(seed);
  const world = await World.open({ events_per_second: 1 });
  const delivered: string[] = [];
  const lost: string[] = [];
  const unnamed: number[] = [];
  let sent = 0;
  let allowed = 0;
  const reasons = new Set<number>();
  const run = async (kind: string, { way, frame, allowed: isAllowed = false }: Attempt): Promise<void> => {
    const { action } = await world.run(way === 'sent' ? 'from_workload' : 'to_workload', frame, {
      ingressIfindex: way === 'sent' ? WEB.ifindex : UPLINK,
    });
    if (isAllowed) {
      allowed++;
      if (action === DROPPED) lost.push(`${kind}: ${frame.toString('hex')}`);
    } else {
      sent++;
      if (action !== DROPPED) delivered.push(`${kind}: ${frame.toString('hex')}`);
    }
  };
  try {
    await world.policy(WEB, RULES);
    for (const [kind, make] of Object.entries(EVASIONS)) {
      await world.clear('drops');
      const before = sent;
      for (let i = 0; i < TRIES; i++) {
        const way = WAYS[i % 2] as Way;
        const family = FAMILIES[(i >> 1) % 2] as Family;
        // That a trick is refused says something only where the same without the trick passes.
        await run('control', fineAttempt(way, family, below));
        for (const attempt of make(way, family, below)) await run(kind, attempt);
      }
      const drops = await world.drops();
      const counted = [...drops.values()].reduce((sum, packets) => sum + packets, 0);
      if (counted !== sent - before + lost.length && delivered.length === 0)
        lost.push(`${kind}: ${sent - before} refused, ${counted} counted`);
      for (const reason of drops.keys()) {
        reasons.add(reason);
        if (reason === 0 || !DROP_TEXT[reason]) unnamed.push(reason);
      }
    }
  } finally {
    world.close();
  }
  for (const line of [...delivered, ...lost].slice(0, 10)) t.diagnostic(line);
  report(
    t,
    'S14',
    {
      seed,
      kinds: Object.keys(EVASIONS).length,
      forbidden: sent,
      delivered: delivered.length,
      reasons: reasons.size,
      allowed,
      allowed_lost: lost.length,
    },
    [
      ['0 forbidden deliveries', delivered.length === 0 && sent >= TRIES * Object.keys(EVASIONS).length],
      ['each drop has a named reason and is counted', unnamed.length === 0 && reasons.size > 5],
      ['the same without the trick passes', lost.length === 0 && allowed > 0],
    ],
  );
};
