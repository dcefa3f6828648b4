// SPDX-License-Identifier: Apache-2.0
/**
 * What encryption between hosts costs beyond WireGuard itself: transfers and requests of workloads as agents join them, against
 * WireGuard set up by hand. In a guest, whose kernel has it; emulated, so that the ratios say something and the rates nothing.
 */
import { weirError } from '@weir/errors';
import { findKernel } from '../vm/kernels.ts';
import { runSuite, SUITES } from '../vm/suites.ts';
import { atLeast, atMost, type Part, type Row } from './report.ts';

const LEAST_THROUGHPUT = 0.95;
const MOST_TIME = 1.05;
const LINE = /(transfer|rr p50): plain ([\d.]+) (\S+), ours ([\d.]+) \S+, ratio ([\d.]+)/g;

const ratios: Part = async ({ long, onStep }) => {
  const kernel = findKernel();
  const suite = SUITES.find(({ name }) => name === 'rates') as (typeof SUITES)[number];
  onStep(`a guest with ${kernel.release}`);
  const { status, stdout, stderr } = await runSuite(suite, { kernel, isLong: long });
  const found = [...stdout.matchAll(LINE)];
  if (status !== 0 || found.length !== 2)
    throw weirError('INTERNAL', `the guest measured nothing:\n${stdout}${stderr}`, { fix: 'repair what it names' });
  return found.flatMap(([, what, plain, unit = '', ours, text]): Row[] => {
    const ratio = Number(text);
    const goal = what === 'transfer' ? atLeast(ratio, LEAST_THROUGHPUT) : atMost(ratio, MOST_TIME, 'ratio ');
    return [
      { metric: `wireguard ${what}, by hand`, value: Number(plain), unit, ratio: 1 },
      { metric: `wireguard ${what}, ours to by hand`, value: Number(ours), unit, ratio, ...goal },
    ];
  });
};

export const wireguard: Readonly<Record<string, Part>> = { ratios };
