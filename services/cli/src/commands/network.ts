// SPDX-License-Identifier: Apache-2.0
/** `weir network get`: one object, so a line for each of its fields. */
import type { Context } from '../context.ts';
import { type Format, render } from '../output/table.ts';
import { fieldsOf, NETWORK_PATH } from './objects.ts';

export const getNetwork = async (context: Context, { output }: { readonly output: Format }): Promise<void> => {
  const network = await context.client.json<Record<string, unknown>>('inventory', NETWORK_PATH);
  if (output === 'json' || output === 'yaml') return context.out(render(output, [], [network], true));
  const lines = [...fieldsOf(network), ['revision', network.revision] as const];
  const columns = [
    { title: 'FIELD', cell: ([field]: (typeof lines)[number]) => field },
    { title: 'VALUE', cell: ([, value]: (typeof lines)[number]) => value },
  ];
  context.out(render(output, columns, lines, false));
};
