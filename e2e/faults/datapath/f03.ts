// SPDX-License-Identifier: Apache-2.0
/** F03: the agent dies at a random write of a random change of 1,000 rules; nothing forbidden passes, and it catches up. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { applyPolicy, POLICY, type Scene, total, watchTraffic } from './scene.ts';

const KILLS = size({ short: 2, long: 200 });
const RULES = 1_000;
const ROW_MS = 10_000;
const PATIENT_MS = 60_000;
/** The first or second pass reaches every step; a change that makes none is killed then. */
const DIES_WITHIN_MS = 10_000;

/** The steps that a change of policy and of workloads passes; services/agent names them. */
const STEPS = [
  ...['closed', 'begun', 'prepared', 'cidrs-written', 'swapped', 'ipcache-written', 'addresses-written'],
  ...['cidrs-removed', 'ipcache-removed', 'committed', 'routes-written'],
].map((step) => `apply.${step}`);

/** 1,000 rules, of which each version has others: prefixes come, go and change their ports. */
const churned = (version: number): string => {
  const rules = Array.from({ length: RULES }, (_, i) => {
    const n = i + (version % 7) * 100;
    return `    - from: [ { ipBlock: { cidr: 100.65.${n >> 8}.${n & 255}/32 } } ]\n      ports: [ { port: ${2000 + ((i + version) % 50)} } ]`;
  });
  return `${POLICY}${rules.join('\n')}\n`;
};

export const killedInWrites = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, fleet } = scene;
  const watch = await watchTraffic(scene);
  const reached = new Set<string>();
  let atFailpoint = 0;
  let slowestMs = 0;
  let late = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const step = STEPS[Math.floor(Math.random() * STEPS.length)] as string;
    await agent.kill();
    // It may die in its first pass, before it is ready: that is a kill as good as any.
    const started = agent.start({ WEIR_AGENT_FAILPOINT: `${step}:${1 + (kill % 2)}` }).then(
      () => true,
      () => false,
    );
    const revision = await applyPolicy(scene, churned(kill));
    if (await started) {
      const died = await Promise.race([agent.process.exited.then(() => true), sleep(DIES_WITHIN_MS, false)]);
      if (died) {
        atFailpoint++;
        reached.add(step);
      }
    } else {
      atFailpoint++;
      reached.add(step);
    }
    await agent.kill();
    await agent.start();
    const startMs = performance.now();
    await fleet.waitRealised(revision, PATIENT_MS);
    const tookMs = performance.now() - startMs;
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > ROW_MS) late++;
  }
  const { forbidden, allowed } = await watch.stop();
  await fleet.waitRealised(await applyPolicy(scene, POLICY), PATIENT_MS);
  const passed = total(forbidden, 'answered');
  const failed = allowed.refused + allowed.lost;
  const figures = { kills: KILLS, at_failpoint: atFailpoint, steps: reached.size, rules: RULES };
  const probes = { forbidden: total(forbidden, 'sent'), passed, allowed: allowed.sent, allowed_failed: failed };
  report(t, 'F03', { ...figures, ...probes, slowest_s: (slowestMs / 1000).toFixed(1), late }, [
    ['0 forbidden probes pass', passed === 0 && total(forbidden, 'sent') > 0],
    ['0 allowed connections fail', failed === 0 && allowed.answered > 0],
    ['desired = realised 10 s after restart', !isLong || late === 0],
    ['the agent died inside a change', atFailpoint > 0],
  ]);
};
