// SPDX-License-Identifier: Apache-2.0
/** What must be true of the fleet that compose started, seen through published ports and real sockets. */
import assert from 'node:assert/strict';
import { until } from '@weir/infra/fleet';
import type { Engine } from './engine.ts';
import { checkPairs, probe, underTraffic } from './probes.ts';
import { compose, run, type Say, weir } from './run.ts';

const POLICY = new URL('../../infra/demo/policy.yaml', import.meta.url).pathname;
const HOSTS = ['h1', 'h2', 'h3'];
const HEALTHY_MS = 300_000;
const REALISED_MS = 120_000;
const FLOW_MS = 120_000;
const UP_MS = 600_000;
const STOP_MS = 60_000;

interface Container {
  readonly service: string;
  readonly status: string;
  readonly exitCode: number;
  readonly health: string;
}

const containers = async (engine: Engine): Promise<Container[]> => {
  const ids = (await compose(engine, 30_000, 'ps', '-a', '-q')).trim().split('\n');
  const format =
    '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{end}}';
  const text = await run(engine.env, 30_000, 'docker', 'inspect', '-f', format, ...ids);
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [service = '', status = '', exitCode, health = ''] = line.split(' ');
      return { service, status, exitCode: Number(exitCode), health };
    });
};

const isWell = ({ status, exitCode, health }: Container): boolean =>
  status === 'running' ? health === 'healthy' : status === 'exited' && exitCode === 0;

const waitWell = async (engine: Engine): Promise<Container[]> => {
  let found: Container[] = [];
  await until(
    'every container to be healthy',
    HEALTHY_MS,
    async () => {
      found = await containers(engine);
      return found.every(isWell);
    },
    () => JSON.stringify(found.filter((container) => !isWell(container))),
  );
  return found;
};

const items = async <T>(engine: Engine, ...words: string[]): Promise<T[]> => {
  const answer = JSON.parse(await weir(engine, ...words, '-o', 'json')) as T[] | { items: T[] };
  return Array.isArray(answer) ? answer : answer.items;
};

interface Flow {
  readonly verdict: string;
  readonly is_reply: boolean;
  readonly rule: { readonly policy: string | null } | null;
}

const checkFlows = async (engine: Engine, say: Say): Promise<void> => {
  for (const { to, from, verdict, rule } of [
    { from: 'shop/api', to: 'shop/db', verdict: 'FORWARDED', rule: 'db-from-api' },
    { from: 'shop/client', to: 'shop/db', verdict: 'DROPPED', rule: 'db-from-api' },
  ]) {
    let seen: Flow[] = [];
    await until(
      `a flow ${from} -> ${to} ${verdict} by ${rule}`,
      FLOW_MS,
      async () => {
        const words = ['observe', '--last', '50', '--from-workload', from, '--to-workload', to, '--verdict', verdict];
        const lines = (await weir(engine, ...words, '-o', 'json')).trim();
        seen = lines === '' ? [] : lines.split('\n').map((line) => JSON.parse(line) as Flow);
        return seen.some((flow) => flow.rule?.policy?.includes(rule) === true);
      },
      () => JSON.stringify(seen.slice(0, 3)),
    );
    say(`  flow ${from} -> ${to} stored: ${verdict} by ${rule}`);
  }
};

interface Path {
  readonly from: string;
  readonly to: string;
  readonly target: 'host' | 'endpoint';
  readonly status: string;
}

/** Hosts, and the health endpoint of each, which only packets of the datapath reach. */
const checkHealth = async (engine: Engine, say: Say, when: string): Promise<void> => {
  let paths: Path[] = [];
  let trouble = '';
  const isReached = (from: string, to: string, target: Path['target']): boolean => {
    const mine = paths.filter((path) => path.from === from && path.to === to && path.target === target);
    return mine.length > 0 && mine.every(({ status }) => status === 'reachable');
  };
  await until(
    `${when}: hosts and health endpoints to be reached by every other host`,
    HEALTHY_MS,
    async () => {
      try {
        paths = await items<Path>(engine, 'health');
      } catch (error) {
        // The command fails while something is out of reach, and shows what.
        trouble = String(error);
        return false;
      }
      return HOSTS.every((from) =>
        HOSTS.filter((to) => to !== from).every((to) => isReached(from, to, 'host') && isReached(from, to, 'endpoint')),
      );
    },
    () => `${JSON.stringify(paths)} ${trouble}`,
  );
  say(`  ${when}: ${paths.length} paths between hosts and health endpoints are reachable`);
};

