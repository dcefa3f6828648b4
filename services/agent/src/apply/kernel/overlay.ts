// SPDX-License-Identifier: Apache-2.0
/** The tunnel device of the real kernel, its programs, and the maps `tunnels` and `identities`. */
import { tunnel as tunnelCodec, weir_tunnel_flags } from '@weir/bpf';
import type { BpfObject, Netlink, NetworkLink } from '@weir/loader';
import { formatIp, parseIp } from '@weir/net';
import { OVERLAY_NAME } from '../../plan/names.ts';
import type { OverlayDevice, Tunnel } from '../../plan/overlay.ts';
import type { Attachments, Overlay } from '../ports.ts';
import { withNetlink } from './netlink.ts';
import type { KernelNetwork } from './network.ts';
import { quietDevice } from './quiet-device.ts';

const { TUNNEL_SEND, TUNNEL_ONLY, TUNNEL_ENCRYPTED } = weir_tunnel_flags;
const NO_ADDRESS = Buffer.alloc(16);
const DEFAULT_UPLINK_MTU = 1500;

const u32 = (value: number): Buffer => {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32LE(value, 0);
  return out;
};

export interface KernelOverlayOptions {
  readonly hostNetns?: string;
  readonly network: KernelNetwork;
  /** Loads the programs; asked for once, when there is a device. */
  readonly openAttachments: () => Promise<Attachments>;
}

export const removeOverlayDevice = async (socket: Netlink): Promise<boolean> => {
  const link = await socket.linkByName(OVERLAY_NAME);
  if (link) await socket.deleteLink(link.ifindex);
  return link !== undefined;
};

