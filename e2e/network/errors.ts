// SPDX-License-Identifier: Apache-2.0
/** ICMP errors between hosts: what belongs to a connection passes, in both families, whatever way it came. */
import assert from 'node:assert/strict';
import type { Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { FAMILIES, type Family, PATIENT_MS } from './scene.ts';

/** Nobody listens there. */
const CLOSED = 9;

/** What a closed port says comes back to who knocked: by a reset, and by an ICMP error. */
export const closedPorts = async (from: Workload, to: Workload, families: readonly Family[] = FAMILIES) => {
  for (const family of families) {
    for (const protocol of ['tcp', 'udp'] as const) {
      const { outcome } = await from.probe({ protocol, host: to[family], port: CLOSED, timeoutMs: PATIENT_MS });
      assert.equal(outcome, 'ECONNREFUSED', `${protocol} ${family} ${from.id} -> ${to.id}`);
    }
  }
};

const pinged = (from: Workload, host: string, bytes: number): string => {
  try {
    return inNetns(from.netns, 'ping', '-n', '-c', '1', '-W', '5', '-M', 'do', '-s', String(bytes), host);
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout);
  }
};

/** IPv4's 20 and IPv6's 40 bytes, and 8 of ICMP. */
const HEADERS = { ip4: 28, ip6: 48 } as const;

/** A packet too long for the way, which may not be cut, is answered with the size that fits. */
export const tooBig = (from: Workload, to: Workload, mtu: number): void => {
  // It would not send it at all otherwise.
  inNetns(from.netns, 'ip', 'link', 'set', 'eth0', 'mtu', '1500');
  try {
    for (const family of FAMILIES) {
      assert.match(pinged(from, to[family], mtu - HEADERS[family]), /1 received/, `${family}: what fits`);
      const answer = pinged(from, to[family], mtu - HEADERS[family] + 1);
      assert.match(
        answer,
        new RegExp(`(Frag needed and DF set \\(mtu = ${mtu}\\)|Packet too big: mtu[= ]+${mtu})`),
        family,
      );
    }
  } finally {
    inNetns(from.netns, 'ip', 'link', 'set', 'eth0', 'mtu', String(mtu));
    inNetns(from.netns, 'ip', 'route', 'flush', 'cache');
  }
};
