// SPDX-License-Identifier: Apache-2.0
/**
 * The tunnel device with its two programs: VXLAN packets made byte by byte are sent to it over UDP, and what the host
 * sends into it is read from a socket. A test run has no tunnel headers, so this takes a real device.
 */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { attachTc, createNetns, deleteNetns, openNetlink, setSysctl, type TcAttachment } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { weir_drop_reason as DROP, weir_identity, weir_tunnel_flags, weir_workload_flags } from '../gen/index.ts';
import { choose, clearEgress, gateway, select } from './lib/egress.ts';
import { FlowReader } from './lib/flows.ts';
import { Namespaces } from './lib/namespaces.ts';
import { ethernet, ip4, ip4Fragments, ip6, type Packet } from './lib/packet.ts';
import { icmp, type Segment, tcp, udp } from './lib/transport.ts';
import { CLOSED, OPEN, PEER, WORLD } from './lib/world.ts';

const HOST_NETNS = `/run/netns/wt${process.pid}host`;
const PEER_NETNS = `/run/netns/wt${process.pid}peer`;
const PORT = 8472;
/** Of this host, of the one whose tunnel it knows, of a stranger beside that. */
const UNDERLAY = { own: '198.51.100.1', peer: '198.51.100.2', stranger: '198.51.100.3' } as const;
const UNDERLAY6 = { own: 'fd18::1', peer: 'fd18::2', stranger: 'fd18::3' } as const;
const PEER_HOST = 5;
const { IDENTITY_HEALTH, IDENTITY_REMOTE_NODE, IDENTITY_WORLD } = weir_identity;

/** A datagram for each line `from to hex`, answered when it is sent. */
const SENDER = `
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [from, to, hex] = line.split(' ');
  const socket = require('node:dgram').createSocket(from.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, from, () => socket.send(Buffer.from(hex, 'hex'), ${PORT}, to, () => {
    socket.close();
    process.stdout.write('sent');
  }));
});
`;

const vxlan = (vni: number, frame: Buffer): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = 8;
  header.writeUInt32BE(vni * 256, 4);
  return Buffer.concat([header, frame]);
};

/** What workload `a` takes. */
const RULES = [
  { identity: PEER.identity, protocol: 17, port: 53, id: 1 },
  { identity: 4000, protocol: 17, port: 53, id: 2 },
  { identity: IDENTITY_REMOTE_NODE, protocol: 17, port: 53, id: 3 },
];

