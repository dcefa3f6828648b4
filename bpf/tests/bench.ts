// SPDX-License-Identifier: Apache-2.0
/**
 * What a packet costs in the programs, by path: `node bpf/tests/bench.ts` as root. Each figure is the fastest of many
 * short runs, which a busy machine disturbs least. One flow only, so caches are warm: figures compare paths, not
 * machines. The floor is what the test run itself costs.
 */
import { ct_entry, ct_key, weir_workload_flags } from '../gen/index.ts';
import { FlowReader } from './lib/flows.ts';
import { ethernet, ip4, ip6, type Packet } from './lib/packet.ts';
import { TCP } from './lib/service-tables.ts';
import { type Segment, tcp, udp } from './lib/transport.ts';
import { CLOSED, DB, PEER, type Rule, UPLINK, WEB, World } from './lib/world.ts';

const ROUNDS = Number(process.env.WEIR_BENCH_ROUNDS ?? 100);
const REPEAT = 10_000;
/** A packet handed over loses a hop each time and is not restored. */
const HOPS = 250;
/** An event each must find room in the ring buffer (1 MiB, 128 bytes each). */
const ROOM = 8_000;

const SWEPT = 500_000;
const MOST_ROUNDS = 20_000;

type Program = 'from_workload' | 'to_workload';

const fastest = async (world: World, program: Program, frame: Buffer, repeat: number): Promise<number> => {
  const ingressIfindex = program === 'from_workload' ? WEB.ifindex : UPLINK;
  const reader = new FlowReader(world);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < Math.min((ROUNDS * REPEAT) / repeat, MOST_ROUNDS); round++) {
    const { durationNs } = await world.run(program, frame, { ingressIfindex }, repeat);
    best = Math.min(best, durationNs);
    if (repeat === ROOM) await reader.drain();
  }
  return best;
};

const sent = (packet: Packet): Buffer => ethernet({ from: WEB.mac, to: WEB.hostMac }, packet);
const received = (packet: Packet): Buffer => ethernet({ from: WEB.hostMac, to: WEB.mac }, packet);
const out4 = (segment: Segment, dst: string = PEER.ip4) => sent(ip4({ src: WEB.ip4, dst, ttl: 255 }, segment));

/** 3,000 rules, none of which the measured connections need to be allowed by. */
const RULES: readonly Rule[] = Array.from({ length: 1000 }, (_, at) => [
  { egress: true, identity: 5000 + at, protocol: 6, port: 80, id: at + 1 },
  { egress: true, identity: PEER.identity, protocol: 17, port: at + 1, id: at + 1 },
  { identity: WEB.identity, protocol: 17, port: at + 1, id: at + 1 },
]).flat();

const rows: [string, number][] = [];
const measure = async (name: string, world: World, program: Program, frame: Buffer, repeat = REPEAT): Promise<void> => {
  rows.push([name, await fastest(world, program, frame, repeat)]);
};

const established = async (world: World): Promise<void> => {
  const allowed: readonly Rule[] = [
    ...RULES,
    { egress: true, identity: PEER.identity, protocol: 6, port: 80, id: 9 },
    { egress: true, identity: DB.identity, id: 10 },
  ];
  await world.policy(WEB, allowed);
  await world.run('from_workload', out4(tcp({ sport: 1000, dport: 80, flags: 'S' })));
  const ack = tcp({ sport: 1000, dport: 80, flags: 'A' });
  const ackBack = tcp({ sport: 80, dport: 1000, flags: 'A' });
  await measure('established IPv4, sent', world, 'from_workload', out4(ack));
  await measure(
    'established IPv4, received',
    world,
    'to_workload',
    received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, ackBack)),
  );
  await measure('established IPv6, sent', world, 'from_workload', sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, ack)));
  // the MACs are not restored either
  await world.policy(WEB, allowed, CLOSED | weir_workload_flags.WORKLOAD_NO_SOURCE_CHECK);
  const local = out4(udp({ sport: 1, dport: 2 }), DB.ip4);
  await measure('established IPv4, both ends on this host', world, 'from_workload', local, HOPS);
};

