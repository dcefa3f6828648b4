// SPDX-License-Identifier: Apache-2.0
/** A host's interfaces, routes and the programs on them as the kernel tells of them, without the agent's help. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const inHost = (netns: string, ...command: string[]): [string, string[]] => [
  'nsenter',
  [`--net=/run/netns/${netns}`, ...command],
];

const json = <T>(netns: string, ...command: string[]): T => {
  const [program, args] = inHost(netns, ...command);
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' }) || '[]') as T;
};

interface ShownFilter {
  readonly pref: number;
  readonly options?: { readonly handle?: string };
}

export const linkNames = (netns: string): string[] =>
  json<{ ifname: string }[]>(netns, 'ip', '-j', 'link', 'show').map(({ ifname }) => ifname);

/** Packets that an interface has taken. */
export const receivedBy = (netns: string, ifname: string): number => {
  const [link] = json<{ stats64: { rx: { packets: number } } }[]>(netns, 'ip', '-j', '-s', 'link', 'show', ifname);
  return link?.stats64.rx.packets ?? 0;
};

/** Prefixes, of both families, that agents send through an interface. */
export const routesBy = (netns: string, ifname: string): number =>
  ['-4', '-6'].flatMap((family) =>
    json<unknown[]>(netns, 'ip', '-j', family, 'route', 'show', 'dev', ifname, 'proto', '87'),
  ).length;

/** `wr12345678 ingress: priority 1 handle 0x1`, for each filter of each interface. */
export const filtersOf = (netns: string): string[] =>
  linkNames(netns).flatMap((ifname) =>
    ['ingress', 'egress'].flatMap((direction) =>
      json<ShownFilter[]>(netns, 'tc', '-j', 'filter', 'show', 'dev', ifname, direction)
        .filter(({ options }) => options?.handle !== undefined)
        .map(({ pref, options }) => `${ifname} ${direction}: priority ${pref} handle ${options?.handle}`),
    ),
  );

/** What happens to the filters of a host from now on, line by line as the kernel announces it. */
export const watchFilters = async (netns: string): Promise<{ stop(): Promise<string[]> }> => {
  const [program, args] = inHost(netns, 'stdbuf', '-oL', 'tc', 'monitor');
  const monitor = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  monitor.stdout.on('data', (data) => {
    text += data;
  });
  await once(monitor, 'spawn');
  await sleep(1_000); // it says nothing before the first event
  return {
    stop: async () => {
      monitor.kill();
      await once(monitor, 'close');
      return text.split('\n').filter((line) => /\bfilter\b/.test(line));
    },
  };
};
