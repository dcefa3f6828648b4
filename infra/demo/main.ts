// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run demo`: a fleet of three hosts on this machine, real traffic, a policy from a file, an agent killed in the
 * middle. `-- --once` does the same, then ends with status 0 when everything came out as it should, else 1.
 */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { toWeirError } from '@weir/errors';
import { callApi } from '../src/api.ts';
import { createFleet, type Fleet } from '../src/fleet.ts';
import { PATIENT_TIMEOUT_MS } from '../src/traffic.ts';
import { CONVERSATIONS, describe, HOSTS, WORKLOADS } from './scenario.ts';
import { bad, createSteps, good, heading, print, table } from './screen.ts';
import { addressOf, decidingFlow, type FlowView, talkAll, workloadByName } from './traffic.ts';

const POLICY = new URL('./policy.yaml', import.meta.url).pathname;
const CLI = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;
const FLEET_DIR = new URL('../../.weir/demo', import.meta.url).pathname;

const { values: args } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
const failures: string[] = [];
const expect = (fact: boolean, text: string): string => {
  if (!fact) failures.push(text);
  return fact ? good('ok') : bad('WRONG');
};

const weir = async (fleet: Fleet, ...words: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...words], {
    env: { ...process.env, ...fleet.control.cliEnv },
  });
  return stdout.trimEnd();
};

const showBefore = async (fleet: Fleet): Promise<void> => {
  heading('Before any policy, everybody reaches everybody');
  const talks = await talkAll(fleet, CONVERSATIONS, () => true);
  table(
    talks.map(({ conversation, result }) => [
      describe(conversation),
      result.ok ? good('answered') : bad(result.outcome),
      `${result.ms} ms`,
      expect(result.ok, `before: ${describe(conversation)} did not answer (${result.outcome})`),
    ]),
  );
};

const because = (flow: FlowView): string => {
  const rule = flow.rule ? `${flow.rule.policy} ${flow.rule.path}` : 'no rule (default allow)';
  return flow.drop_reason ? `${flow.drop_reason.text}: ${rule}` : rule;
};

/** Set by showAfter: the revision that every host must hold from then on. */
let policyRevision = 0;

const showAfter = async (fleet: Fleet): Promise<void> => {
  heading('$ weir apply -f infra/demo/policy.yaml');
  print(await weir(fleet, 'apply', '-f', POLICY, '--wait'));
  policyRevision = (
    await callApi<{ items: { revision: number }[] }>(`${fleet.control.urls.policy}/v1/policies`)
  ).items.reduce((newest, { revision }) => Math.max(newest, revision), 0);
  heading('After it, only what was drawn; the rule that decided, read back from the flows');
  const since = Date.now();
  const talks = await talkAll(fleet, CONVERSATIONS, ({ allowedAfter }) => allowedAfter);
  const flows = await Promise.all(talks.map(({ conversation }) => decidingFlow(fleet, conversation, since)));
  table(
    talks.map(({ conversation, result }, i) => {
      const flow = flows[i] as FlowView;
      const right =
        result.ok === conversation.allowedAfter && (flow.verdict === 'FORWARDED') === conversation.allowedAfter;
      return [
        describe(conversation),
        result.ok ? good('answered') : bad('refused'),
        flow.verdict,
        because(flow),
        expect(right, `after: ${describe(conversation)} ${result.outcome}, flow ${flow.verdict}`),
      ];
    }),
  );
};

