// SPDX-License-Identifier: Apache-2.0
/**
 * S14 against frontends of services: what enters an uplink that serves goes through its program, and what that hands on through
 * the backend's. Delivered is what reaches a workload, or leaves for one elsewhere; what the uplink's program does not know it
 * leaves to the host's stack as it came, which has no such address.
 */
import type { TestContext } from 'node:test';
import { DROP_TEXT, weir_backend_flags, weir_identity, weir_service_flags } from '@weir/bpf';
import { mac, mapped } from '@weir/bpf/testing';
import { uplinkOf } from '@weir/bpf/testing/uplink';
import { DB, UPLINK, WEB, World } from '@weir/bpf/testing/world';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import type { Family } from './evasions.ts';
import { randomFrom, seedOfRun } from './random.ts';
import { BACKEND_PORT, fineTry, SERVICE_EVASIONS, TCP_PORT, type Try, UDP_PORT, VIP } from './service-evasions.ts';

/** Of each kind. */
const TRIES = size({ short: 40, long: 5_000 });
const FAMILIES: readonly Family[] = ['ip4', 'ip6'];
const [PASSED, DROPPED] = [0, 2];
const TCP = 6;
const UDP = 17;
const IP_AT = 14;

/** The backend may be asked by the world at its own port; the other workload of the host by nobody. */
const serve = async (world: World): Promise<void> => {
  const { SERVICE_ROUTABLE, SERVICE_LOAD_BALANCER, SERVICE_WILDCARD } = weir_service_flags;
  uplinkOf({ services: true, low: 50_000, high: 60_000 })(world);
  world.services.settings(0n);
  const rules = [weir_identity.IDENTITY_WORLD_IPV4, weir_identity.IDENTITY_WORLD_IPV6].flatMap((identity) =>
    [TCP, UDP].map((protocol) => ({ identity, protocol, port: BACKEND_PORT, id: protocol })),
  );
  await world.policy(WEB, rules);
  await world.policy(DB, []);
  for (const [at, family] of FAMILIES.entries()) {
    const flags = SERVICE_ROUTABLE | SERVICE_LOAD_BALANCER;
    const frontend = { address: VIP[family], flags };
    const ports = [
      [TCP, TCP_PORT],
      [UDP, UDP_PORT],
    ] as const;
    for (const [i, [protocol, port]] of ports.entries()) {
      const number = 1 + at * 4 + i;
      world.services.backend(number, WEB[family], BACKEND_PORT, protocol, { flags: weir_backend_flags.BACKEND_LOCAL });
      world.services.frontend({ ...frontend, number, port, protocol, active: [number] });
    }
    const all = { number: 4 + at * 4, port: 0, protocol: 0, active: [] };
    world.services.frontend({ ...frontend, ...all, flags: SERVICE_WILDCARD | SERVICE_ROUTABLE });
  }
};

type Outcome = 'delivered' | 'dropped' | 'answered' | 'left';

/** Whose address it is sent to; undefined for a tagged frame, which belongs to an interface that is not there. */
const workloadOf = (frame: Buffer): typeof WEB | undefined => {
  const type = frame.readUInt16BE(12);
  if (type !== 0x86dd && type !== 0x0800) return undefined;
  const to = type === 0x86dd ? frame.subarray(IP_AT + 24, IP_AT + 40) : frame.subarray(IP_AT + 16, IP_AT + 20);
  return [WEB, DB].find(({ ip4, ip6 }) =>
    mapped(type === 0x86dd ? ip6 : ip4)
      .subarray(-to.length)
      .equals(to),
  );
};

/** A packet that is handed on is for a workload when it has its address now: the host's stack routes it there. */
const fate = async (world: World, frame: Buffer): Promise<Outcome> => {
  const { action, packet } = await world.run('from_uplink', frame, { ingressIfindex: UPLINK });
  if (action === DROPPED) return 'dropped';
  if (action !== PASSED) {
    // back by the link that it came by, to whom it came from: an error
    return packet.subarray(0, 6).equals(frame.subarray(6, 12)) ? 'answered' : 'delivered';
  }
  const workload = workloadOf(packet);
  if (!workload) return packet.equals(frame) ? 'left' : 'delivered';
  if (workload !== WEB) return 'delivered';
  const handed = Buffer.concat([mac(WEB.mac), mac(WEB.hostMac), packet.subarray(12)]);
  const last = await world.run('to_workload', handed, { ingressIfindex: UPLINK });
  return last.action === DROPPED ? 'dropped' : 'delivered';
};

export const serviceEvasion = async (t: TestContext): Promise<void> => {
  const seed = seedOfRun();
  const below = randomFrom(seed);
  const world = await World.open({ events_per_second: 1 }, 4096, 1 << 20, ['frontend', 'nat64'], 1 << 16);
  const wrong: string[] = [];
  const unnamed: number[] = [];
  const reasons = new Set<number>();
  const came: Record<Outcome, number> = { delivered: 0, dropped: 0, answered: 0, left: 0 };
  let allowed = 0;
  let lost = 0;
  try {
    await serve(world);
    for (const [kind, make] of Object.entries(SERVICE_EVASIONS)) {
      await world.clear('drops');
      let refused = 0;
      for (let i = 0; i < TRIES; i++) {
        const family = FAMILIES[i % 2] as Family;
        // That a trick is refused says something only where the same without the trick passes.
        for (const { frame, allowed: isAllowed } of [fineTry(family, below), ...make(family, below)] as Try[]) {
          const outcome = await fate(world, frame);
          if (isAllowed) {
            allowed++;
            if (outcome === 'delivered') continue;
            lost++;
          } else {
            came[outcome]++;
            if (outcome !== 'left') refused++;
            if (outcome !== 'delivered') continue;
          }
          wrong.push(`${kind}: ${isAllowed ? 'allowed, but ' : ''}${outcome}: ${frame.toString('hex')}`);
        }
      }
      const drops = await world.drops();
      const counted = [...drops.values()].reduce((sum, packets) => sum + packets, 0);
      if (counted !== refused && wrong.length === 0) wrong.push(`${kind}: ${refused} refused, ${counted} counted`);
      for (const reason of drops.keys()) {
        reasons.add(reason);
        if (reason === 0 || !DROP_TEXT[reason]) unnamed.push(reason);
      }
    }
  } finally {
    world.close();
  }
  for (const line of wrong.slice(0, 10)) t.diagnostic(line);
  const kinds = Object.keys(SERVICE_EVASIONS).length;
  const { delivered, ...others } = came;
  const forbidden = Object.values(came).reduce((sum, packets) => sum + packets, 0);
  report(
    t,
    'S14',
    {
      at: 'frontends',
      seed,
      kinds,
      forbidden,
      delivered,
      ...others,
      reasons: reasons.size,
      allowed,
      allowed_lost: lost,
    },
    [
      ['0 forbidden deliveries', delivered === 0 && forbidden >= TRIES * kinds],
      ['each drop has a named reason and is counted', unnamed.length === 0 && reasons.size > 5 && wrong.length === 0],
      ['the same without the trick passes', lost === 0 && allowed > 0],
    ],
  );
};
