// SPDX-License-Identifier: Apache-2.0
/** XDP on the uplinks of a host, changed in place: the mode, and whether it filters too. */
import assert from 'node:assert/strict';
import type { Datapath } from '../../src/apply/kernel/datapath.ts';
import type { DesiredUplinks } from '../../src/plan/uplinks.ts';

const DENIED = '203.0.113.0/24';

/** `heard`: what a workload hears from outside, which comes from DENIED. */
export const changeAcceleration = async (
  { uplinks }: Datapath,
  apply: (change: Partial<DesiredUplinks>) => Promise<unknown>,
  heard: () => Promise<string>,
): Promise<void> => {
  const facts = async () => [
    (uplinks.acceleration()?.interfaces ?? []).map(({ mode }) => mode),
    (await uplinks.prefilter())?.cidrs,
  ];
  const prefilter = new Set([DENIED]);
  const undisturbed = await heard();
  assert.equal(uplinks.acceleration(), undefined);
  await apply({ acceleration: 'native' });
  assert.deepEqual(await facts(), [['native'], []]);
  assert.equal(await heard(), undisturbed, 'what is for no service passes');
  await apply({ acceleration: 'best-effort', prefilter });
  assert.deepEqual(await facts(), [['native'], [DENIED]]);
  assert.notEqual(await heard(), undisturbed);
  await apply({ acceleration: 'generic', prefilter });
  assert.deepEqual(await facts(), [['generic'], [DENIED]]);
  assert.notEqual(await heard(), undisturbed);
  await apply({ prefilter });
  assert.deepEqual(await facts(), [[], [DENIED]]);
  assert.notEqual(await heard(), undisturbed);
  await apply({});
  assert.deepEqual(await facts(), [[], undefined]);
  assert.equal(await heard(), undisturbed);
};