/** Kills the agent of the database's host under established connections and forbidden attempts. */
const showAgentKilled = async (fleet: Fleet): Promise<void> => {
  heading('The agent of h2 is killed with -9 in the middle, and started again');
  const api = workloadByName(fleet, 'api');
  const client = workloadByName(fleet, 'client');
  const target = { host: addressOf(fleet, 'db', 4), port: 5432 };
  const hold = await api.hold({ ...target, connections: 20, tickMs: 10, stallMs: 1_000 });
  await sleep(500);
  const forbidden = async (): Promise<number> =>
    (await client.probes(Array.from({ length: 20 }, () => ({ protocol: 'tcp' as const, ...target })))).filter(
      (p) => p.ok,
    ).length;
  await fleet.agents.get('h2')?.kill();
  const atKill = await hold.report();
  const passedWhileDown = await forbidden();
  const newWhileDown = await api.probe({ protocol: 'tcp', ...target, timeoutMs: PATIENT_TIMEOUT_MS });
  const beforeStart = await hold.report();
  await fleet.startAgent('h2');
  const passedAfterStart = await forbidden();
  await sleep(500);
  const report = await hold.stop();
  table([
    ['20 established connections api -> db while it was dead', `${beforeStart.answered - atKill.answered} echoes`],
    [
      '  reset or stalled over 1 s, until after the restart',
      `${report.resets + report.stalls}`,
      expect(
        report.resets + report.stalls === 0 && beforeStart.answered > atKill.answered,
        'connections broke when the agent was killed',
      ),
    ],
    [
      'a new connection api -> db while it was dead',
      newWhileDown.outcome,
      expect(newWhileDown.ok, 'no new connection while the agent was dead'),
    ],
    [
      '20 forbidden client -> db while it was dead',
      `${passedWhileDown} passed`,
      expect(passedWhileDown === 0, 'forbidden connection passed while the agent was dead'),
    ],
    [
      '20 forbidden client -> db after the restart',
      `${passedAfterStart} passed`,
      expect(passedAfterStart === 0, 'forbidden connection passed after the restart'),
    ],
  ]);
};

const showWhereToLook = async (fleet: Fleet): Promise<void> => {
  await fleet.waitReported('policy', policyRevision);
  heading('$ weir status');
  print(await weir(fleet, 'status'));
  heading('$ weir observe --last 6 --verdict DROPPED');
  print(await weir(fleet, 'observe', '--last', '6', '--verdict', 'DROPPED'));
  heading('APIs (REST, with OpenAPI at /docs)');
  table(Object.entries(fleet.control.urls).map(([name, url]) => [name, `${url}/docs`]));
  if (args.once) return;
  heading('Try, in another terminal, in this folder');
  for (const line of [
    'npx weir get workloads -o wide',
    'npx weir observe --follow',
    `curl -s '${fleet.control.urls.analytics}/v1/service-map' | jq .edges`,
    'npx weir delete CiliumNetworkPolicy/shop/db-from-api',
    `curl -s --unix-socket ${fleet.agents.get('h1')?.socket} http://h1/workloads | jq .`,
  ]) {
    print(`  ${line}`);
  }
  print();
  print('The fleet runs until Ctrl-C.');
};

const main = async (): Promise<number> => {
  const step = createSteps();
  const fleet = await createFleet({
    name: 'demo',
    dir: FLEET_DIR,
    hosts: HOSTS,
    ports: { inventory: 7101, policy: 7102, analytics: 7103 },
    onStep: step,
  });
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const run = async () => {
    step(`workloads ${WORKLOADS.map((w) => `${w.name} on ${w.host}`).join(', ')}`);
    await Promise.all(WORKLOADS.map((spec) => fleet.addWorkload(spec)));
    await showBefore(fleet);
    await showAfter(fleet);
    await showAgentKilled(fleet);
    await showWhereToLook(fleet);
    if (!args.once) await interrupted;
  };
  try {
    await Promise.race([run(), interrupted]);
  } catch (error) {
    failures.push(toWeirError(error).message);
    print(bad(error instanceof Error ? (error.stack ?? error.message) : String(error)));
    print(`logs of every process: ${fleet.logDir}`);
    if (!args.once) await interrupted;
  } finally {
    heading('Taking the fleet down');
    await fleet.destroy();
    print('nothing is left behind');
  }
  for (const failure of failures) print(bad(`FAILED: ${failure}`));
  return failures.length === 0 ? 0 : 1;
};

process.exitCode = await main();
process.exit();
