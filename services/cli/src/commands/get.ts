// SPDX-License-Identifier: Apache-2.0
/** `weir get NOUN [ID]`. */
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Format, render } from '../output/table.ts';
import { RESOURCES, type ResourceKind } from './resources.ts';
import { watch } from './watch.ts';

export interface GetOptions {
  readonly output: Format;
  readonly namespace?: string;
  readonly host?: string;
  readonly label?: readonly string[];
  readonly watch?: boolean;
}

export const get = async (
  context: Context,
  noun: string,
  id: string | undefined,
  options: GetOptions,
): Promise<void> => {
  const kind = RESOURCES[noun] as ResourceKind;
  if (options.watch && (id !== undefined || !['table', 'wide'].includes(options.output))) {
    throw new CliFailure(EXIT.usage, 'error: --watch is for a listing as table; leave out the id and -o json or yaml');
  }
  if (id !== undefined) {
    const item = await context.client.json(kind.service, kind.one(id));
    context.out(render(options.output, kind.columns, [item], true));
    return;
  }
  const query = new URLSearchParams();
  if (options.namespace) query.set('namespace', options.namespace);
  if (options.host) query.set('host', options.host);
  for (const label of options.label ?? []) query.append('label', label);
  const read = () => context.client.list(kind.service, kind.path, query);
  if (options.watch) {
    const columns = kind.columns.filter((column) => options.output === 'wide' || !column.wide);
    return watch(context, { service: kind.service, kinds: kind.kinds, columns, keyOf: kind.keyOf, read });
  }
  const items = await read();
  context.out(render(options.output, kind.columns, items, false));
};