const refused = async (world: World): Promise<void> => {
  await world.policy(WEB, RULES);
  const unknown = ethernet({ from: WEB.mac, to: WEB.hostMac }, { ethertype: 0x88cc, bytes: Buffer.alloc(46) });
  await measure('refused for its ethertype (next to nothing)', world, 'from_workload', unknown);
  await measure('refused by policy, with event', world, 'from_workload', out4(udp({ sport: 1, dport: 2000 })), ROOM);
};

const VIP = '203.0.113.80';

/** On a host that has services: who asks for none, and who asks for one by packets that no socket was asked about. */
const withServices = async (): Promise<void> => {
  const world = await World.open({ events_per_second: 0 }, 4096, 1 << 20, ['client']);
  world.map('asked_turns').updateInner(Buffer.alloc(4), world.map('service_turns'));
  const { services } = world;
  services.settings(0n);
  services.backend(1, PEER.ip4, 8080);
  services.frontend({ number: 1, address: VIP, port: 80, protocol: TCP, active: [1] });
  await world.policy(WEB, [...RULES, { egress: true, identity: PEER.identity, protocol: TCP, id: 9 }]);
  for (const dst of [PEER.ip4, VIP])
    await world.run('from_workload', out4(tcp({ sport: 1000, dport: 80, flags: 'S' }), dst));
  const ack = tcp({ sport: 1000, dport: 80, flags: 'A' });
  const back = received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 8080, dport: 1000, flags: 'A' })));
  await measure('with services: established, sent', world, 'from_workload', out4(ack));
  // a test run does not put the packet back: each run is a packet to the service
  await measure('with services: established to one, sent', world, 'from_workload', out4(ack, VIP), 1);
  await measure('with services: established to one, answered', world, 'to_workload', back, 1);
  await measure('  the same number of runs, to no service', world, 'from_workload', out4(ack), 1);
  world.close();
  const fresh = await World.open({ other_ns: 0n, report_flows: 0, events_per_second: 0 }, 4096, 1 << 20, ['client']);
  await fresh.policy(WEB, RULES);
  const first = out4(udp({ sport: 1, dport: 53 }));
  await measure('with services: new connection, 3,000 rules', fresh, 'from_workload', first, ROOM);
  fresh.close();
};

/** One walk over a full table of quiet connections, per entry. */
const sweep = async (): Promise<void> => {
  const world = await World.open({}, SWEPT);
  const [model] = await openOne(world);
  if (!model) throw new Error('no connection was made');
  const keys = Buffer.alloc(SWEPT * ct_key.size);
  const values = Buffer.alloc(SWEPT * ct_entry.size);
  for (let at = 0; at < SWEPT; at++) {
    const remote = Buffer.from(model.key.remote);
    remote.writeUInt32BE(at, 12);
    ct_key.encode({ ...model.key, remote }, keys, at * ct_key.size);
    ct_entry.encode(model.entry, values, at * ct_entry.size);
  }
  await world.map('conntrack').updateBatch(keys, values, SWEPT);
  let best = Number.POSITIVE_INFINITY;
  let entries = 0n;
  for (let round = 0; round < 10; round++) {
    const before = process.hrtime.bigint();
    ({ entries } = await world.sweep());
    best = Math.min(best, Number(process.hrtime.bigint() - before));
  }
  rows.push([`sweep, ${entries} quiet connections, each`, Math.round(best / Number(entries))]);
  world.close();
};

const openOne = async (world: World) => {
  await world.run('from_workload', out4(udp({ sport: 1, dport: 53 })));
  return world.connections();
};

const main = async (): Promise<void> => {
  const world = await World.open({ events_per_second: 0 });
  await established(world);
  await refused(world);
  world.close();
  // every packet finds its connection expired: judged, made and (second row) reported anew
  for (const report_flows of [0, 1]) {
    const fresh = await World.open({ other_ns: 0n, report_flows, events_per_second: 0 });
    await fresh.policy(WEB, RULES);
    const name = `new connection, 3,000 rules, ${report_flows ? 'with' : 'without'} event`;
    await measure(name, fresh, 'from_workload', out4(udp({ sport: 1, dport: 53 })), ROOM);
    fresh.close();
  }
  await withServices();
  await sweep();
  for (const [name, ns] of rows) console.log(`${name.padEnd(48)} ${ns} ns`);
};

await main();