export const kernelOverlay = (object: BpfObject, options: KernelOverlayOptions): Overlay => {
  const { hostNetns, network, openAttachments } = options;
  let opened: Promise<Attachments> | undefined;
  const attachmentsOf = (): Promise<Attachments> => {
    opened ??= openAttachments().catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const tunnels = object.map('tunnels');
  const identities = object.map('identities');
  const withSocket = <T>(work: (socket: Netlink) => Promise<T>): Promise<T> => withNetlink(hostNetns, work);

  let wanted: OverlayDevice | undefined;
  let ifindex = 0;
  /** The programs on the device are an earlier agent's. */
  let isBehind = false;

  const isAsWanted = (link: NetworkLink, { port, sourceLow, sourceHigh }: OverlayDevice): boolean =>
    link.vxlan?.port === port &&
    (sourceHigh === 0 || (link.vxlan.sourceLow === sourceLow && link.vxlan.sourceHigh === sourceHigh));

  const makeDevice = async (socket: Netlink, device: OverlayDevice, mtu: number): Promise<NetworkLink> => {
    const link = await socket.addVxlan({ name: OVERLAY_NAME, ...device, mtu });
    await quietDevice(hostNetns, OVERLAY_NAME);
    return link;
  };

  return {
    read: () =>
      withSocket(async (socket) => {
        const link = await socket.linkByName(OVERLAY_NAME);
        ifindex = link?.ifindex ?? 0;
        const found = new Map<number, Tunnel>();
        const all = await tunnels.lookupAll();
        for (let i = 0; i < all.count; i++) {
          const at = i * tunnelCodec.size;
          const bound = tunnelCodec.read.ifindex(all.values, at);
          // Of a device that is gone it means nothing, and is written again with the next. Without one: encrypted directly.
          if (bound !== 0 && bound !== ifindex) continue;
          const { remote, local, flags } = tunnelCodec.decode(all.values, at);
          if (NO_ADDRESS.equals(remote)) continue;
          found.set(all.keys.readUInt32LE(i * 4), {
            remote: formatIp(remote),
            local: formatIp(local),
            send: (flags & TUNNEL_SEND) !== 0,
            only: (flags & TUNNEL_ONLY) !== 0,
            encrypted: (flags & TUNNEL_ENCRYPTED) !== 0,
          });
        }
        if (!link) return { tunnels: found, identities: new Set(), hasDevice: false };
        const known = await identities.lookupAll();
        const numbers = Array.from({ length: known.count }, (_, i) => known.keys.readUInt32LE(i * 4));
        return { tunnels: found, identities: new Set(numbers), hasDevice: true };
      }),

    ensureDevice: (device, later = false) =>
      withSocket(async (socket) => {
        wanted = device;
        const attachments = await attachmentsOf();
        const mtu = ((await network.uplinkMtu()) ?? DEFAULT_UPLINK_MTU) - device.overheadBytes;
        let link = await socket.linkByName(OVERLAY_NAME);
        if (link && !isAsWanted(link, device)) {
          await socket.deleteLink(link.ifindex);
          await attachments.release(OVERLAY_NAME);
          link = undefined;
        }
        const made = link === undefined;
        link ??= await makeDevice(socket, device, mtu);
        const renewed = made || link.ifindex !== ifindex;
        ifindex = link.ifindex;
        if (link.mtu !== mtu) await socket.setMtu(ifindex, mtu);
        isBehind = later && !made && (await attachments.guarded(OVERLAY_NAME, ifindex));
        // Before it is up, so that nothing is taken unjudged.
        if (!isBehind && (made || (await attachments.check(OVERLAY_NAME, ifindex)).length > 0)) {
          if (made) await attachments.release(OVERLAY_NAME);
          await attachments.attach(OVERLAY_NAME, ifindex);
        }
        if (!link.up) await socket.setUp(ifindex);
        network.overlayIfindex = ifindex;
        return renewed;
      }),

    takeOver: async () => {
      if (!isBehind) return;
      isBehind = false;
      await (await attachmentsOf()).attach(OVERLAY_NAME, ifindex);
    },

    removeDevice: () =>
      withSocket(async (socket) => {
        wanted = undefined;
        isBehind = false;
        ifindex = 0;
        network.overlayIfindex = 0;
        await removeOverlayDevice(socket);
        await (await attachmentsOf()).release(OVERLAY_NAME);
      }),

    writeTunnels: async (entries) => {
      for (const [number, { remote, local, send, only, encrypted }] of entries) {
        const flags = (send ? TUNNEL_SEND : 0) | (only ? TUNNEL_ONLY : 0) | (encrypted ? TUNNEL_ENCRYPTED : 0);
        tunnels.update(
          u32(number),
          tunnelCodec.encode({ remote: parseIp(remote), local: parseIp(local), flags, ifindex }),
        );
      }
    },
    removeTunnels: async (numbers) => {
      for (const number of numbers) tunnels.update(u32(number), Buffer.alloc(tunnelCodec.size));
    },
    addIdentities: async (numbers) => {
      await identities.updateBatch(Buffer.concat(numbers.map(u32)), Buffer.alloc(numbers.length * 4), numbers.length);
    },
    removeIdentities: async (numbers) => {
      await identities.deleteBatch(Buffer.concat(numbers.map(u32)), numbers.length);
    },

    fitMtu: (fit, wirings) => network.fitMtu(fit, wirings),

    check: () =>
      withSocket(async (socket) => {
        // Nobody has said yet what it should be.
        if (!wanted) return [];
        const link = await socket.linkByName(OVERLAY_NAME);
        if (!link) return [`the tunnel device ${OVERLAY_NAME} was removed`];
        const problems: string[] = [];
        if (!isAsWanted(link, wanted)) problems.push(`${OVERLAY_NAME} is another device`);
        if (!link.up) problems.push(`${OVERLAY_NAME} was set down`);
        const mtu = ((await network.uplinkMtu()) ?? DEFAULT_UPLINK_MTU) - wanted.overheadBytes;
        if (link.mtu !== mtu) problems.push(`${OVERLAY_NAME} has MTU ${link.mtu} and not ${mtu}`);
        const missing = isBehind ? [] : await (await attachmentsOf()).check(OVERLAY_NAME, link.ifindex);
        return [...problems, ...missing.map((what) => `${OVERLAY_NAME}: ${what}`)];
      }),
  };
};
