// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run test:compose`: infra/compose.yaml as a user runs it, in a Docker engine that this program starts and ends.
 *
 *   npm run test:compose              base images are built offline (infra/images/offline-bases.sh)
 *   npm run test:compose -- --pull    base images are pulled
 *   npm run test:compose -- --keep    the fleet stays until Ctrl-C
 *
 * Takes everything away afterwards, also when something failed. File systems of the base images are kept in
 * .weir/compose-bases for the next run.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { removeRemains } from '@weir/infra/remains';
import { Resources } from '@weir/infra/resources';
import { checkFleet } from './checks.ts';
import { type Engine, startEngine } from './engine.ts';
import { compose, createSay, endCommands, run } from './run.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const DIR = `${ROOT}.weir/compose`;
const BASES = `${ROOT}.weir/compose-bases`;
const BASES_MS = 15 * 60_000;
const BUILD_MS = 15 * 60_000;
const UP_MS = 10 * 60_000;
const DOWN_MS = 5 * 60_000;

const { values: options } = parseArgs({
  options: { pull: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
});
const say = createSay();

const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(signal)));
});

const test = async (engine: Engine): Promise<void> => {
  if (!options.pull) {
    say('base images, built without a registry');
    await run(engine.env, BASES_MS, `${ROOT}infra/images/offline-bases.sh`, BASES);
  }
  say('docker-compose build: the image');
  // One image for all; 1.29 would build it anew for each service that names it.
  await compose(engine, BUILD_MS, 'build', 'keys');
  say('docker-compose up');
  await compose(engine, UP_MS, 'up', '-d');
  await checkFleet(engine, say);
  if (options.keep) {
    say(`the fleet runs until Ctrl-C; DOCKER_HOST=${engine.env.DOCKER_HOST}, nsenter --net=/run/netns/${engine.netns}`);
    await interrupted.catch(() => {});
  }
};

const showLogs = async (engine: Engine): Promise<void> => {
  for (const words of [['ps'], ['logs', '--no-color', '--tail=60']]) {
    process.stderr.write(await compose(engine, 30_000, ...words).catch(String));
  }
};

/** What this run may have left on the machine. */
const remains = (): string[] => [
  ...readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(DIR) || line.includes(`weir-docker-${process.pid}`)),
  ...[`/run/netns/weir-docker-${process.pid}`, `/run/weir-docker-${process.pid}`, DIR].filter(existsSync),
];

const main = async (): Promise<number> => {
  let engine: Engine | undefined;
  let failed: unknown;
  say('what an earlier run left is taken away');
  await removeRemains(DIR);
  const resources = new Resources(DIR);
  try {
    say('dockerd in namespaces of its own');
    engine = await startEngine(resources, DIR);
    await Promise.race([test(engine), interrupted]);
  } catch (error) {
    failed = error;
    endCommands();
    if (engine) await showLogs(engine);
  }
  say('docker-compose down -v, and the engine');
  try {
    if (engine) await compose(engine, DOWN_MS, 'down', '-v', '--remove-orphans');
  } catch (error) {
    failed ??= error;
  }
  await removeRemains(DIR);
  const left = remains();
  if (left.length > 0) failed ??= new Error(`left behind: ${left.join(', ')}`);
  else say('nothing is left behind');
  if (failed === undefined) {
    say('PASS');
    return 0;
  }
  process.stderr.write(`FAILED: ${failed instanceof Error ? failed.message : failed}\n`);
  return 1;
};

process.exit(await main());
