// SPDX-License-Identifier: Apache-2.0
/** One probe of one backend, in the way of its health check. */
import { type HealthCheck, HealthCheckKind } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Echo } from './echo.ts';
import { failed, type Outcome, type Place } from './outcome.ts';
import { probeTcp } from './tcp.ts';
import { probeUdp } from './udp.ts';

export type Probe = (place: Place, check: HealthCheck) => Promise<Outcome>;

const KIND = HealthCheckKind;

/** Never rejects: what goes wrong here is a failure that says so. */
export const proberWith =
  (echo: Pick<Echo, 'ask'>): Probe =>
  async (place, check) => {
    try {
      switch (check.kind) {
        case KIND.TCP:
          return await probeTcp(place);
        case KIND.HTTP:
        case KIND.HTTPS:
          return await (await import('./web.ts')).probeWeb(place, check, check.kind === KIND.HTTPS);
        case KIND.UDP:
          return await probeUdp(place, check);
        case KIND.ICMP:
          return await echo.ask(place.address, place.timeoutMs);
        case KIND.GRPC:
          return await (await import('./grpc.ts')).probeGrpc(place, check);
        default:
          return failed(`health checks of kind ${check.kind} are not known to this agent`, false);
      }
    } catch (error) {
      return failed((error as Error).message, false);
    }
  };
