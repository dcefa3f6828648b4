// SPDX-License-Identifier: Apache-2.0
/** How `observe` shows flows: the forms of `-o`, and what of a flow is shown in them. */
import type { Context } from '../context.ts';
import type { FieldMask } from './field-mask.ts';
import { compactFlow, dictFlow, type Flow, type FlowStyle, flowColumns } from './flow.ts';
import { toJson } from './safe.ts';
import { render, renderTable } from './table.ts';

/** jsonpb is what other tools call json, one object a line. */
export const OBSERVE_FORMATS = ['compact', 'dict', 'json', 'jsonpb', 'table', 'wide'] as const;
export type ObserveFormat = (typeof OBSERVE_FORMATS)[number];

export type WriteFlows = (flows: readonly Flow[]) => void;

export const flowWriter = (
  context: Pick<Context, 'out' | 'paint'>,
  format: ObserveFormat,
  style: FlowStyle,
  isFollowing: boolean,
  mask: FieldMask = (flow) => flow,
): WriteFlows => {
  switch (format) {
    case 'json':
    case 'jsonpb':
      return (flows) => {
        for (const flow of flows) context.out(toJson(mask(flow)));
      };
    case 'table':
    case 'wide':
      return isFollowing
        ? growingTable(context, format, style)
        : (flows) => context.out(render(format, flowColumns(style), flows, false));
    case 'dict':
      return dictWriter(context, style);
    case 'compact':
      return (flows) => {
        for (const flow of flows) context.out(compactFlow(flow, context.paint, style));
      };
  }
};

const RULE = '------------';

const dictWriter = ({ out }: Pick<Context, 'out'>, style: FlowStyle): WriteFlows => {
  let isFirst = true;
  return (flows) => {
    for (const flow of flows) {
      if (!isFirst) out(RULE);
      isFirst = false;
      for (const line of dictFlow(flow, style)) out(line);
    }
  };
};

/** While following, widths cannot wait for the last flow: the heading comes once and columns only grow. */
const growingTable = ({ out }: Pick<Context, 'out'>, format: 'table' | 'wide', style: FlowStyle): WriteFlows => {
  const columns = flowColumns(style).filter((column) => format === 'wide' || !column.wide);
  const widths: number[] = [];
  let headed = false;
  return (flows) => {
    const lines = renderTable(columns, flows, widths).split('\n');
    for (const line of headed ? lines.slice(1) : lines) out(line);
    headed = true;
  };
};
