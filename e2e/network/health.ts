// SPDX-License-Identifier: Apache-2.0
/** The health mesh: a host whose cable is pulled is unreachable for the others, and only that; and back again after. */
import { callAll } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { ip } from '@weir/infra/resources';
import { HOSTS, type Scene } from './scene.ts';

interface Path {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly kind: string;
  readonly status: string;
}

/** Each address of a host by ICMP and by TCP. */
const PATHS = 4;

export const health = async ({ fleet }: Scene, gone: string): Promise<void> => {
  const paths = () => callAll<Path>(`${fleet.control.urls.inventory}/v1/health?limit=1000`);
  let seen: readonly Path[] = [];
  const matrix = async (what: string, wanted: (from: string, to: string) => string | undefined): Promise<void> =>
    until(
      what,
      90_000,
      async () => {
        seen = await paths();
        return HOSTS.every((from) =>
          HOSTS.filter((to) => to !== from).every((to) => {
            const mine = seen.filter((path) => path.from === from && path.to === to);
            const status = wanted(from, to);
            return mine.length === PATHS && mine.every((path) => status === undefined || path.status === status);
          }),
        );
      },
      () => JSON.stringify(seen),
    );
  await matrix('every host to reach every other', () => 'reachable');
  const port = (state: string) => ip('-n', fleet.underlay.bridgeNetns, 'link', 'set', gone, state);
  port('down');
  try {
    // What the lost host itself said last is too old to say anything after a while; it is not waited for.
    await matrix(`${gone} to be unreachable, and nobody else`, (from, to) =>
      from === gone ? undefined : to === gone ? 'unreachable' : 'reachable',
    );
  } finally {
    port('up');
  }
  await matrix('every host to reach every other again', () => 'reachable');
};
