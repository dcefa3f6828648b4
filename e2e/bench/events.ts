// SPDX-License-Identifier: Apache-2.0
/** What seeing costs: the agent's share of each flow, the way into the tables and out again, and the workload's own requests. */
import { agentCost } from './agent-cost.ts';
import { ingest } from './ingest.ts';
import { atMost, type BenchOptions, type Part, type Row } from './report.ts';
import { type Compared, compare, createTriple } from './triple.ts';
import { standOurs } from './variants.ts';

const CPU = 1;
const MOST = 1.02;

/** The same programs and rules with and without flow events. */
const reporting = async ({ smoke, onStep }: BenchOptions): Promise<Row[]> => {
  const [rounds, ms] = smoke ? [1, 20] : [101, 150];
  const undo: (() => Promise<void>)[] = [];
  try {
    const triples = [];
    for (const [name, report_flows] of [
      ['silent', 0],
      ['reporting', 1],
    ] as const) {
      const triple = await createTriple(name, CPU);
      undo.unshift(() => triple.destroy());
      const standing = await standOurs(triple, 10, { report_flows });
      undo.unshift(() => standing.remove());
      triples.push(triple);
    }
    const rows: Row[] = [];
    for (const kind of ['rr', 'crr'] as const) {
      onStep(`${kind} with and without flow events`);
      const [, told] = await compare(triples, kind, rounds, ms);
      const { value, ratio } = told as Compared;
      rows.push({
        metric: `${kind} p50, with flow events to without`,
        value: value / 1000,
        unit: 'us',
        ratio,
        ...atMost(ratio, MOST, 'ratio '),
      });
    }
    return rows;
  } finally {
    for (const step of undo) await step();
  }
};

export const events: Readonly<Record<string, Part>> = { reporting, agent: agentCost, ingest };
