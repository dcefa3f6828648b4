// SPDX-License-Identifier: Apache-2.0
/** Routes to other hosts' pools: replaced in place, then those that nobody wants any more are removed. */
import type { Route } from '../plan/model.ts';
import type { Network } from './ports.ts';

export interface RouteFailure {
  readonly route: Route;
  readonly error: Error;
}

export const applyRoutes = async (
  network: Pick<Network, 'putRoute' | 'removeRoute'>,
  desired: ReadonlyMap<string, Route>,
  actual: Map<string, Route>,
): Promise<readonly RouteFailure[]> => {
  const failures: RouteFailure[] = [];
  for (const [dst, route] of desired) {
    if (actual.get(dst)?.via === route.via) continue;
    try {
      await network.putRoute(route);
      actual.set(dst, route);
    } catch (error) {
      failures.push({ route, error: error as Error });
    }
  }
  for (const [dst, route] of [...actual]) {
    if (desired.has(dst)) continue;
    try {
      await network.removeRoute(route);
      actual.delete(dst);
    } catch (error) {
      failures.push({ route, error: error as Error });
    }
  }
  return failures;
};
