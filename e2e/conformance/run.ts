// SPDX-License-Identifier: Apache-2.0
/** Plays suites in a mode and counts: every cell that a file expects ends as right, wrong or skipped for a reason. */
import { readDnsPattern } from '@weir/policy-engine';
import { refusal } from './admission.ts';
import type { Case, Expected, InvalidPolicy, PatternCase, Suite } from './case.ts';
import type { Action, Mode, Session, World } from './mode.ts';
import { createView } from './view.ts';
import { apply, createState, policyKey, policyName } from './world.ts';

export interface Mismatch {
  readonly file: string;
  readonly case: string;
  /** From 1; absent for what has no steps. */
  readonly step?: number;
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: string;
  readonly port?: number;
  readonly family?: string;
  readonly view?: string;
  readonly wanted: string;
  readonly got: string;
  readonly explanation: string;
}

export interface Tally {
  cells: number;
  wrong: number;
  readonly skipped: Map<string, number>;
  /** The first so many; all are counted. */
  readonly mismatches: Mismatch[];
  /** Cases with a mismatch, to run again. */
  readonly replays: unknown[];
}

export const createTally = (): Tally => ({ cells: 0, wrong: 0, skipped: new Map(), mismatches: [], replays: [] });

export interface Selection {
  /** In `file: case name`. */
  readonly filter?: string;
  readonly skipTags: readonly string[];
}

const MAX_MISMATCHES = 1000;
const MAX_EXPLAINED = 200;

export interface Run {
  readonly mode: Mode;
  readonly tally: Tally;
  readonly selection: Selection;
  readonly onMismatch: (mismatch: Mismatch) => void;
}

const skip = (run: Run, why: string, cells: number): void => {
  if (cells > 0) run.tally.skipped.set(why, (run.tally.skipped.get(why) ?? 0) + cells);
};

const mismatch = (run: Run, found: Mismatch, cells = 1): void => {
  run.tally.wrong += cells;
  run.onMismatch(found);
  if (run.tally.mismatches.length < MAX_MISMATCHES) run.tally.mismatches.push(found);
};

const stopped = (error: unknown): string => (error as Error).message;

const expectedFrom = (one: Case, step: number): number =>
  one.steps.slice(step).reduce((sum, { expected }) => sum + expected.length, 0);

/** What happens to the cells from this step on when one of its policies is not taken; undefined when all are. */
const admission = (actions: readonly Action[]): { skip?: string; wrong?: string } | undefined => {
  for (const action of actions) {
    if (action.do !== 'createPolicy' && action.do !== 'updatePolicy') continue;
    const refused = refusal(action.policy);
    if (!refused) continue;
    if (refused.notYet) return { skip: `policies with ${refused.notYet.join(', ')} are not enforced yet` };
    return { wrong: `the policy ${policyKey(policyName(action.policy))} was refused: ${refused.message}` };
  }
  return undefined;
};

/** Explaining compiles again, and nobody reads thousands. */
const explained = ({ tally }: Run): boolean => tally.wrong < MAX_EXPLAINED;

const answer = async (
  run: Run,
  file: string,
  one: Case,
  at: number,
  session: Session,
  state: ReturnType<typeof createState>,
) => {
  const step = one.steps[at];
  if (!step) return;
  for (const [why, cells] of step.skipped) skip(run, why, cells);
  const asked: Expected[] = [];
  for (const expected of step.expected) {
    const why = run.mode.skips(expected.cell);
    if (why === undefined) asked.push(expected);
    else skip(run, why, 1);
  }
  const verdicts = await session.ask(asked.map(({ cell }) => cell));
  run.tally.cells += asked.length;
  let view: ReturnType<typeof createView> | undefined;
  for (const [index, { cell, want, ends }] of asked.entries()) {
    const got = verdicts[index];
    if (got === want) continue;
    view ??= createView(state);
    mismatch(run, {
      file,
      case: one.name,
      step: at + 1,
      from: ends?.[0] ?? cell.from,
      to: ends?.[1] ?? cell.to,
      protocol: cell.protocol,
      port: cell.port,
      family: `IPv${cell.family}`,
      ...(cell.view === undefined ? {} : { view: cell.view }),
      wanted: want,
      got: got ?? 'no answer',
      explanation: [explained(run) ? view.explain(cell) : '', session.explain(cell)].filter(Boolean).join('\n'),
    });
  }
};

const playCase = async (run: Run, file: string, one: Case): Promise<void> => {
  const probed = one.steps.flatMap(({ expected }) => expected.map(({ cell }) => cell));
  const listens = new Map<string, { protocol: 'TCP' | 'UDP' | 'SCTP'; port: number }>();
  for (const { protocol, port } of probed) {
    if (protocol !== 'ICMP' && protocol !== 'ICMPv6') listens.set(`${protocol}/${port}`, { protocol, port });
  }
  const state = createState(one.world);
  const session = await run.mode.open(one.world, { listens: [...listens.values()] });
  try {
    for (const [at, step] of one.steps.entries()) {
      const problem = admission(step.actions);
      if (problem) {
        for (const { skipped } of one.steps.slice(at)) for (const [why, cells] of skipped) skip(run, why, cells);
        const cells = expectedFrom(one, at);
        if (problem.skip) skip(run, problem.skip, cells);
        else {
          run.tally.cells += cells;
          const facts = { file, case: one.name, step: at + 1, wanted: 'a policy in force', got: 'refused' };
          mismatch(run, { ...facts, explanation: problem.wrong ?? '' }, Math.max(cells, 1));
        }
        return;
      }
      await session.act(step.actions);
      for (const action of step.actions) apply(state, action);
      await answer(run, file, one, at, session, state);
    }
  } finally {
    await session.close();
  }
};

