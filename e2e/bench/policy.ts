// SPDX-License-Identifier: Apache-2.0
/**
 * What enforcing costs: the path of an application's requests through our programs, and through nftables, against no
 * enforcement; and how soon a change is in force.
 */
import { policy_entry, policy_key, weir_policy_bits } from '@weir/bpf';
import { World } from '@weir/bpf/testing/world';
import { createInner } from '@weir/loader';
import { compile } from './compile.ts';
import { requestRows } from './overlay.ts';
import { atMost, type BenchOptions, median, type Part, type Row } from './report.ts';
import { rollout } from './rollout.ts';
import { simulation } from './simulate.ts';
import { compare, createTriple } from './triple.ts';
import { NFT_CT, nftLinear, nftSet, standNft, standOurs } from './variants.ts';

const CPU = 1;
const MOST = { rr: 1.03, crr: 1.04 } as const;
const APPLY_MOST_MS = 50;

const paths = async ({ smoke, long, onStep }: BenchOptions): Promise<Row[]> => {
  const [many, linear] = smoke ? [100, 10] : [10_000, long ? 10_000 : 1_000];
  const [rounds, ms] = smoke ? [1, 20] : [41, 150];
  const variants = [
    { name: 'none', ours: false, stand: async () => ({ remove: async () => {} }) },
    { name: 'ours-10', ours: true, stand: (t: Awaited<ReturnType<typeof createTriple>>) => standOurs(t, 10) },
    { name: `ours-${many}`, ours: true, stand: (t: Awaited<ReturnType<typeof createTriple>>) => standOurs(t, many) },
    { name: 'nft-ct', ours: false, stand: async (t: Awaited<ReturnType<typeof createTriple>>) => standNft(t, NFT_CT) },
    {
      name: `nft-set-${many}`,
      ours: false,
      stand: async (t: Awaited<ReturnType<typeof createTriple>>) => standNft(t, nftSet(many)),
    },
    {
      name: `nft-linear-${linear}`,
      ours: false,
      stand: async (t: Awaited<ReturnType<typeof createTriple>>) => standNft(t, nftLinear(linear)),
    },
  ];
  const undo: (() => Promise<void>)[] = [];
  try {
    const triples = [];
    for (const { name, stand } of variants) {
      onStep(`path ${name}`);
      const triple = await createTriple(name, CPU);
      undo.unshift(() => triple.destroy());
      const standing = await stand(triple);
      undo.unshift(() => standing.remove());
      triples.push(triple);
    }
    const rows: Row[] = [];
    for (const kind of ['rr', 'crr'] as const) {
      onStep(`${kind}, ${rounds} rounds of ${ms} ms`);
      const compared = await compare(triples, kind, rounds, ms);
      for (const [i, { value, ratio }] of compared.entries()) {
        const { name, ours } = variants[i] as (typeof variants)[number];
        rows.push({
          metric: `${kind} p50, ${name} to none`,
          value: value / 1000,
          unit: 'us',
          ratio,
          ...(ours ? atMost(ratio, MOST[kind], 'ratio ') : {}),
        });
      }
    }
    return rows;
  } finally {
    for (const step of undo) await step();
  }
};

/** The same where hosts are joined by tunnel: a policy at both ends, against a plain VXLAN without any. */
const tunnelled = async (options: BenchOptions): Promise<Row[]> => {
  const variants = [
    { name: 'plain', rules: undefined },
    { name: 'ours-10', rules: 10 },
    { name: 'ours-10000', rules: options.smoke ? 100 : 10_000 },
  ];
  return requestRows(variants, options, MOST);
};

/** A table of so many entries made, filled by batch and put in the place of another, as the agent does it. */
const apply = async ({ smoke, onStep }: BenchOptions): Promise<Row[]> => {
  const entries = smoke ? 100 : 10_000;
  onStep(`applying ${entries} entries`);
  const world = await World.open();
  try {
    const keys = Buffer.alloc(entries * policy_key.size);
    const values = Buffer.alloc(entries * policy_entry.size);
    const ifindex = Buffer.from([1, 0, 0, 0]);
    for (let i = 0; i < entries; i++) {
      const key = { prefixlen: weir_policy_bits.POLICY_STATIC_BITS + 24, identity: 16_777_217 + i, section: 1 };
      policy_key.encode({ ...key, protocol: 6, port_hi: 0, port_lo: 80 }, keys, i * policy_key.size);
      policy_entry.encode(
        { rule_id: i, verdict: 0, rank: 0, prefix_bits: 24, packets: 0n, bytes: 0n },
        values,
        i * policy_entry.size,
      );
    }
    const tookMs: number[] = [];
    for (let round = 0; round < (smoke ? 1 : 15); round++) {
      const before = performance.now();
      const inner = await createInner(world.map('policies'), 'bench');
      await inner.updateBatch(keys, values, entries);
      world.map('policies').updateInner(ifindex, inner);
      tookMs.push(performance.now() - before);
      inner.close();
    }
    const value = median(tookMs);
    return [{ metric: `apply ${entries} entries to one workload`, value, unit: 'ms', ...atMost(value, APPLY_MOST_MS) }];
  } finally {
    world.close();
  }
};

export const policy: Readonly<Record<string, Part>> = { paths, tunnelled, apply, compile, rollout, simulation };
