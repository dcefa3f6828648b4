// SPDX-License-Identifier: Apache-2.0
/**
 * The WireGuard device of the real kernel, its peers, and what leads packets to it. Only what differs is written, peer by
 * peer, so that the sessions of the others stay; what is there was read from the kernel, not remembered from before.
 *
 *   prepare   device, key, peers that are wanted: others are heard before anything is sent to them
 *   finish    routes and rules; then peers that nobody wants any more, and the device with the last of them
 */
import { weir_marks } from '@weir/bpf';
import {
  isErrno,
  type Netlink,
  openNetlink,
  openWireguard,
  type Wireguard,
  type WireguardDevice,
  type WireguardPeer,
  type WireguardPeerChange,
} from '@weir/loader';
import type { EncryptionFacts, EncryptionPeer, EncryptionPlan } from '../../plan/encryption.ts';
import { WIREGUARD_NAME } from '../../plan/names.ts';
import type { WireguardKey } from '../../wireguard-key.ts';
import type { Attachments, Encryption } from '../ports.ts';
import { loosenSourceChecks } from './encryption-settings.ts';
import { EncryptionWays, removeRules } from './encryption-ways.ts';
import type { KernelNetwork } from './network.ts';
import { quietDevice } from './quiet-device.ts';

const DEFAULT_UPLINK_MTU = 1500;
/** Between questions to a peer that has not answered; WireGuard itself asks again every 5 s. */
const ASK_S = 5;

export interface KernelEncryptionOptions {
  readonly hostNetns?: string;
  readonly uplink?: string;
  readonly network: KernelNetwork;
  /** Asked when a device is wanted; undefined: this host is not to have one. */
  readonly key: (() => Promise<WireguardKey>) | undefined;
  /** Loads the program; asked for once, when there is a device. */
  readonly openAttachments: () => Promise<Attachments>;
}

const NOT_SUPPORTED =
  'this kernel has no WireGuard, so this host encrypts nothing; install the module wireguard of its kernel package, or take the host out by wireguard.opt_out_labels';

/** Says whether there was one. Its routes go with it. */
export const removeWireguard = async (socket: Netlink): Promise<boolean> => {
  await removeRules(socket);
  const link = await socket.linkByName(WIREGUARD_NAME);
  if (link?.kind !== 'wireguard') return false;
  await socket.deleteLink(link.ifindex);
  return true;
};

/** What must be written so that the peer is as wanted; undefined: nothing. */
export const peerChange = (
  publicKey: string,
  { endpoint, allowed, isAsked }: EncryptionPeer,
  there: WireguardPeer | undefined,
): WireguardPeerChange | undefined => {
  const keepaliveS = isAsked ? ASK_S : 0;
  if (!there) return { publicKey, endpoint, allowed, keepaliveS };
  const added = allowed.filter((cidr) => !there.allowed.includes(cidr));
  const isReplaced = there.allowed.some((cidr) => !allowed.includes(cidr));
  const isElsewhere = there.endpoint?.ip !== endpoint.ip || there.endpoint.port !== endpoint.port;
  const change: WireguardPeerChange = {
    publicKey,
    ...(isElsewhere ? { endpoint } : {}),
    ...(there.keepaliveS === keepaliveS ? {} : { keepaliveS }),
    ...(isReplaced ? { allowed, replaceAllowed: true } : added.length > 0 ? { allowed: added } : {}),
  };
  return Object.keys(change).length > 1 ? change : undefined;
};

