// SPDX-License-Identifier: Apache-2.0
/**
 * Follows the signed configuration for the names in it. Memory changes at once, so that a flow of a new workload has
 * its name; the tables follow, and wait when Postgres is away.
 */
import { type Bus, type ConfigEntry, configWatcher, serviceSnapshotConsumer } from '@weir/bus';
import { canonicalIp, isIp } from '@weir/net';
import { counter, logger } from '@weir/telemetry';
import type pg from 'pg';
import type { Directory, DirectoryChange } from '../domain/directory.ts';
import { saveChanges } from '../store/directory.ts';

export interface ConfigConsumerOptions {
  readonly bus: Bus;
  readonly inboxPrefix: string;
  readonly trustedKeys: readonly string[];
  readonly pool: pg.Pool;
  readonly directory: Directory;
}

export interface ConfigConsumer {
  /** The first snapshot is applied. */
  readonly ready: Promise<void>;
  /** What was applied so far is in the tables. */
  saved(): Promise<void>;
  stop(): Promise<void>;
}

const RETRY_MS = 1_000;
const SAVE_AT_ONCE = 500;

const log = logger('analytics.config');

const applyEntry = (directory: Directory, entry: ConfigEntry, nowMs: number): DirectoryChange[] => {
  const { body } = entry.document;
  if (entry.removed) {
    if (entry.kind === 'identity') return directory.removeLabels(Number(entry.key), nowMs);
    if (entry.kind === 'workload') return directory.removeWorkload(entry.key, nowMs);
    return [];
  }
  switch (body.case) {
    case 'identity':
      return directory.setLabels(body.value.identity, body.value.labels, nowMs);
    case 'workload': {
      const { id, hostId, name, namespace, identity, ip4, ip6, hostNetwork } = body.value;
      if (hostNetwork) return directory.setUnit(id, { name, namespace, host: hostId, identity }, nowMs);
      const ips = [ip4, ip6].filter(isIp).map(canonicalIp);
      return directory.setWorkload({ workloadId: id, name, namespace, host: hostId, identity, ips }, nowMs);
    }
    case 'policy': {
      const { key, policyRevision, rules } = body.value;
      return directory.setRules(
        rules.map(({ path, id, log }) => ({ id, path, log, policyKey: key, policyRevision: Number(policyRevision) })),
      );
    }
    case 'service': {
      const { namespace, name, frontends } = body.value;
      return directory.setFrontends(
        frontends.map(({ number, type, address, port, protocol }) => ({
          ...{ number, namespace, name, type, port, protocol },
          address: isIp(address) ? canonicalIp(address) : '',
        })),
      );
    }
    default:
      return [];
  }
};

/** What exists is in a snapshot; what we hold beyond it was removed while we did not listen. */
const applySnapshot = (directory: Directory, entries: readonly ConfigEntry[], nowMs: number): DirectoryChange[] => {
  const changes = entries.flatMap((entry) => applyEntry(directory, entry, nowMs));
  const keys = (kind: string): Set<string> =>
    new Set(entries.filter((entry) => entry.kind === kind).map(({ key }) => key));
  const identities = keys('identity');
  const workloads = keys('workload');
  const living = directory.living();
  for (const identity of living.identities) {
    if (!identities.has(String(identity))) changes.push(...directory.removeLabels(identity, nowMs));
  }
  for (const workload of living.workloads) {
    if (!workloads.has(workload)) changes.push(...directory.removeWorkload(workload, nowMs));
  }
  return changes;
};

export const consumeConfig = (options: ConfigConsumerOptions): ConfigConsumer => {
  const { bus, pool, directory, trustedKeys, inboxPrefix } = options;
  const unsaved: DirectoryChange[] = [];
  let saving: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let stopped = false;

  const saveAll = async (): Promise<void> => {
    while (unsaved.length > 0) {
      const part = unsaved.slice(0, SAVE_AT_ONCE);
      try {
        await saveChanges(pool, part);
        unsaved.splice(0, part.length);
      } catch (error) {
        log.warn({ error, changes: unsaved.length }, 'names could not be saved yet');
        if (!stopped) retry = setTimeout(save, RETRY_MS);
        return;
      }
    }
  };
  const save = (): void => {
    saving ??= saveAll().finally(() => {
      saving = undefined;
    });
  };
  const take = (changes: readonly DirectoryChange[]): void => {
    unsaved.push(...changes);
    if (unsaved.length > 0) save();
  };

  const watcher = configWatcher({
    nc: bus.nc,
    jsm: bus.jsm,
    trustedKeys,
    inboxPrefix,
    consumer: serviceSnapshotConsumer('analytics'),
    onReset: (entries) => take(applySnapshot(directory, entries, Date.now())),
    onChange: (entry) => take(applyEntry(directory, entry, Date.now())),
    onError: (error, subject) => {
      counter('weir_bus_rejected_total').add(1, { reason: 'config' });
      log.warn({ error, subject }, 'a configuration document was not taken');
    },
  });
  return {
    ready: watcher.ready,
    saved: async () => {
      while (unsaved.length > 0) await (saving ?? new Promise((done) => setTimeout(done, RETRY_MS / 10)));
    },
    stop: async () => {
      stopped = true;
      clearTimeout(retry);
      await watcher.stop();
      await saving;
    },
  };
};
