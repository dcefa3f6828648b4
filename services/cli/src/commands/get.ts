// SPDX-License-Identifier: Apache-2.0
/** `weir get NOUN [ID]`. */
import type { Context } from '../context.ts';
import { type Format, render } from '../output/table.ts';
import { RESOURCES, type ResourceKind } from './resources.ts';

export interface GetOptions {
  readonly output: Format;
  readonly namespace?: string;
  readonly host?: string;
  readonly label?: readonly string[];
}

export const get = async (
  context: Context,
  noun: string,
  id: string | undefined,
  options: GetOptions,
): Promise<void> => {
  const kind = RESOURCES[noun] as ResourceKind;
  if (id !== undefined) {
    const item = await context.client.json(kind.service, kind.one(id));
    context.out(render(options.output, kind.columns, [item], true));
    return;
  }
  const query = new URLSearchParams();
  if (options.namespace) query.set('namespace', options.namespace);
  if (options.host) query.set('host', options.host);
  for (const label of options.label ?? []) query.append('label', label);
  const items = await context.client.list(kind.service, kind.path, query);
  context.out(render(options.output, kind.columns, items, false));
};
