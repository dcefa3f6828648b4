// SPDX-License-Identifier: Apache-2.0
/** Follows the configuration that inventory publishes and the heartbeats of hosts: who exists, who is heard. */
import { type Bus, type ConfigWatcher, configWatcher, serviceSnapshotConsumer, subjects } from '@weir/bus';
import { Fleet } from '../domain/fleet.ts';

export interface FollowedFleet {
  readonly fleet: Fleet;
  readonly watcher: ConfigWatcher;
  stop(): Promise<void>;
}

export const followFleet = (
  bus: Bus,
  trustedKeys: readonly string[],
  inboxPrefix: string,
  onError: (error: unknown) => void,
): FollowedFleet => {
  const fleet = new Fleet();
  const watcher = configWatcher({
    ...bus,
    trustedKeys,
    inboxPrefix,
    consumer: serviceSnapshotConsumer('policy'),
    onReset: (entries) => fleet.reset(entries),
    onChange: (entry) => fleet.change(entry),
    onError,
  });
  const heartbeats = bus.nc.subscribe(subjects.hb.wildcard, {
    callback: (error, message) => {
      if (error) return onError(error);
      const host = subjects.hb.parse(message.subject)?.host;
      if (host !== undefined) fleet.heard(host);
    },
  });
  return {
    fleet,
    watcher,
    stop: async () => {
      heartbeats.unsubscribe();
      await watcher.stop();
    },
  };
};
