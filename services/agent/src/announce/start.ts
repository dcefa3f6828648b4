// SPDX-License-Identifier: Apache-2.0
/** What tells the network of addresses: on the host's own links (ARP, NDP), and routers by BGP. */
import type { Bus } from '@weir/bus';
import { logger } from '@weir/telemetry';
import { BgpSpeaker, type PeerState } from '../bgp/speaker.ts';
import type { AgentConfig } from '../config.ts';
import type { Platform } from '../platform.ts';
import { Announcer } from './announcer.ts';

export interface AnnouncingOptions {
  readonly config: Pick<AgentConfig, 'host' | 'bgpDaemon' | 'bgpDir'>;
  readonly boot: bigint;
  readonly platform: Pick<Platform, 'announce' | 'hasBgp'>;
  /** While it is connected. */
  readonly bus: () => Pick<Bus, 'nc' | 'js'> | undefined;
  /** Documents are all that exist. */
  readonly isComplete: () => boolean;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export interface Announcing {
  /** Told of documents. */
  readonly followers: readonly (Announcer | BgpSpeaker)[];
  /** Of the local API. */
  readonly routes: { announcements(): unknown; bgp(): unknown };
  readonly bgpPeers: readonly PeerState[];
  start(): void;
  /** The bus is there, for the first time or again. */
  connected(): void;
  /** Datapath and daemon go on. */
  stop(): Promise<void>;
}

export const createAnnouncing = ({ config, boot, platform, bus, ...common }: AnnouncingOptions): Announcing => {
  const log = logger('agent');
  const { host, bgpDaemon, bgpDir } = config;
  const told = { ...common, onChange: (what: string) => log.info(what) };
  const announcer = platform.announce && new Announcer({ ...told, host, boot, port: platform.announce, bus });
  const speaker = platform.hasBgp ? new BgpSpeaker({ ...told, host, binary: bgpDaemon, dir: bgpDir }) : undefined;
  return {
    followers: [announcer, speaker].filter((one) => one !== undefined),
    routes: {
      announcements: () => ({ items: announcer?.status ?? [], failures: announcer?.failures ?? [] }),
      bgp: () => ({ failure: speaker?.failure || null, peers: speaker?.peers ?? [] }),
    },
    get bgpPeers() {
      return speaker?.peers ?? [];
    },
    start: () => {
      announcer?.start();
      speaker?.start();
    },
    connected: () => announcer?.connected(),
    stop: async () => {
      await announcer?.stop();
      await speaker?.stop();
    },
  };
};
