// SPDX-License-Identifier: Apache-2.0
/** Frontends by their numbers, as people name them. */
import { protocolName } from '@weir/net';
import type { PlannedFrontend } from './service-view.ts';

export interface FrontendPlace {
  /** namespace.name */
  readonly service: string;
  readonly text: string;
}

/** One with several addresses (node ports) is named by the first. `names`: of services. */
export const placesOf = (
  frontends: Iterable<PlannedFrontend>,
  names: ReadonlyMap<number, string>,
): ReadonlyMap<number, FrontendPlace> => {
  const places = new Map<number, FrontendPlace>();
  for (const { key, value } of frontends) {
    const service = names.get(value.service);
    if (service === undefined || places.has(value.frontend)) continue;
    const address = key.address.includes(':') ? `[${key.address}]` : key.address;
    places.set(value.frontend, { service, text: `${address}:${key.port}/${protocolName(key.protocol)}` });
  }
  return places;
};
