// SPDX-License-Identifier: Apache-2.0
/**
 * What asking for a service costs an application against asking for the server itself: chosen at its socket by our
 * programs, alone and with those of policy and flow events, and on the way by nftables and iptables; and how soon
 * services are programmed.
 */
import { spawnSync } from 'node:child_process';
import { atMost, type BenchOptions, median, type Part, type Row } from './report.ts';
import { asked, standIptables, standNftServices, standSockets } from './service-variants.ts';
import { type Asked, compare, createTriple, type Triple } from './triple.ts';
import { standOurs } from './variants.ts';

const CPU = 1;
const MOST = { sockets: { rr: 1.01, crr: 1.03 }, whole: { rr: 1.05, crr: 1.08 } } as const;
const PROGRAM_MOST_MS = 200;
const CHANGE_MOST_MS = 5;
const RULES = 10;

type Undo = (() => Promise<void>)[];

interface Variant {
  readonly name: string;
  readonly most?: { readonly rr: number; readonly crr: number };
  /** Before the triple is there: how its client asks. */
  readonly ask?: (undo: Undo) => Promise<Asked>;
  readonly stand?: (triple: Triple, undo: Undo) => Promise<unknown>;
}

const hasIptables = (): boolean => spawnSync('iptables-restore', ['--version']).status === 0;

const paths = async ({ smoke, long, onStep }: BenchOptions): Promise<Row[]> => {
  const [many, others] = smoke ? [100, 20] : [10_000, long ? 10_000 : 1_000];
  const [rounds, ms] = smoke ? [1, 20] : [41, 150];
  const atSockets =
    (name: string) =>
    async (undo: Undo): Promise<Asked> => {
      const { cgroup, remove } = await standSockets(name, many);
      undo.unshift(remove);
      return { ...asked(many), cgroup };
    };
  const standPolicy = async (triple: Triple, undo: Undo): Promise<void> => {
    const { remove } = await standOurs(triple, RULES);
    undo.unshift(remove);
  };
  const variants: Variant[] = [
    { name: 'direct' },
    { name: `ours-${many}`, most: MOST.sockets, ask: atSockets('sockets') },
    { name: `ours-${many}-policy`, most: MOST.whole, ask: atSockets('policy'), stand: standPolicy },
    {
      name: `nft-${others}`,
      ask: async () => asked(others),
      stand: async ({ router }) => standNftServices(router, others),
    },
  ];
  if (hasIptables()) {
    variants.push({
      name: `iptables-${others}`,
      ask: async () => asked(others),
      stand: async ({ router }) => standIptables(router, others),
    });
  } else onStep('iptables is not there and is left out: apt-get install iptables');
  const undo: Undo = [];
  try {
    const triples: Triple[] = [];
    for (const { name, ask, stand } of variants) {
      onStep(`path ${name}`);
      const triple = await createTriple(name, CPU, await ask?.(undo));
      undo.unshift(() => triple.destroy());
      await stand?.(triple, undo);
      triples.push(triple);
    }
    const rows: Row[] = [];
    for (const kind of ['rr', 'crr'] as const) {
      onStep(`${kind}, ${rounds} rounds of ${ms} ms`);
      for (const [i, { value, ratio }] of (await compare(triples, kind, rounds, ms)).entries()) {
        const { name, most } = variants[i] as Variant;
        rows.push({
          ...{ metric: `service ${kind} p50, ${name} to direct`, value: value / 1000, unit: 'us', ratio },
          ...(most ? atMost(ratio, most[kind], 'ratio ') : {}),
        });
      }
    }
    return rows;
  } finally {
    for (const step of undo) await step();
  }
};

/** Maps filled as the agent fills them; the planning before is not in it. */
const apply = async ({ smoke, onStep }: BenchOptions): Promise<Row[]> => {
  const rows: Row[] = [];
  for (const count of smoke ? [100] : [1_000, 10_000]) {
    onStep(`programming ${count} services`);
    const services = await standSockets(`apply-${count}`, count);
    try {
      const times: number[] = [];
      const changes: number[] = [];
      for (let round = 0; round < (smoke ? 1 : 15); round++) {
        times.push(await services.program());
        changes.push(await services.changeOne());
      }
      const [whole, one] = [median(times), median(changes)];
      rows.push(
        { metric: `program ${count} services`, value: whole, unit: 'ms', ...atMost(whole, PROGRAM_MOST_MS) },
        { metric: `one backend among ${count} services`, value: one, unit: 'ms', ...atMost(one, CHANGE_MOST_MS) },
      );
    } finally {
      await services.remove();
    }
  }
  return rows;
};

export const services: Readonly<Record<string, Part>> = { paths, apply };
