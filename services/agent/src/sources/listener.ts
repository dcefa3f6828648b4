// SPDX-License-Identifier: Apache-2.0
/** Who hears of the configuration, and in which order. */
import type { ConfigEntry } from '@weir/bus';
import type { Reconciler } from '../loops/reconciler.ts';
import type { Planner } from '../plan/planner.ts';
import type { ConfigurationListener } from './configuration.ts';

/** Others that follow the configuration. */
interface Follower {
  reset(entries: readonly ConfigEntry[]): void;
  change(entry: ConfigEntry): void;
}

/** Documents to the planner and a signal to the reconciler; arrival times for the histogram. */
export const listenerOf = (
  planner: Planner,
  reconciler: Reconciler,
  arrivals: number[],
  onTrouble: (what: string, cause: unknown) => void,
  followers: () => readonly Follower[],
): ConfigurationListener => ({
  onReset: (entries, news) => {
    for (const entry of entries) reconciler.noteDocument(entry, news.has(entry));
    planner.reset(entries);
    for (const follower of followers()) follower.reset(entries);
    reconciler.trigger();
  },
  onChange: (entry) => {
    arrivals.push(performance.now());
    reconciler.noteDocument(entry, true);
    planner.change(entry);
    for (const follower of followers()) follower.change(entry);
    reconciler.trigger();
  },
  onError: (error, subject) => onTrouble(`configuration ${subject ?? ''} was refused`, error),
});
