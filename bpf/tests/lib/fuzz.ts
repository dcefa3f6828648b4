// SPDX-License-Identifier: Apache-2.0
/**
 * Frames made wrong at random, by the hundred thousand. Whatever comes in, the verdict is one of three; no rule of L4
 * lets a malformed packet through, no forbidden one is delivered and no allowed one lost: oracle.ts and verdict.ts, a
 * second parser and judge in TypeScript, must say the same. Connections are forgotten at once, so that each packet is
 * judged by itself.
 */
import assert from 'node:assert/strict';
import { skbContext, TEST_RUN_REFUSED } from '@weir/loader';
import { generateFrame, LONGEST_FRAME, mutateInto } from './frames.ts';
import { judgeFrame } from './oracle.ts';
import { createRandom } from './random.ts';
import { ACTION } from './scenario.ts';
import { expectedVerdict, FUZZ_RULES } from './verdict.ts';
import { DB, UPLINK, WEB, World } from './world.ts';

export interface FuzzResult {
  readonly seed: number;
  readonly packets: number;
  /** Frames that the kernel's test run refused itself. */
  readonly refused: number;
  readonly malformed: number;
  /** Well formed, with an opinion of the oracle; the verdict was compared. */
  readonly compared: number;
  readonly passed: number;
}

const BATCH = 20_000;
/** Frames by grammar in a batch; each is varied BATCH / FRESH times. */
const FRESH = 1_000;
const MEMORY_BYTES = BATCH * 512 + LONGEST_FRAME;
const ACTIONS: readonly number[] = Object.values(ACTION);
const FORGET_AT_ONCE = { tcp_handshake_ns: 0n, tcp_established_ns: 0n, tcp_closed_ns: 0n, other_ns: 0n } as const;

const openWorld = async (remember: boolean): Promise<World> => {
  const world = await World.open({ report_flows: 0, events_per_second: 1, ...(remember ? {} : FORGET_AT_ONCE) });
  const bothWays = [...FUZZ_RULES, ...FUZZ_RULES.map((rule) => ({ ...rule, id: rule.id + 10, egress: true }))];
  await world.policy(WEB, bothWays);
  await world.policy(DB, bothWays);
  return world;
};

/**
 * Throws an AssertionError that names seed and frame at the first difference. `remember`: connections live, as they do
 * on a host; then verdicts of well-formed packets are not compared, only that malformed ones are dropped.
 */
export const fuzzProgram = async (
  program: 'from_workload' | 'to_workload',
  packets: number,
  { seed, remember = false }: { readonly seed?: number; readonly remember?: boolean } = {},
): Promise<FuzzResult> => {
  const world = await openWorld(remember);
  const random = createRandom(seed);
  const sending = program === 'from_workload';
  const ctx = skbContext({ ifindex: WEB.ifindex, ingressIfindex: sending ? WEB.ifindex : UPLINK });
  const memory = Buffer.alloc(MEMORY_BYTES);
  const counts = { refused: 0, malformed: 0, compared: 0, passed: 0 };

  const check = (frame: Buffer, action: number): void => {
    if (action === TEST_RUN_REFUSED) {
      counts.refused++;
      return;
    }
    const where = () => `seed ${random.seed}: ${frame.toString('hex')}`;
    if (!ACTIONS.includes(action)) assert.fail(`returned ${action}; ${where()}`);
    const opinion = judgeFrame(frame);
    const passed = action !== ACTION.drop;
    if (passed) counts.passed++;
    if (opinion !== 'well formed') {
      counts.malformed++;
      if (passed) assert.fail(`let through, but ${opinion}; ${where()}`);
      return;
    }
    const expected = remember ? 'no opinion' : expectedVerdict(frame, sending);
    if (expected === 'no opinion') return;
    counts.compared++;
    if (passed !== (expected === 'pass')) assert.fail(`${passed ? 'passed' : 'dropped'}, not ${expected}; ${where()}`);
  };

  try {
    for (let done = 0; done < packets; ) {
      const count = Math.min(BATCH, packets - done);
      const ends = new Uint32Array(count);
      const fresh = Array.from({ length: Math.min(FRESH, count) }, () => generateFrame(sending, random));
      let end = 0;
      let made = 0;
      for (; made < count && end + LONGEST_FRAME <= memory.length; made++) {
        end = mutateInto(memory, end, fresh[made % fresh.length] as Buffer, random);
        ends[made] = end;
      }
      const data = memory.subarray(0, end);
      const actions = await world.object.program(program).testRuns(data, ends.subarray(0, made), ctx);
      for (let at = 0; at < made; at++)
        check(data.subarray(at === 0 ? 0 : ends[at - 1], ends[at]), actions[at] as number);
      done += made;
      for (const map of remember ? ['conntrack', 'fragments'] : ['fragments']) await world.clear(map);
    }
  } finally {
    world.close();
  }
  return { seed: random.seed, packets, ...counts };
};
