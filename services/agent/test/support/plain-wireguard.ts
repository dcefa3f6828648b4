// SPDX-License-Identifier: Apache-2.0
/**
 * Two hosts with a workload each, joined by WireGuard as somebody sets it up by hand: a device with one peer, routes, nothing
 * judged. What ours is compared with, so the hosts are joined as ours are (joined-hosts.ts): every packet passes a bridge.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createNetns, deleteNetns, openNetlink, openWireguard, setSysctl } from '@weir/loader';
import { inside, netnsPath } from './joined-hosts.ts';

const PORT = 51_820;
/** As ours: an underlay of 1,500, less what WireGuard puts around a packet. */
const MTU = 1_440;
const MIDDLE = 'pbridge';

/** Namespaces are those of joined-hosts.ts' `inside`. */
export interface PlainEnd {
  readonly host: string;
  readonly workload: string;
  readonly ip4: string;
}

const endOf = (n: number): PlainEnd & { readonly underlay: string } => ({
  ...{ host: `p${n}`, workload: `pw${n}`, ip4: `10.8${n}.0.2`, underlay: `198.18.250.${n}` },
});
const ENDS = [endOf(1), endOf(2)] as const;

const keyPair = (): { readonly privateKey: Buffer; readonly publicKey: string } => {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d } = privateKey.export({ format: 'jwk' });
  const { x } = createPublicKey(createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))).export({
    format: 'jwk',
  });
  return {
    privateKey: Buffer.from(d as string, 'base64url'),
    publicKey: Buffer.from(x as string, 'base64url').toString('base64'),
  };
};

export interface PlainWireguard {
  readonly ends: readonly [PlainEnd, PlainEnd];
  destroy(): Promise<void>;
}

export const plainWireguard = async (): Promise<PlainWireguard> => {
  const names = [MIDDLE, ...ENDS.flatMap(({ host, workload }) => [host, workload])];
  const destroy = async (): Promise<void> => {
    for (const name of names) await deleteNetns(netnsPath(name));
  };
  try {
    for (const name of names) await createNetns(netnsPath(name));
    const middle = openNetlink(netnsPath(MIDDLE));
    const bridge = await middle.addBridge('br0');
    await middle.setUp(bridge.ifindex);
    for (const { host } of ENDS) {
      const port = await middle.addVeth({ name: host, peer: 'uplink0', peerNetns: netnsPath(host) });
      await middle.setMaster(port.ifindex, bridge.ifindex);
      await middle.setUp(port.ifindex);
    }
    middle.close();
    const keys = ENDS.map(keyPair);
    for (const [i, { host, workload, ip4, underlay }] of ENDS.entries()) {
      const peer = ENDS[1 - i] as (typeof ENDS)[number];
      const gateway = ip4.replace(/\.2$/, '.1');
      await setSysctl(netnsPath(host), 'net/ipv4/ip_forward', '1');
      inside(host, 'ip', 'addr', 'add', `${underlay}/24`, 'dev', 'uplink0');
      inside(host, 'ip', 'link', 'set', 'uplink0', 'up');
      const netlink = openNetlink(netnsPath(host));
      await netlink.addVeth({ name: 'w', peer: 'eth0', peerNetns: netnsPath(workload), mtu: MTU });
      await netlink.addWireguard('wg0', MTU);
      netlink.close();
      const wireguard = openWireguard(netnsPath(host));
      await wireguard.set('wg0', { privateKey: keys[i]?.privateKey as Buffer, port: PORT });
      await wireguard.setPeers('wg0', [
        {
          publicKey: keys[1 - i]?.publicKey as string,
          endpoint: { ip: peer.underlay, port: PORT },
          allowed: [`${peer.ip4}/32`],
        },
      ]);
      wireguard.close();
      inside(host, 'ip', 'addr', 'add', `${gateway}/24`, 'dev', 'w');
      inside(host, 'ip', 'link', 'set', 'w', 'up');
      inside(host, 'ip', 'link', 'set', 'wg0', 'up');
      inside(host, 'ip', 'route', 'add', `${peer.ip4}/32`, 'dev', 'wg0');
      inside(workload, 'ip', 'addr', 'add', `${ip4}/24`, 'dev', 'eth0');
      inside(workload, 'ip', 'link', 'set', 'eth0', 'up');
      inside(workload, 'ip', 'route', 'add', 'default', 'via', gateway);
    }
    return { ends: ENDS, destroy };
  } catch (error) {
    await destroy();
    throw error;
  }
};
