// SPDX-License-Identifier: Apache-2.0
/** `weir service stats`: what clients asked of services, by frontend and backend, and what the hosts' balancers have counted. */
import type { Context } from '../context.ts';
import { type Column, type Format, render } from '../output/table.ts';

interface ServiceStat {
  readonly service: string;
  readonly frontend: {
    readonly type: string;
    readonly address: string | null;
    readonly port: number;
    readonly protocol: string;
  };
  readonly backend: { readonly number: number; readonly address: string; readonly port: number } | null;
  readonly past: boolean;
  readonly host: string | null;
  readonly hosts: number;
  readonly connections: number;
  readonly packets: number;
  readonly bytes: number;
  readonly flow_hits: number;
  readonly flow_misses: number;
  readonly no_backend: number;
  readonly denied: number;
  readonly open: number;
}

interface Host {
  readonly id: string;
  readonly counters: Readonly<Record<string, number>> | null;
}

export interface StatsOptions {
  readonly output: Format;
  readonly host?: string;
  readonly byHost?: boolean;
}

const at = (address: string, port: number): string => `${address.includes(':') ? `[${address}]` : address}:${port}`;

const backendText = ({ backend, past }: ServiceStat): string =>
  backend ? at(backend.address, backend.port) : past ? '(gone)' : '(none)';

const COLUMNS: readonly Column<ServiceStat>[] = [
  { title: 'SERVICE', cell: (s) => s.service.replace('.', '/') },
  {
    title: 'FRONTEND',
    cell: ({ frontend: { type, address, port, protocol } }) => `${at(address ?? type, port)}/${protocol}`,
  },
  { title: 'BACKEND', cell: backendText },
  { title: 'CONNECTIONS', cell: (s) => s.connections },
  { title: 'OPEN', cell: (s) => s.open },
  { title: 'PACKETS', cell: (s) => s.packets },
  { title: 'BYTES', cell: (s) => s.bytes },
  { title: 'NO-BACKEND', cell: (s) => s.no_backend },
  { title: 'DENIED', cell: (s) => s.denied },
  { title: 'FLOW-HITS', cell: (s) => s.flow_hits, wide: true },
  { title: 'FLOW-MISSES', cell: (s) => s.flow_misses, wide: true },
  { title: 'HOSTS', cell: (s) => s.host ?? s.hosts, wide: true },
];
const HOST: Column<ServiceStat> = { title: 'HOST', cell: (s) => s.host };

/** Of the datapath, as heartbeats name them. */
const BALANCER: readonly (readonly [counter: string, words: string])[] = [
  ['service_encapsulated', 'sent in other packets'],
  ['service_taken_off', 'taken out of them'],
  ['service_flow_hit', 'remembered flows hit'],
  ['service_flow_miss', 'missed'],
  ['service_flow_flood', 'not remembered in floods'],
  ['service_too_big', 'ICMP too big led to their backend'],
  ['service_stale', 'sent to another backend because theirs was gone'],
];

/** All hosts together, or one. */
const balancerLine = async (context: Context, host: string | undefined): Promise<string> => {
  const hosts = await context.client.list<Host>('inventory', '/v1/hosts', new URLSearchParams());
  const counted = hosts.filter(({ id }) => host === undefined || id === host);
  const sums = BALANCER.map(([counter, words]) => {
    const sum = counted.reduce((total, { counters }) => total + (counters?.[counter] ?? 0), 0);
    return `${sum} ${words}`;
  });
  return `packets: ${sums.join(', ')}`;
};

export const showStats = async (context: Context, id: string | undefined, options: StatsOptions): Promise<void> => {
  const { output, host, byHost = false } = options;
  const query = new URLSearchParams();
  if (id !== undefined) query.set('service', id.replace('/', '.'));
  if (host !== undefined) query.set('host', host);
  if (byHost) query.set('by_host', 'true');
  const stats = await context.client.list<ServiceStat>('inventory', '/v1/service-stats', query);
  const [service, ...rest] = COLUMNS as [Column<ServiceStat>, ...Column<ServiceStat>[]];
  context.out(render(output, byHost ? [service, HOST, ...rest] : COLUMNS, stats, false));
  if (id === undefined && (output === 'table' || output === 'wide')) context.out(await balancerLine(context, host));
};
