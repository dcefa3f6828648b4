// SPDX-License-Identifier: Apache-2.0
/** Addresses for which the ipcache of this host has no room, as errors of the documents that claim them. */
import type { Unplaced } from './ipcache.ts';
import type { DocumentError } from './model.ts';

/** Of a thousand addresses without room, a few say it all. */
const UNPLACED_TOLD = 20;

/** The first say how many there are. `total`: of the addresses that are wanted. */
export const unplacedErrors = (
  unplaced: readonly Unplaced[],
  total: number,
  isDocument: (subject: string) => boolean,
): DocumentError[] => {
  const bySource = new Map(unplaced.map((one) => [one.source, one]));
  return [...bySource.values()].slice(0, UNPLACED_TOLD).map(({ source, revision }) => ({
    subject: isDocument(source) ? source : '',
    revision,
    code: 'TOO_LARGE',
    message:
      `${source}: its addresses have no room in the ipcache of this host and are the world's to it; ` +
      `${unplaced.length} of ${total} wait: allow more (WEIR_AGENT_MAX_IPCACHE)`,
  }));
};