export const kernelEncryption = (options: KernelEncryptionOptions): Encryption => {
  const { hostNetns, network, openAttachments } = options;
  const ways = new EncryptionWays();
  let attachments: Promise<Attachments> | undefined;
  const attachmentsOf = (): Promise<Attachments> => {
    attachments ??= openAttachments().catch((error) => {
      attachments = undefined;
      throw error;
    });
    return attachments;
  };
  /** As last read, with what was written since; undefined: it is to be read. */
  let device: WireguardDevice | undefined;
  let ifindex = 0;
  let publicKey = '';
  let mtu = 0;
  let isAsking = false;
  const answered = new Set<string>();
  /** One may have been left by an earlier agent, and what goes encrypted must not go otherwise because of this one. */
  let mayExist = true;
  let wasLeft: boolean | undefined;
  /** Where each peer was last said to be. Where it was heard from since, which WireGuard follows by itself, is left. */
  const told = new Map<string, EncryptionPeer['endpoint']>();

  const withSockets = async <T>(work: (socket: Netlink, wireguard: Wireguard) => Promise<T>): Promise<T> => {
    const socket = openNetlink(hostNetns);
    const wireguard = openWireguard(hostNetns);
    try {
      return await work(socket, wireguard);
    } finally {
      socket.close();
      wireguard.close();
    }
  };

  const doubt = (): void => {
    device = undefined;
    ways.doubt();
  };

  const read = async (wireguard: Wireguard): Promise<WireguardDevice | undefined> => {
    device = await wireguard.device(WIREGUARD_NAME);
    answered.clear();
    for (const { publicKey: key, handshakeMs } of device?.peers.values() ?? []) if (handshakeMs > 0) answered.add(key);
    return device;
  };

  const ensureLink = async (socket: Netlink): Promise<boolean> => {
    const link = await socket.linkByName(WIREGUARD_NAME);
    if (link && link.kind !== 'wireguard')
      throw new Error(`an interface ${WIREGUARD_NAME} is there that is none of WireGuard's; remove it`);
    const { ifindex: index } = link ?? (await socket.addWireguard(WIREGUARD_NAME, mtu));
    mayExist = true;
    if (!link) await quietDevice(hostNetns, WIREGUARD_NAME);
    if (link && link.mtu !== mtu) await socket.setMtu(index, mtu);
    if (index !== ifindex) doubt();
    ifindex = index;
    const links = await attachmentsOf();
    if (!link) await links.release(WIREGUARD_NAME);
    // Before it is up: what comes out of it is marked from the first packet on.
    if (!link || (await links.check(WIREGUARD_NAME, index)).length > 0) await links.attach(WIREGUARD_NAME, index);
    return link?.up ?? false;
  };

  const prepare = async (plan: EncryptionPlan, makeKey: () => Promise<WireguardKey>): Promise<void> =>
    withSockets(async (socket, wireguard) => {
      mtu = ((await network.uplinkMtu()) ?? DEFAULT_UPLINK_MTU) - plan.overheadBytes;
      const isUp = await ensureLink(socket);
      const key = await makeKey();
      const there = device ?? (await read(wireguard));
      const port = plan.device?.port ?? 0;
      const settings = {
        ...(there?.publicKey === key.publicKey ? {} : { privateKey: key.privateKey }),
        ...(there?.port === port ? {} : { port }),
        ...(there?.mark === weir_marks.MARK_WIREGUARD ? {} : { mark: weir_marks.MARK_WIREGUARD }),
      };
      if (Object.keys(settings).length > 0) await wireguard.set(WIREGUARD_NAME, settings);
      const changes = [...plan.peers].flatMap(([peer, wanted]) => {
        const found = there?.peers.get(peer);
        const endpoint = told.get(peer) ?? found?.endpoint;
        const change = peerChange(peer, wanted, found && { ...found, endpoint });
        return change ? [change] : [];
      });
      if (changes.length > 0) await wireguard.setPeers(WIREGUARD_NAME, changes);
      if (!isUp) {
        await loosenSourceChecks(hostNetns, options.uplink);
        await socket.setUp(ifindex);
      }
      if (changes.length + Object.keys(settings).length > 0) await read(wireguard);
      told.clear();
      for (const [peer, { endpoint }] of plan.peers) told.set(peer, endpoint);
      publicKey = key.publicKey;
      isAsking = [...plan.peers.values()].some(({ isAsked }) => isAsked);
    });

  const removeDevice = async (): Promise<void> => {
    if (!mayExist) return;
    if (await withSockets((socket) => removeWireguard(socket))) await (await attachmentsOf()).release(WIREGUARD_NAME);
    doubt();
    answered.clear();
    told.clear();
    ifindex = 0;
    publicKey = '';
    wasLeft = false;
    isAsking = false;
    mayExist = false;
  };

  return {
    get publicKey() {
      return publicKey;
    },
    facts: async (): Promise<EncryptionFacts> => {
      if (wasLeft === undefined || isAsking) {
        const found = await withSockets((_, wireguard) => read(wireguard));
        wasLeft ??= found !== undefined && found.publicKey !== '';
      }
      return { isUp: publicKey !== '' || wasLeft, answered: new Set(answered) };
    },
    prepare: async (plan) => {
      if (!plan.device) return [];
      if (!options.key) return ['no folder is set in which this host could keep its key: nothing is encrypted'];
      try {
        await prepare(plan, options.key);
        return [];
      } catch (error) {
        doubt();
        publicKey = '';
        wasLeft = false;
        if (isErrno(error, 'EOPNOTSUPP', 'ENOTSUP')) return [NOT_SUPPORTED];
        return [`what encrypts between hosts could not be made what it should be: ${(error as Error).message}`];
      }
    },
    finish: async (plan, pools) => {
      try {
        if (!plan.device) {
          await removeDevice();
          return [];
        }
        if (publicKey === '') return [];
        await withSockets(async (socket, wireguard) => {
          await ways.sync(socket, ifindex, plan, pools);
          const gone = [...((device ?? (await read(wireguard)))?.peers.keys() ?? [])].filter(
            (key) => !plan.peers.has(key),
          );
          if (gone.length === 0) return;
          await wireguard.setPeers(
            WIREGUARD_NAME,
            gone.map((key) => ({ publicKey: key, remove: true })),
          );
          await read(wireguard);
        });
        return [];
      } catch (error) {
        doubt();
        return [`the ways to what encrypts could not be made what they should be: ${(error as Error).message}`];
      }
    },
    doubt,
    inspect: async () => {
      if (publicKey === '') return [];
      const problems = await withSockets(async (socket, wireguard) => {
        const link = await socket.linkByName(WIREGUARD_NAME);
        if (!link) return [`the device ${WIREGUARD_NAME} was removed`];
        const before = device;
        const now = await read(wireguard);
        const missing = [...(before?.peers.keys() ?? [])].filter((key) => !now?.peers.has(key));
        return [
          ...(link.up ? [] : [`${WIREGUARD_NAME} was set down`]),
          ...(link.mtu === mtu ? [] : [`${WIREGUARD_NAME} has MTU ${link.mtu} and not ${mtu}`]),
          ...(now?.publicKey === publicKey ? [] : [`${WIREGUARD_NAME} was given another key`]),
          ...(missing.length === 0 ? [] : [`${missing.length} peers of ${WIREGUARD_NAME} were removed`]),
          ...(await ways.missing(socket)),
          ...(await (await attachmentsOf()).check(WIREGUARD_NAME, link.ifindex)),
        ];
      });
      if (problems.length > 0) doubt();
      return problems;
    },
  };
};
