// SPDX-License-Identifier: Apache-2.0
/**
 * Which hosts are reached by tunnel, from the network document and the hosts' own. No I/O; time is given.
 *
 * A host that was reached natively and is now to be reached by tunnel (or back) is changed over in steps, because the
 * hosts of a fleet hear of it at different moments and a packet must be taken by whoever it meets:
 *
 *   to the tunnel   both ways are taken -> it is sent by tunnel -> natively it is refused
 *   to native       both ways are taken -> it is sent natively  -> the tunnel is forgotten
 *
 * Every packet is judged by the same policy at every step. A host that is new begins at the last one.
 */
import { cidrContainsIp, isIp, parseCidr, parseIp } from '@weir/net';
import { Families, type Host, type Network, Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { sourceIssues } from './ipip-sources.ts';
import type { HostNumbers } from './numbers.ts';
import { seedIssues } from './services.ts';

/** Longer than a document takes to reach every host that is up. */
export const STEP_MS = 3_000;
export const DEFAULT_TUNNEL_PORT = 8472;
/** Ethernet, IP, UDP and VXLAN headers, less the outer Ethernet (RFC 7348 5). */
const OVERHEAD = { 4: 50, 6: 70 } as const;

export interface OverlayDevice {
  readonly port: number;
  /** 0 and 0: the kernel's own range. */
  readonly sourceLow: number;
  readonly sourceHigh: number;
  /** Bytes that a packet grows by. */
  readonly overheadBytes: number;
}

/** One other host's end. */
export interface Tunnel {
  readonly remote: string;
  readonly local: string;
  /** What goes there goes by tunnel. */
  readonly send: boolean;
  /** What comes from there another way is refused. */
  readonly only: boolean;
  /** What goes there goes encrypted, by tunnel or not. */
  readonly encrypted: boolean;
}

export interface OverlayPlan {
  /** Undefined: no device. */
  readonly device: OverlayDevice | undefined;
  readonly tunnels: ReadonlyMap<number, Tunnel>;
  /** Host id -> its number in `tunnels`. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Hosts to whose pools routes lead through the device. */
  readonly routed: ReadonlySet<string>;
  /** What a packet of a workload grows by on its way, at most. */
  readonly overheadBytes: number;
  /** Largest packet of workloads as the document says, 0 = what the uplink allows. */
  readonly mtu: number;
  /** When this answer changes by itself, ms from now; undefined: it does not. */
  readonly changesInMs: number | undefined;
  readonly errors: readonly { readonly hostId: string; readonly message: string }[];
}

export const NO_OVERLAY: OverlayPlan = {
  device: undefined,
  tunnels: new Map(),
  numbers: new Map(),
  routed: new Set(),
  overheadBytes: 0,
  mtu: 0,
  changesInMs: undefined,
  errors: [],
};

type Way = 'native' | 'tunnel';
interface Turn {
  readonly way: Way;
  /** When it was to be reached another way before; undefined: it never was. */
  readonly sinceMs: number | undefined;
}

interface Ends {
  readonly remote: string;
  readonly local: string;
  readonly family: 4 | 6;
}

/** Which addresses two hosts speak by; undefined: they have none of one family. */
export const underlayEnds = (own: Host, other: Host, underlay: Underlay): Ends | undefined => {
  const four = isIp(own.underlayIp4) && isIp(other.underlayIp4);
  const six = isIp(own.underlayIp6) && isIp(other.underlayIp6);
  if (underlay !== Underlay.IPV6 && four) return { remote: other.underlayIp4, local: own.underlayIp4, family: 4 };
  if (underlay !== Underlay.IPV4 && six) return { remote: other.underlayIp6, local: own.underlayIp6, family: 6 };
  return undefined;
};

export interface OverlayInput {
  readonly network: Network | undefined;
  readonly hosts: Iterable<Host>;
  readonly ownHost: string;
  /** Networks that are on the links of this host, as CIDRs. */
  readonly subnets: readonly string[];
  readonly nowMs: number;
  /** Hosts that packets go to and come from through the device, whatever the routing: to egress gateways and back. */
  readonly peers?: ReadonlySet<string>;
  /** Hosts to which everything goes encrypted, and what that takes of each packet. */
  readonly encrypted?: ReadonlySet<string>;
  readonly encryptionBytes?: number;
}

export class Overlay {
  readonly #numbers: HostNumbers;
  readonly #turns = new Map<string, Turn>();
  readonly #stepMs: number;
  /** Of the last document that wanted one: kept until nobody is reached by it any more. */
  #device: OverlayDevice | undefined;

  constructor(numbers: HostNumbers, stepMs = STEP_MS) {
    this.#numbers = numbers;
    this.#stepMs = stepMs;
  }

  plan(input: OverlayInput): OverlayPlan {
    const { network, hosts, ownHost, subnets, nowMs, peers = new Set(), encryptionBytes = 0 } = input;
    const routing = network?.routing ?? Routing.NATIVE;
    const tunnelled = routing === Routing.TUNNEL || routing === Routing.HYBRID;
    const all = [...hosts];
    const own = all.find(({ id }) => id === ownHost);
    const tunnels = new Map<number, Tunnel>();
    const numbers = new Map<string, number>();
    const routed = new Set<string>();
    const errors: { hostId: string; message: string }[] = [];
    const links = subnets.map((subnet) => parseCidr(subnet));
    let changesInMs: number | undefined;
    let widest: 4 | 6 = network?.underlay === Underlay.IPV6 ? 6 : 4;
    let needsDevice = false;
    const seen = new Set<string>();
    let carries = false;
    for (const host of all) {
      if (host.id === ownHost || !own) continue;
      seen.add(host.id);
      const ends = underlayEnds(own, host, network?.underlay ?? Underlay.UNSPECIFIED);
      const isNear =
        routing === Routing.HYBRID && ends && links.some((link) => cidrContainsIp(link, parseIp(ends.remote)));
      const way: Way = tunnelled && !isNear ? 'tunnel' : 'native';
      const isPeer = peers.has(host.id);
      if ((way === 'tunnel' || isPeer) && !ends) {
        errors.push({ hostId: host.id, message: `${host.id} has no underlay address of a family that this host has` });
        continue;
      }
      const steps = this.#stepsTaken(host.id, way, nowMs);
      if (steps.nextInMs !== undefined) changesInMs = Math.min(changesInMs ?? Number.POSITIVE_INFINITY, steps.nextInMs);
      const encrypted = input.encrypted?.has(host.id) ?? false;
      const isDirect = way === 'native' && steps.taken >= 2;
      if (!ends || (isDirect && !isPeer && !encrypted)) continue;
      const isCarried = !isDirect || isPeer;
      needsDevice ||= isCarried;
      carries ||= isPeer;
      if (isCarried && ends.family === 6) widest = 6;
      const send = way === 'tunnel' ? steps.taken >= 1 : !isDirect && steps.taken < 1;
      const number = this.#numbers.of(host.id);
      numbers.set(host.id, number);
      tunnels.set(number, {
        remote: ends.remote,
        local: ends.local,
        send,
        only: way === 'tunnel' && steps.taken >= 2,
        encrypted,
      });
      if (send) routed.add(host.id);
    }
    for (const id of this.#turns.keys()) if (!seen.has(id)) this.#turns.delete(id);
    this.#numbers.keep(numbers);
    if (tunnelled || carries) {
      this.#device = {
        port: network?.tunnelPort || DEFAULT_TUNNEL_PORT,
        sourceLow: network?.tunnelSourcePortLow ?? 0,
        sourceHigh: network?.tunnelSourcePortHigh ?? 0,
        overheadBytes: OVERHEAD[widest],
      };
    } else if (!needsDevice) {
      this.#device = undefined;
    }
    const overheadBytes = (this.#device?.overheadBytes ?? 0) + encryptionBytes;
    return {
      device: this.#device && { ...this.#device, overheadBytes },
      ...{ tunnels, numbers, routed, overheadBytes, mtu: network?.mtu ?? 0, changesInMs, errors },
    };
  }

  /** How many of the two steps of changing over lie behind; all of them for who was never reached another way. */
  #stepsTaken(hostId: string, way: Way, nowMs: number): { taken: number; nextInMs: number | undefined } {
    const before = this.#turns.get(hostId);
    let turn = before;
    if (!turn || turn.way !== way) {
      turn = { way, sinceMs: before ? nowMs : undefined };
      this.#turns.set(hostId, turn);
    }
    if (turn.sinceMs === undefined) return { taken: 2, nextInMs: undefined };
    const passedMs = nowMs - turn.sinceMs;
    const taken = Math.min(2, Math.floor(passedMs / this.#stepMs));
    if (taken === 2) this.#turns.set(hostId, { way, sinceMs: undefined });
    return { taken, nextInMs: taken === 2 ? undefined : (taken + 1) * this.#stepMs - passedMs };
  }
}

/** Empty when all is well. */
export const networkIssues = (network: Network): string[] => {
  const { tunnelPort, tunnelSourcePortLow: low, tunnelSourcePortHigh: high, mtu, families } = network;
  const [least, why] =
    families === Families.IPV4 ? [576, 'that every host must take'] : [1280, 'the least that IPv6 allows'];
  return [
    ...(tunnelPort > 0xffff ? [`tunnel_port ${tunnelPort} is no UDP port; give 1 to 65535`] : []),
    ...(low > high || high > 0xffff || (low === 0) !== (high === 0)
      ? [`tunnel_source_port_low ${low} to high ${high} is no range of UDP ports`]
      : []),
    ...(mtu !== 0 && (mtu < least || mtu > 65_535) ? [`mtu ${mtu} is not between ${least}, ${why}, and 65535`] : []),
    ...seedIssues(network.services?.maglevSeed ?? ''),
    ...sourceIssues('services.ipip_source_cidr4', network.services?.ipipSourceCidr4 ?? ''),
    ...sourceIssues('services.ipip_source_cidr6', network.services?.ipipSourceCidr6 ?? ''),
  ];
};
