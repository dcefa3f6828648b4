// SPDX-License-Identifier: Apache-2.0
/**
 * `weir service backends`: how the backends of a service are, and why. `weir service drain|maintain|activate|weigh`: one of
 * them taken out, put back, or given another weight.
 */
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { age, type Column, type Format, render } from '../output/table.ts';
import type { SetOptions } from './objects.ts';
import { waitInventory } from './realised.ts';
import { RESOURCES, type ResourceKind } from './resources.ts';

interface Backend {
  readonly number: number;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly workload: string | null;
  readonly host: string | null;
  readonly zone: string;
  readonly weight: number;
  /** While it starts slowly less than its weight. */
  readonly effective_weight: number;
  readonly state: string;
  readonly since: string;
  readonly reason: string;
  readonly health: string | null;
  readonly prober: string | null;
}

interface Service {
  readonly id: string;
  readonly backends: readonly Backend[];
  readonly revision: number;
}

/** As listings show it; IPv6 with brackets. */
export const endpointText = ({ address, port, protocol }: Backend): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}/${protocol}`;

const weightText = ({ weight, effective_weight: now }: Backend): string =>
  now === weight ? String(weight) : `${now} of ${weight}`;

const COLUMNS: readonly Column<Backend>[] = [
  { title: 'BACKEND', cell: endpointText },
  { title: 'STATE', cell: (b) => b.state },
  { title: 'SINCE', cell: (b) => age(b.since), passing: true },
  { title: 'HEALTH', cell: (b) => b.health },
  { title: 'WEIGHT', cell: weightText },
  { title: 'HOST', cell: (b) => b.host },
  { title: 'WORKLOAD', cell: (b) => b.workload },
  { title: 'NUMBER', cell: (b) => b.number, wide: true },
  { title: 'ZONE', cell: (b) => b.zone, wide: true },
  { title: 'PROBER', cell: (b) => b.prober, wide: true },
  { title: 'REASON', cell: (b) => b.reason },
];

export const showBackends = async (context: Context, id: string, output: Format): Promise<void> => {
  const path = (RESOURCES.services as ResourceKind).one(id);
  const { backends } = await context.client.json<Service>('inventory', path);
  context.out(render(output, COLUMNS, backends, false));
};

/** By its number, `address:port`, `address:port/protocol`, address or workload, when that means one. */
const find = ({ id, backends }: Service, wanted: string): Backend => {
  const names = (one: Backend): string[] => {
    const whole = endpointText(one);
    const workload = one.workload ?? '';
    return [String(one.number), whole, whole.replace(/\/\w+$/, ''), one.address, workload, workload.replace('.', '/')];
  };
  const found = [
    ...new Map(backends.filter((one) => names(one).includes(wanted)).map((one) => [one.number, one])).values(),
  ];
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const known = escapeUntrusted((first ? found : backends).map(endpointText).join(', '));
  const [what, whose] = [escapeUntrusted(wanted), escapeUntrusted(id)];
  throw new CliFailure(
    EXIT.failed,
    first
      ? `error: ${what} is more than one backend of service ${whose}\n  fix: name one of ${known}`
      : `error: service ${whose} has no backend ${what}\n  fix: ${known === '' ? 'it has none at all' : `name one of ${known}`}`,
  );
};

export interface BackendChange {
  readonly state?: string;
  readonly weight?: number;
  readonly reason?: string;
}

export const changeBackend = async (
  context: Context,
  id: string,
  wanted: string,
  change: BackendChange,
  options: SetOptions,
): Promise<void> => {
  const path = (RESOURCES.services as ResourceKind).one(id);
  const backend = find(await context.client.json<Service>('inventory', path), wanted);
  const after = await context.client.json<Service>('inventory', `${path}/backends/${backend.number}`, {
    method: 'PATCH',
    body: { type: 'application/json', text: JSON.stringify(change) },
  });
  const what = change.state ?? `weight ${change.weight}`;
  context.out(escapeUntrusted(`${endpointText(backend)} of service ${after.id}: ${what}`));
  if (options.wait) await waitInventory(context, after.revision, options.timeout);
};