describe('the tunnel device', { skip: needKernel() }, () => {
  let net: Namespaces;
  let reader: FlowReader;
  let device: number;
  let sender: ChildProcessWithoutNullStreams;
  const links: TcAttachment[] = [];

  before(async () => {
    net = await Namespaces.create({ others: ['overlay'] });
    reader = new FlowReader(net.world);
    const host = openNetlink(HOST_NETNS);
    await createNetns(PEER_NETNS);
    const uplink = await host.addVeth({ name: 'uplink', peer: 'eth0', peerNetns: PEER_NETNS });
    const peer = openNetlink(PEER_NETNS);
    const eth0 = (await peer.linkByName('eth0'))?.ifindex as number;
    for (const { own, peer: other, stranger } of [UNDERLAY, UNDERLAY6]) {
      const bits = own.includes(':') ? 64 : 24;
      await host.addAddress(uplink.ifindex, `${own}/${bits}`, { nodad: true });
      for (const address of [other, stranger]) await peer.addAddress(eth0, `${address}/${bits}`, { nodad: true });
    }
    await host.setUp(uplink.ifindex);
    await peer.setUp(eth0);
    peer.close();
    sender = spawn('nsenter', [`--net=${PEER_NETNS}`, process.execPath, '-e', SENDER]);
    net.world.workload(net.b, OPEN);
    device = (await host.addVxlan({ name: 'weir_tunnel', port: PORT, sourceLow: 0, sourceHigh: 0 })).ifindex;
    for (const [key, value] of [
      ['addr_gen_mode', '1'],
      ['router_solicitations', '0'],
    ] as const)
      await setSysctl(HOST_NETNS, `net/ipv6/conf/weir_tunnel/${key}`, value);
    const where = { netns: HOST_NETNS };
    links.push(await attachTc(net.world.program('from_overlay'), device, 'ingress', where));
    links.push(await attachTc(net.world.program('to_overlay'), device, 'egress', where));
    await host.setUp(device);
    host.close();
    const flags = weir_tunnel_flags.TUNNEL_SEND | weir_tunnel_flags.TUNNEL_ONLY;
    net.world.tunnel(PEER_HOST, { remote: UNDERLAY.peer, local: UNDERLAY.own, flags, ifindex: device });
    for (const address of [PEER.ip4, PEER.ip6]) net.world.managed(address, PEER.identity, PEER_HOST);
    net.world.managed(UNDERLAY.peer, IDENTITY_REMOTE_NODE, PEER_HOST);
    // a pool: who has an address of it is not known yet
    net.world.managed('10.3.0.0/24', 0, PEER_HOST);
    for (const identity of [PEER.identity, 4000]) net.world.identityExists(identity);
  });
  after(async () => {
    sender?.stdin.end();
    for (const link of links) await link.detach();
    await net?.destroy();
    await deleteNetns(PEER_NETNS);
  });

  beforeEach(async () => {
    await net.world.clear('conntrack');
    await net.world.policy(net.a, RULES);
    await reader.drain();
  });

  const send = async (from: string, vni: number, packet: Packet): Promise<void> => {
    const frame = ethernet({ from: '02:00:00:00:00:77', to: net.a.hostMac }, packet);
    const to = from.includes(':') ? UNDERLAY6.own : UNDERLAY.own;
    const sent = once(sender.stdout, 'data');
    sender.stdin.write(`${from} ${to} ${vxlan(vni, frame).toString('hex')}\n`);
    await sent;
  };
  const dns = udp({ sport: 1000, dport: 53, data: 'question' });
  const to4 = (src: string, segment: Segment = dns): Packet => ip4({ src, dst: net.a.ip4 }, segment);
  /** What came out of the tunnel; the workload's own answers aside. */
  const arrived = async () =>
    (await reader.drain()).filter(({ direction, why }) => direction === 'ingress' && why !== 'related');
  /** Reasons for which packets were dropped meanwhile. */
  const dropped = async (work: () => Promise<void>): Promise<number[]> => {
    const earlier = await net.world.drops();
    await work();
    return [...(await net.world.drops())].filter(([reason, n]) => n !== earlier.get(reason)).map(([reason]) => reason);
  };

  test('the VNI is the identity that policy judges, and the flow names', async () => {
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(PEER.ip4))), []);
    const [flow, ...more] = await arrived();
    assert.deepEqual(more, []);
    assert.equal(flow?.sourceIdentity, PEER.identity);
    assert.equal(flow?.destinationIdentity, net.a.identity);
    assert.equal(flow?.rule, 1);
    assert.deepEqual(
      await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(PEER.ip4, udp({ sport: 1, dport: 54 })))),
      [DROP.DROP_POLICY_DENIED],
    );
  });

  test('IPv6 inside, and an IPv6 underlay', async () => {
    const inside = ip6({ src: PEER.ip6, dst: net.a.ip6 }, dns);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, inside)), []);
    assert.equal((await arrived()).length, 1);
    const flags = weir_tunnel_flags.TUNNEL_SEND;
    net.world.tunnel(PEER_HOST, { remote: UNDERLAY6.peer, local: UNDERLAY6.own, flags, ifindex: device });
    try {
      assert.deepEqual(await dropped(() => send(UNDERLAY6.peer, PEER.identity, inside)), []);
      assert.deepEqual(await dropped(() => send(UNDERLAY6.peer, PEER.identity, to4(PEER.ip4))), []);
      assert.deepEqual(await dropped(() => send(UNDERLAY6.stranger, PEER.identity, to4(PEER.ip4))), [
        DROP.DROP_UNKNOWN_SENDER,
      ]);
    } finally {
      net.world.tunnel(PEER_HOST, { remote: UNDERLAY.peer, local: UNDERLAY.own, flags, ifindex: device });
    }
  });

  test('an identity that is not known of the address yet is believed of the host that owns the address', async () => {
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, 4000, to4('10.3.0.9'))), []);
    const [flow] = await arrived();
    assert.deepEqual([flow?.sourceIdentity, flow?.rule], [4000, 2]);
    // the same connection under another number is judged as that one
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4('10.3.0.9'))), []);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, 4001, to4('10.3.0.9'))), [DROP.DROP_INVALID_IDENTITY]);
  });

  test('nobody but the owner of the source address', async () => {
    const unknown = [DROP.DROP_UNKNOWN_SENDER];
    assert.deepEqual(await dropped(() => send(UNDERLAY.stranger, PEER.identity, to4(PEER.ip4))), unknown);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4('192.0.2.1'))), unknown);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(net.b.ip4))), [
      DROP.DROP_INVALID_SOURCE_IP,
    ]);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(PEER.ip4))), []);
    assert.deepEqual(await dropped(() => send(UNDERLAY.stranger, PEER.identity, to4(PEER.ip4))), unknown);
  });

  test('nothing but what the fleet has given: reserved, local and free numbers are refused', async () => {
    const invalid = [DROP.DROP_INVALID_IDENTITY];
    for (const vni of [0, 1, 4, 5, 6, 255, 4001, 0xffffff])
      assert.deepEqual(await dropped(() => send(UNDERLAY.peer, vni, to4(PEER.ip4))), invalid, `VNI ${vni}`);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(UNDERLAY.peer))), invalid);
    // the world’s is what an egress gateway gives back, and nobody asked it for anything
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, IDENTITY_WORLD, to4(PEER.ip4))), [
      DROP.DROP_UNKNOWN_SENDER,
    ]);
  });

  test('a health endpoint is health, where this host knows that there are any', async () => {
    net.world.identityExists(IDENTITY_HEALTH);
    await net.world.policy(net.a, [...RULES, { identity: IDENTITY_HEALTH, protocol: 17, port: 53, id: 4 }]);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, IDENTITY_HEALTH, to4('10.3.0.1'))), []);
    const [flow] = await arrived();
    assert.deepEqual([flow?.sourceIdentity, flow?.rule], [IDENTITY_HEALTH, 4]);
    assert.deepEqual(await dropped(() => send(UNDERLAY.stranger, IDENTITY_HEALTH, to4('10.3.0.1'))), [
      DROP.DROP_UNKNOWN_SENDER,
    ]);
  });

  test('another host itself is remote-node', async () => {
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, IDENTITY_REMOTE_NODE, to4(UNDERLAY.peer))), []);
    const [flow] = await arrived();
    assert.deepEqual([flow?.sourceIdentity, flow?.rule], [IDENTITY_REMOTE_NODE, 3]);
  });

  test('later fragments go with the first, but only with one that was believed', async () => {
    const pieces = ip4Fragments(
      { src: PEER.ip4, dst: net.a.ip4, id: 77 },
      udp({ sport: 1, dport: 53, data: 'x'.repeat(80) }),
      [40],
    );
    const [first, later] = pieces as [Packet, Packet];
    assert.deepEqual(await dropped(() => send(UNDERLAY.stranger, PEER.identity, first)), [DROP.DROP_UNKNOWN_SENDER]);
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, later)), [DROP.DROP_FRAGMENT_NOT_FOUND]);
    for (const piece of pieces) assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, piece)), []);
  });

  test('an ICMP error about a connection is related, whoever on the other host sends it', async () => {
    await net.world.policy(net.a, [{ egress: true, identity: PEER.identity, protocol: 17, port: 53, id: 7 }]);
    await net.talk('a', { kind: 'udp', to: PEER.ip4, port: 53 });
    const [sent] = (await reader.drain()).filter(({ point }) => point === 'to-network');
    assert.ok(sent, 'it went into the tunnel');
    const sport = Number(sent.from.split(':')[1]);
    const quoted = ip4({ src: net.a.ip4, dst: PEER.ip4 }, udp({ sport, dport: 53 })).bytes.subarray(0, 28);
    const error = icmp({ type: 3, code: 3, data: quoted });
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(PEER.ip4, error))), []);
    assert.deepEqual(
      (await reader.drain()).map(({ why, rule }) => [why, rule]),
      [['related', 7]],
    );
    assert.deepEqual(
      await dropped(() => send(UNDERLAY.peer, PEER.identity, to4(PEER.ip4, tcp({ sport: 1, dport: 1 })))),
      [DROP.DROP_POLICY_DENIED],
    );
  });

  test('the world’s, by a gateway: for connections that left by it, and from no other host', async () => {
    const unknown = [DROP.DROP_UNKNOWN_SENDER];
    const answer = (dport: number): Packet => to4(WORLD.ip4, udp({ sport: 53, dport }));
    try {
      select(net.world, 7, [net.a.ip4], { '0.0.0.0/0': 3 });
      gateway(net.world, 1, 3, { host: PEER_HOST });
      choose(net.world, 3, 1);
      const flags = CLOSED | weir_workload_flags.WORKLOAD_EGRESS;
      await net.world.policy(net.a, [{ egress: true, protocol: 17, port: 53, id: 7 }], flags);
      assert.deepEqual(await dropped(() => send(UNDERLAY.peer, IDENTITY_WORLD, answer(1000))), unknown);
      await net.talk('a', { kind: 'udp', to: WORLD.ip4, port: 53 });
      const [sent] = (await reader.drain()).filter(({ point }) => point === 'to-network');
      assert.ok(sent, 'it went into the tunnel');
      const port = Number(sent.from.split(':')[1]);
      assert.deepEqual(await dropped(() => send(UNDERLAY.stranger, IDENTITY_WORLD, answer(port))), unknown);
      assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, answer(port))), unknown);
      assert.deepEqual(await dropped(() => send(UNDERLAY.peer, IDENTITY_WORLD, answer(port))), []);
      gateway(net.world, 2, 3, { ifindex: device, ip4: UNDERLAY.own });
      const left = (await net.world.connections()).filter(({ entry }) => entry.gateway === 1);
      assert.ok(left.length > 0);
      for (const { key, entry } of left) net.world.setConnection(key, { ...entry, gateway: 2 });
      assert.deepEqual(await dropped(() => send(UNDERLAY.peer, IDENTITY_WORLD, answer(port))), unknown);
    } finally {
      await clearEgress(net.world);
      net.world.workload(net.a, OPEN);
    }
  });

  test('to the world: by this host’s gateway or not at all', async () => {
    const toWorld = (src: string): Packet => ip4({ src, dst: WORLD.ip4 }, dns);
    const none = [DROP.DROP_NO_EGRESS_GATEWAY];
    const by = (src: string) => dropped(() => send(UNDERLAY.peer, PEER.identity, toWorld(src)));
    try {
      assert.deepEqual(await by(PEER.ip4), none);
      select(net.world, 7, [PEER.ip4], { '0.0.0.0/0': 3 });
      gateway(net.world, 1, 3, { host: PEER_HOST });
      choose(net.world, 3, 1);
      assert.deepEqual(await by(PEER.ip4), none, 'another host is the gateway');
      gateway(net.world, 2, 3, {});
      choose(net.world, 3, 1, 2);
      assert.deepEqual(await by(PEER.ip4), [DROP.DROP_NO_EGRESS_IP]);
      assert.deepEqual(await dropped(() => send(UNDERLAY.stranger, PEER.identity, toWorld(PEER.ip4))), [
        DROP.DROP_UNKNOWN_SENDER,
      ]);
    } finally {
      await clearEgress(net.world);
    }
  });

  test('what is no IP flow, and what the host sends to nobody', async () => {
    const lldp = { ethertype: 0x88cc, bytes: Buffer.alloc(46) };
    assert.deepEqual(await dropped(() => send(UNDERLAY.peer, PEER.identity, lldp)), [DROP.DROP_UNSUPPORTED_L3]);
    const host = openNetlink(HOST_NETNS);
    for (const dst of [`${PEER.ip4}/32`, '10.9.9.9/32'])
      await host.replaceRoute({ dst, ifindex: device, src: UNDERLAY.own });
    host.close();
    const sentTo = async (to: string): Promise<number[]> =>
      dropped(async () => {
        await net.talk('host', { kind: 'udp', to, port: 53 });
      });
    assert.deepEqual(await sentTo('10.9.9.9'), [DROP.DROP_NO_TUNNEL_ENDPOINT]);
    assert.deepEqual(await sentTo(PEER.ip4), []);
  });

  test('a frame without tunnel headers', async () => {
    const frame = ethernet({ from: '02:00:00:00:00:77', to: net.a.hostMac }, to4(PEER.ip4));
    const reasons = await dropped(async () => {
      const { retval } = await net.world.program('from_overlay').testRun({ data: frame });
      assert.equal(retval, 2);
    });
    assert.deepEqual(reasons, [DROP.DROP_NO_TUNNEL_KEY]);
  });
});
