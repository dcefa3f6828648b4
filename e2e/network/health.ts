// SPDX-License-Identifier: Apache-2.0
/**
 * The health mesh: while a host's tunnels are broken its health endpoint is out of reach, and it is not; when its cable is pulled
 * all of it is, for the others and only that; and back again after.
 */
import { execFileSync } from 'node:child_process';
import { callAll } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { netnsPath } from '@weir/infra/netns';
import { ip } from '@weir/infra/resources';
import { HOSTS, type Scene } from './scene.ts';

interface Path {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly kind: string;
  readonly target: 'host' | 'endpoint';
  readonly status: string;
}

/** Each address of a host, and of its health endpoint, by ICMP and by TCP. */
const PATHS = 8;
const VXLAN_PORT = 8472;
const TABLE = 'weir_no_tunnel';

const nft = (netns: string, text: string): void => {
  execFileSync('nsenter', [`--net=${netnsPath(netns)}`, '--', 'nft', '-f', '-'], { input: text });
};
/** As a firewall on the way that knows nothing of VXLAN. */
const breakTunnels = (netns: string): void => {
  const chain = `chain output { type filter hook output priority -300; udp dport ${VXLAN_PORT} drop; }`;
  nft(netns, `table inet ${TABLE} {\n${chain}\n}\n`);
};
const mendTunnels = (netns: string): void => nft(netns, `add table inet ${TABLE}\ndelete table inet ${TABLE}\n`);

/** `gone` is reached by tunnel only. */
export const health = async ({ fleet }: Scene, gone: string): Promise<void> => {
  const paths = () => callAll<Path>(`${fleet.control.urls.inventory}/v1/health?limit=1000`);
  let seen: readonly Path[] = [];
  const matrix = async (
    what: string,
    wanted: (from: string, to: string, target: Path['target']) => string | undefined,
  ): Promise<void> =>
    until(
      what,
      90_000,
      async () => {
        seen = await paths();
        return HOSTS.every((from) =>
          HOSTS.filter((to) => to !== from).every((to) => {
            const mine = seen.filter((path) => path.from === from && path.to === to);
            const fits = ({ status, target }: Path): boolean => [undefined, status].includes(wanted(from, to, target));
            return mine.length === PATHS && mine.every(fits);
          }),
        );
      },
      () => JSON.stringify(seen),
    );
  await matrix('every host and health endpoint to be reached by every other host', () => 'reachable');
  const { netns } = fleet.host(gone);
  const port = (state: string) => ip('-n', fleet.underlay.bridgeNetns, 'link', 'set', gone, state);
  breakTunnels(netns);
  try {
    await matrix(`health endpoints to and of ${gone} to be unreachable, and no host`, (from, to, target) =>
      target === 'endpoint' && (from === gone || to === gone) ? 'unreachable' : 'reachable',
    );
    port('down');
    // What the lost host itself said last is too old to say anything after a while; it is not waited for.
    await matrix(`${gone} to be unreachable, and nobody else`, (from, to) =>
      from === gone ? undefined : to === gone ? 'unreachable' : 'reachable',
    );
  } finally {
    mendTunnels(netns);
    port('up');
  }
  await matrix('every host and health endpoint to be reached again', () => 'reachable');
};
