// SPDX-License-Identifier: Apache-2.0
/** What stands on the router: nothing, our programs with so many rules and prefixes, or nftables in four shapes. */
import { execFileSync } from 'node:child_process';
import type { workload_config } from '@weir/bpf';
import { CLOSED, type Rule, World } from '@weir/bpf/testing/world';
import { attachTc, type Ring, ringBuffer } from '@weir/loader';
import { CLIENT_IP, SERVER_IP, type Triple } from './triple.ts';

const TCP = 6;
const PORT = 7000;
/** As an agent runs it. */
const SWEEP_EVERY_MS = 1000;
const MAX_CONNTRACK = 65_536;
const SERVER_IDENTITY = 16_777_217;

const address = (i: number): string => `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

export interface Standing {
  remove(): Promise<void>;
}

/** `entries` rules and as many prefixes with an identity each; the one that allows is among them. */
export const standOurs = async (triple: Triple, entries: number, config: workload_config = {}): Promise<Standing> => {
  const world = await World.open(config, MAX_CONNTRACK);
  const who = {
    ifindex: triple.ifindex,
    id: 1,
    identity: 1001,
    ip4: CLIENT_IP,
    ip6: 'fd91::2',
    mac: triple.clientMac,
    hostMac: triple.routerMac,
  };
  world.local(CLIENT_IP, triple.ifindex);
  world.managed(CLIENT_IP, who.identity);
  world.cidr(`${SERVER_IP}/32`, SERVER_IDENTITY);
  const rules: Rule[] = [{ egress: true, identity: SERVER_IDENTITY, protocol: TCP, port: PORT, id: 1 }];
  for (let i = 1; i < entries; i++) {
    world.cidr(`${address(i)}/32`, SERVER_IDENTITY + i);
    rules.push({ egress: true, identity: SERVER_IDENTITY + i, protocol: TCP, port: PORT, id: 1 + i });
  }
  await world.policy(who, rules, CLOSED);
  const where = { netns: triple.router };
  const links = [
    await attachTc(world.object.program('from_workload'), triple.ifindex, 'ingress', where),
    await attachTc(world.object.program('to_workload'), triple.ifindex, 'egress', where),
  ];
  const ring: Ring = ringBuffer({ map: world.map('events'), flow: { boot: 1n, firstSeq: 1n }, onBatch: () => {} });
  let sweeping: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = sweeping.then(() => world.sweep());
  }, SWEEP_EVERY_MS);
  return {
    remove: async () => {
      clearInterval(timer);
      await sweeping;
      for (const link of links) await link.detach();
      await ring.stop();
      world.close();
    },
  };
};

export const standNft = (triple: Triple, rules: string): Standing => {
  const table = `table ip bench {
    ${rules.includes('@allowed') ? elements(rules) : ''}
    chain forward {
      type filter hook forward priority 0; policy drop;
      ct state established,related accept
      ${rules.replace(/^#.*\n/, '')}
    }
  }`;
  execFileSync('nsenter', [`--net=${triple.router}`, 'nft', '-f', '-'], { input: table });
  return { remove: async () => {} };
};

const allows = (ip: string): string => `ip daddr ${ip} tcp dport ${PORT} accept`;
const elements = (rules: string): string => {
  const count = Number(/^#(\d+)/.exec(rules)?.[1]);
  const all = Array.from({ length: count }, (_, i) => `${i === 0 ? SERVER_IP : address(i)} . ${PORT}`);
  return `set allowed { type ipv4_addr . inet_service; elements = { ${all.join(', ')} } }`;
};

/** Conntrack and one rule. */
export const NFT_CT = allows(SERVER_IP);
export const nftSet = (count: number): string => `#${count}\nip daddr . tcp dport @allowed accept`;
/** The rule that allows comes last. */
export const nftLinear = (count: number): string =>
  [...Array.from({ length: count - 1 }, (_, i) => allows(address(1 + i))), allows(SERVER_IP)].join('\n');