/** Two pods where the policy would be in force: what a refused policy must not have touched. */
const smallWorld = (namespace: string): World => {
  const pod = (name: string, ip4: string, ip6: string) =>
    [`${namespace}/${name}`, { ns: namespace, name, labels: { app: name }, ip4, ip6, ports: [] }] as const;
  return {
    namespaces: new Map([[namespace, {}]]),
    pods: new Map([pod('a', '10.91.0.1', 'fd91::1'), pod('b', '10.91.0.2', 'fd91::2')]),
    externals: new Map(),
  };
};

const playInvalid = async (run: Run, suite: Suite, invalid: readonly InvalidPolicy[]): Promise<void> => {
  const byNamespace = Map.groupBy(invalid, ({ policy }) => {
    const { namespace = 'default' } = policyName(policy);
    return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace) ? namespace : 'default';
  });
  for (const [namespace, policies] of byNamespace) {
    const session = await run.mode.open(smallWorld(namespace), { listens: [{ protocol: 'TCP', port: 80 }] });
    try {
      for (const { name, policy, why } of policies) {
        const refused = await session.refused(policy);
        run.tally.cells++;
        if (refused !== undefined && refused.path !== '') continue;
        mismatch(run, {
          file: suite.file,
          case: name,
          wanted: 'a refusal with the path of the field',
          got: refused === undefined ? 'taken' : `refused without a path: ${refused.message}`,
          explanation: why,
        });
      }
      const cells = [
        ['a', 'b'],
        ['b', 'a'],
      ].map(([from, to]) => {
        const ends = { from: `${namespace}/${from}`, to: `${namespace}/${to}` };
        return { ...ends, protocol: 'TCP', port: 80, family: 4 } as const;
      });
      const verdicts = await session.ask(cells);
      run.tally.cells += cells.length;
      for (const [at, { from, to, protocol, port }] of cells.entries()) {
        if (verdicts[at] === 'allow') continue;
        const facts = { file: suite.file, case: 'after the refused policies', from, to, protocol, port };
        const explanation = 'something of a refused policy is in force';
        mismatch(run, { ...facts, family: 'IPv4', wanted: 'allow', got: verdicts[at] ?? 'no answer', explanation });
      }
    } finally {
      await session.close();
    }
  }
};

const playPattern = (run: Run, suite: Suite, one: PatternCase): void => {
  const { matcher, message } = readDnsPattern(one.pattern);
  for (const [want, names] of [
    ['accept', one.accept],
    ['reject', one.reject],
  ] as const) {
    for (const name of names) {
      run.tally.cells++;
      const got = matcher === undefined ? `the pattern ${message}` : matcher.matches(name) ? 'accept' : 'reject';
      if (got === want) continue;
      const explanation = `pattern ${one.pattern}, name ${name}`;
      mismatch(run, { file: suite.file, case: one.name, wanted: `${want} ${name}`, got, explanation });
    }
  }
};

const playInvalidPattern = (run: Run, suite: Suite, pattern: string): void => {
  run.tally.cells++;
  if (readDnsPattern(pattern).matcher === undefined) return;
  const found = { file: suite.file, case: JSON.stringify(pattern), wanted: 'a refusal', got: 'taken' };
  mismatch(run, { ...found, explanation: 'this is no pattern' });
};

const chosen = ({ filter }: Selection, file: string, name: string): boolean =>
  filter === undefined || `${file}: ${name}`.includes(filter);

/** Cases may be made while they are played. */
export const runCases = async (run: Run, file: string, cases: Iterable<Case>): Promise<void> => {
  const { selection, tally } = run;
  for (const one of cases) {
    if (!chosen(selection, file, one.name)) continue;
    const tag = one.tags.find((name) => selection.skipTags.includes(name));
    if (tag !== undefined) {
      skip(run, `tag ${tag}`, expectedFrom(one, 0));
      continue;
    }
    const before = tally.wrong;
    try {
      await playCase(run, file, one);
    } catch (error) {
      throw new Error(`${file}: ${one.name}: ${stopped(error)}`, { cause: error });
    }
    if (tally.wrong > before) tally.replays.push(one.replay);
  }
};

export const runSuite = async (run: Run, suite: Suite): Promise<void> => {
  const { selection } = run;
  await runCases(run, suite.file, suite.cases);
  await playInvalid(
    run,
    suite,
    suite.invalid.filter(({ name }) => chosen(selection, suite.file, name)),
  );
  for (const one of suite.patterns) if (chosen(selection, suite.file, one.name)) playPattern(run, suite, one);
  for (const one of suite.invalidPatterns) if (chosen(selection, suite.file, one)) playInvalidPattern(run, suite, one);
};
