// SPDX-License-Identifier: Apache-2.0
/** `weir status`: is the fleet well? Services, hosts, workloads, and whether anything observed was lost. */
import { escapeUntrusted } from '@weir/net';
import { SERVICES, type Service } from '../client.ts';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Account, accountLines, fleetSum, kindName } from '../output/account.ts';
import { toJson } from '../output/safe.ts';
import { age } from '../output/table.ts';
import type { HostFirewall } from './host-firewall-resources.ts';

interface HostStatus {
  readonly id: string;
  readonly state: string;
  readonly last_seen_at: string | null;
  readonly workloads_ready: number | null;
  readonly workloads_total: number | null;
  readonly realised: Readonly<Record<string, number | string>> | null;
  readonly egress_limiter?: { readonly kind: string; readonly reason: string } | null;
}

const firewallText = ({ state, documents, until, why }: HostFirewall): string =>
  [
    escapeUntrusted(state),
    ...(until ? [`until ${until}`] : []),
    ...(why ? [`(${escapeUntrusted(why)})`] : []),
    ...(documents.length > 0 ? [`: ${documents.map((one) => escapeUntrusted(one)).join(', ')}`] : []),
  ].join(' ');

const reach = async (context: Context, service: Service): Promise<string | undefined> => {
  try {
    await context.client.send(service, '/readyz', { timeoutMs: 3_000 });
    return undefined;
  } catch (error) {
    if (error instanceof CliFailure) return error.message.split('\n')[0] as string;
    throw error;
  }
};

const TROUBLE: Readonly<Record<string, string>> = {
  undone: 'has undone a change of its own policy',
  open: 'has its own policy put out of force by hand',
};

/** Why the fleet is not well. */
const reasonsOf = (
  failed: readonly Service[],
  hosts: readonly HostStatus[],
  firewalls: readonly HostFirewall[],
): string[] => [
  ...failed.map((name) => `${name} is not ready`),
  ...hosts.flatMap(({ id, state, workloads_ready: ready, workloads_total: total }) => [
    ...(state === 'alive' ? [] : [`host ${id} is ${state}`]),
    ...(ready === total ? [] : [`${(total ?? 0) - (ready ?? 0)} of ${total ?? 0} workloads of ${id} are not ready`]),
  ]),
  ...firewalls.flatMap(({ host, state, why }) => {
    const trouble = TROUBLE[state];
    return trouble ? [`host ${host} ${trouble}: ${why}`] : [];
  }),
];

export const status = async (context: Context, output: 'table' | 'json'): Promise<void> => {
  const names = Object.keys(SERVICES) as Service[];
  const failures = await Promise.all(names.map((name) => reach(context, name)));
  const hosts = failures[names.indexOf('inventory')]
    ? []
    : await context.client.list<HostStatus>('inventory', '/v1/hosts');
  const firewalls =
    hosts.length === 0 ? [] : await context.client.list<HostFirewall>('inventory', '/v1/host-firewalls');
  const accounts = failures[names.indexOf('analytics')]
    ? []
    : (await context.client.json<{ items: Account[] }>('analytics', '/v1/accounting')).items;
  const failed = names.filter((_, i) => failures[i] !== undefined);
  const reasons = reasonsOf(failed, hosts, firewalls);
  const well = reasons.length === 0;
  if (!well) context.setExitCode(failed.length > 0 ? EXIT.unreachable : EXIT.failed);
  if (output === 'json') {
    const services = Object.fromEntries(names.map((name, i) => [name, failures[i] ?? 'ready']));
    context.out(toJson({ well, reasons, services, hosts, host_firewalls: firewalls, accounts }, 2));
    return;
  }
  const mark = (fine: boolean, text: string) => context.paint(fine ? 'green' : 'red', text);
  for (const [i, name] of names.entries()) {
    context.out(
      `${name.padEnd(10)} ${failures[i] ? mark(false, failures[i]) : mark(true, 'ready')}   ${context.client.urlOf(name)}`,
    );
  }
  for (const host of hosts) {
    context.out(
      [
        `host ${escapeUntrusted(host.id).padEnd(5)}`,
        mark(host.state === 'alive', host.state),
        `seen ${age(host.last_seen_at)} ago,`,
        `workloads ${host.workloads_ready ?? 0}/${host.workloads_total ?? 0} ready,`,
        `policy revision ${host.realised?.policy ?? '-'}`,
      ].join(' '),
    );
    const limiter = host.egress_limiter;
    if (limiter) context.out(`  egress limits by ${escapeUntrusted(limiter.kind)}: ${escapeUntrusted(limiter.reason)}`);
    const firewall = firewalls.find((one) => one.host === host.id && one.state !== 'none');
    if (firewall) context.out(`  host policy ${firewallText(firewall)}`);
    for (const account of accounts.filter((one) => one.host === host.id)) {
      for (const line of accountLines(account)) context.out(line);
    }
  }
  for (const kind of new Set(accounts.map((account) => account.kind))) {
    const sum = fleetSum(accounts.filter((account) => account.kind === kind));
    if (sum !== undefined) context.out(`${`all ${kindName(kind)}`.padEnd(10)} ${sum}`);
  }
  const shown = reasons.map((reason) => escapeUntrusted(reason)).join('; ');
  context.out(`fleet      ${well ? mark(true, 'well') : mark(false, `not well: ${shown}`)}`);
};
