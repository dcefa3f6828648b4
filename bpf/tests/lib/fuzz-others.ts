// SPDX-License-Identifier: Apache-2.0
/**
 * The frames of fuzz.ts through every other program that sees packets: at uplinks, tunnels, WireGuard, NAT64, at the link and in
 * XDP, with a host that is guarded, that masquerades and serves. What becomes of a packet is tried elsewhere; here the verdict is
 * one that the hook knows, and nothing upsets the kernel.
 */
import assert from 'node:assert/strict';
import { skbContext, TEST_RUN_REFUSED } from '@weir/loader';
import { MAPS, weir_host_endpoint, weir_service_flags } from '../../gen/index.ts';
import type { ObjectName } from '../../objects.ts';
import { generateFrame, LONGEST_FRAME, mutateInto } from './frames.ts';
import { createRandom } from './random.ts';
import { ACTION } from './scenario.ts';
import { uplinkOf } from './uplink.ts';
import { FUZZ_RULES } from './verdict.ts';
import { Vips } from './vips.ts';
import { CLOSED, DB, HOST, PEER, UPLINK, WEB, WORLD, World } from './world.ts';

/** XDP_ABORTED (0) would be a fault of the program. */
const XDP = { drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

export interface OtherProgram {
  readonly object: ObjectName;
  readonly program: string;
  /** What enters comes from outside. */
  readonly enters: boolean;
  readonly xdp?: boolean;
}

export const OTHER_PROGRAMS: readonly OtherProgram[] = [
  { object: 'host', program: 'from_uplink', enters: true },
  { object: 'host', program: 'to_uplink', enters: false },
  { object: 'frontend', program: 'from_uplink', enters: true },
  { object: 'frontend', program: 'to_uplink', enters: false },
  { object: 'frontend', program: 'from_tunnel', enters: true },
  { object: 'overlay', program: 'from_overlay', enters: true },
  { object: 'overlay', program: 'to_overlay', enters: false },
  { object: 'wireguard', program: 'from_wireguard', enters: true },
  { object: 'wireguard', program: 'to_wireguard', enters: false },
  { object: 'nat64', program: 'to_nat64', enters: false },
  { object: 'announce', program: 'answer_for', enters: true },
  { object: 'announce', program: 'tell_link', enters: false },
  { object: 'client', program: 'from_workload', enters: false },
  { object: 'accelerator', program: 'accelerate_uplink', enters: true, xdp: true },
  { object: 'accelerator', program: 'guard_uplink', enters: true, xdp: true },
  { object: 'balancer', program: 'prefilter_uplink', enters: true, xdp: true },
];

export interface OtherResult {
  readonly seed: number;
  /** By the number that the program returned; -1 (TC_ACT_UNSPEC) is a frame that the kernel's test run refused, too. */
  readonly returned: Readonly<Record<number, number>>;
}

const { SERVICE_ROUTABLE } = weir_service_flags;
const BATCH = 20_000;
const FRESH = 1_000;

/** The random frames go to WEB or come from it: it is a service's address too, and the host's own where the host is guarded. */
const furnish = async (world: World, { object, xdp = false }: OtherProgram): Promise<void> => {
  if ((MAPS.uplinks.objects as readonly string[]).includes(object))
    uplinkOf({ low: 40_000, high: 60_000, guard: true, services: object === 'frontend', isEgress: true })(world);
  if (object === 'host') for (const address of [WEB.ip4, WEB.ip6]) world.managed(address, HOST.identity);
  const rules = [...FUZZ_RULES, ...FUZZ_RULES.map((rule) => ({ ...rule, id: rule.id + 10, egress: true }))];
  const own = { ...WEB, ifindex: weir_host_endpoint.HOST_IFINDEX, id: 9, identity: HOST.identity };
  await world.policy(own, rules, CLOSED);
  if (object === 'accelerator') {
    const vips = new Vips(world);
    await vips.reset();
    for (const [number, address] of [
      [1, PEER.ip4],
      [2, PEER.ip6],
    ] as const) {
      vips.backend(number, address);
      vips.way(number, address, { own: WEB.mac });
    }
    for (const [at, address] of [WEB.ip4, WEB.ip6].entries())
      await vips.frontend(
        { number: at + 1, address, port: 80, protocol: 6 },
        Array.from({ length: 251 }, () => [at + 1, 0]),
      );
  }
  if (!xdp && (object === 'frontend' || object === 'client')) {
    world.services.settings(1n);
    for (const [at, address] of [DB.ip4, DB.ip6].entries()) world.services.backend(at + 1, address, 80);
    const asked = object === 'frontend' ? WEB : WORLD;
    for (const [at, address] of [asked.ip4, asked.ip6].entries())
      world.services.frontend({ number: at + 1, address, port: 80, active: [at + 1], flags: SERVICE_ROUTABLE });
  }
};

/** Throws an AssertionError that names seed and frame at the first verdict that is none. */
export const fuzzOther = async (which: OtherProgram, packets: number, seed?: number): Promise<OtherResult> => {
  const { object, program, enters, xdp = false } = which;
  const world = await World.open({}, 65_536, 1 << 16, [object], 65_536);
  const random = createRandom(seed);
  const ctx = xdp ? undefined : skbContext({ ifindex: WEB.ifindex, ingressIfindex: enters ? UPLINK : WEB.ifindex });
  const memory = Buffer.alloc(BATCH * 512 + LONGEST_FRAME);
  const known: readonly number[] = Object.values(xdp ? XDP : ACTION);
  const returned: Record<number, number> = {};
  try {
    await furnish(world, which);
    for (let done = 0; done < packets; ) {
      const count = Math.min(BATCH, packets - done);
      const ends = new Uint32Array(count);
      const fresh = Array.from({ length: Math.min(FRESH, count) }, () => generateFrame(!enters, random));
      let [end, made] = [0, 0];
      for (; made < count && end + LONGEST_FRAME <= memory.length; made++) {
        end = mutateInto(memory, end, fresh[made % fresh.length] as Buffer, random);
        ends[made] = end;
      }
      const data = memory.subarray(0, end);
      const actions = await world.program(program).testRuns(data, ends.subarray(0, made), ctx);
      for (const [at, action] of actions.slice(0, made).entries()) {
        returned[action] = (returned[action] ?? 0) + 1;
        if (known.includes(action) || action === TEST_RUN_REFUSED) continue;
        const frame = data.subarray(at === 0 ? 0 : ends[at - 1], ends[at]);
        assert.fail(`${program} of ${object} returned ${action}; seed ${random.seed}: ${frame.toString('hex')}`);
      }
      done += made;
      for (const map of ['conntrack', 'fragments']) await world.clear(map);
    }
  } finally {
    world.close();
  }
  return { seed: random.seed, returned };
};
