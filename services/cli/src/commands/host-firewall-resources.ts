// SPDX-License-Identifier: Apache-2.0
/** Entries of the table in resources.ts for the hosts' own policies. */
import { age, type Column } from '../output/table.ts';
import type { ResourceKind } from './resources.ts';

export interface HostFirewall {
  readonly host: string;
  readonly state: string;
  readonly confirmed_by: string;
  readonly documents: readonly string[];
  readonly last_good: readonly string[];
  readonly until: string | null;
  readonly why: string | null;
  readonly changed_at: string;
}

interface HostFirewallEvent {
  readonly host: string;
  readonly sequence: number;
  readonly time: string;
  readonly act: string;
  readonly by: string;
  readonly why: string;
  readonly documents: readonly string[];
}

const FIREWALLS: readonly Column<HostFirewall>[] = [
  { title: 'HOST', cell: (f) => f.host },
  { title: 'STATE', cell: (f) => f.state },
  { title: 'DOCUMENTS', cell: (f) => f.documents },
  { title: 'UNTIL', cell: (f) => f.until, passing: true },
  { title: 'WHY', cell: (f) => f.why ?? '' },
  { title: 'CONFIRMED-BY', cell: (f) => f.confirmed_by, wide: true },
  { title: 'LAST-GOOD', cell: (f) => f.last_good, wide: true },
  { title: 'CHANGED', cell: (f) => age(f.changed_at), passing: true },
];

const EVENTS: readonly Column<HostFirewallEvent>[] = [
  { title: 'TIME', cell: (e) => e.time },
  { title: 'HOST', cell: (e) => e.host },
  { title: 'ACT', cell: (e) => e.act },
  { title: 'BY', cell: (e) => e.by },
  { title: 'WHY', cell: (e) => e.why },
  { title: 'DOCUMENTS', cell: (e) => e.documents, wide: true },
  { title: 'SEQUENCE', cell: (e) => e.sequence, wide: true },
];

const kind = (noun: string): Pick<ResourceKind, 'service' | 'path' | 'kinds' | 'one'> => ({
  service: 'inventory',
  path: `/v1/${noun}`,
  kinds: ['host'],
  one: (id) => `/v1/${noun}/${encodeURIComponent(id)}`,
});

export const HOST_FIREWALL_RESOURCES: Readonly<Record<'host-firewalls' | 'host-firewall-events', ResourceKind>> = {
  'host-firewalls': { ...kind('host-firewalls'), keyOf: ({ host }) => host ?? '', columns: FIREWALLS },
  'host-firewall-events': {
    ...kind('host-firewall-events'),
    keyOf: ({ host, time, sequence }) => `${host} ${time} ${sequence}`,
    columns: EVENTS,
  },
};