const checkStart = async (engine: Engine, say: Say): Promise<void> => {
  const all = await waitWell(engine);
  say(`${all.length} containers: ${all.filter(({ status }) => status === 'running').length} healthy, the others done`);

  const hosts = await items<{ id: string; state: string }>(engine, 'get', 'hosts');
  assert.deepEqual(
    hosts.map(({ id, state }) => `${id} ${state}`).sort(),
    HOSTS.map((host) => `${host} alive`),
  );
  const workloads = await items<{ id: string; state: string }>(engine, 'get', 'workloads');
  assert.deepEqual(workloads.map(({ id, state }) => `${id} ${state}`).sort(), [
    'shop.api ready',
    'shop.client ready',
    'shop.db ready',
    'shop.web ready',
  ]);
  say('weir from the host: 3 hosts alive, 4 workloads ready');

  await checkPairs(engine, say, 'policy applied');
  await checkHealth(engine, say, 'policy applied');
  await checkFlows(engine, say);
};

/** A connection that was allowed is refused once a policy says so. */
const checkPolicy = async (engine: Engine, say: Say): Promise<void> => {
  const clientToDb = (wanted: string): Promise<void> => {
    let last: readonly string[] | undefined;
    return until(
      `client -> db: ${wanted}`,
      REALISED_MS,
      async () => {
        last = (await probe(engine)).get('client -> db');
        return last?.length === 2 && last.every((outcome) => outcome === wanted);
      },
      () => String(last),
    );
  };
  say('weir delete: the policy of the database');
  await weir(engine, 'delete', 'CiliumNetworkPolicy/shop/db-from-api');
  await clientToDb('answered');
  say('  client -> db answered');
  say('weir apply -f infra/demo/policy.yaml --wait');
  await weir(engine, 'apply', '-f', POLICY, '--wait');
  await clientToDb('timeout');
  await checkPairs(engine, say, 'policy applied again');
};

const restartsOf = async (engine: Engine, service: string): Promise<number> => {
  const id = (await compose(engine, STOP_MS, 'ps', '-q', service)).trim();
  return Number(await run(engine.env, STOP_MS, 'docker', 'inspect', '-f', '{{.RestartCount}}', id));
};

/** Without `pkill`: the image has only what Weir needs. The brackets keep it from finding itself. */
const KILL_AGENT = 'kill -9 $(grep -ls "agent/src/[m]ain.ts" /proc/[0-9]*/cmdline | cut -d/ -f3)';

/** Killed as an operator would and started again; then ended as by a crash, after which Docker starts it. */
const checkAgentKilled = async (engine: Engine, say: Say): Promise<void> => {
  say('the container of the agent of h2 is killed while api -> db goes on');
  await underTraffic(engine, say, async () => {
    await compose(engine, STOP_MS, 'kill', 'agent-h2');
    await checkPairs(engine, say, 'agent away');
    await compose(engine, STOP_MS, 'start', 'agent-h2');
    await waitWell(engine);
    await checkPairs(engine, say, 'agent back');
  });
  say('the program of that agent is killed');
  const before = await restartsOf(engine, 'agent-h2');
  await underTraffic(engine, say, async () => {
    // Detached: an engine may never answer for a command that ends with the container it is in.
    await compose(engine, STOP_MS, 'exec', '-d', 'agent-h2', 'sh', '-c', KILL_AGENT);
    await until('Docker to start it', REALISED_MS, async () => (await restartsOf(engine, 'agent-h2')) > before);
    await waitWell(engine);
  });
  await checkHealth(engine, say, 'agent back');
  await checkPolicy(engine, say);
};

/** `keys`, `migrate` and `setup` run again and find everything there. */
const checkUpAgain = async (engine: Engine, say: Say): Promise<void> => {
  say('docker-compose up, once more');
  await compose(engine, UP_MS, 'up', '-d');
  await waitWell(engine);
  await checkPairs(engine, say, 'up again');
};

export const checkFleet = async (engine: Engine, say: Say): Promise<void> => {
  await checkStart(engine, say);
  await checkPolicy(engine, say);
  await checkAgentKilled(engine, say);
  await checkUpAgain(engine, say);
};
