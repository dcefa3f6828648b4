// SPDX-License-Identifier: Apache-2.0
/** What a fleet's processes and stores take, looked at again and again, and how it grows. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool } from '@weir/db';

const PAGE_BYTES = 4096;
/** USER_HZ, the same on every architecture. */
const TICKS_PER_S = 100;
const MIB = 1 << 20;

export interface Sample {
  readonly atS: number;
  /** By what is measured, in the unit that its name ends with. */
  readonly values: Readonly<Record<string, number>>;
}

interface ProcessFacts {
  readonly rssMib: number;
  readonly cpuS: number;
  readonly fds: number;
}

const statOf = (pid: number): string[] => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};

const processFacts = (pid: number): ProcessFacts => {
  const fields = statOf(pid);
  return {
    rssMib: (Number(fields[21]) * PAGE_BYTES) / MIB,
    cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S,
    fds: readdirSync(`/proc/${pid}/fd`).length,
  };
};

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => {
      try {
        return Number(statOf(other)[1]) === pid;
      } catch {
        return false;
      }
    });

/** A server of many processes counts as one; its shared memory is in it as often as it has children, so no sum of RSS. */
const familyCpuS = (pid: number): number =>
  [pid, ...childrenOf(pid)].reduce((sum, one) => {
    try {
      // Children that ended are in their parent's account.
      const fields = statOf(one);
      return sum + [11, 12, 13, 14].reduce((ticks, at) => ticks + Number(fields[at]), 0) / TICKS_PER_S;
    } catch {
      return sum;
    }
  }, 0);

const bytesBelow = (path: string): number => {
  try {
    if (!statSync(path).isDirectory()) return statSync(path).size;
    return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
  } catch {
    return 0; // gone meanwhile
  }
};

const TABLES = `select schemaname as schema, sum(pg_total_relation_size(relid))::float8 as bytes
  from pg_stat_user_tables where schemaname in ('inventory', 'policy', 'analytics') group by 1`;
const OUTBOXES = `select (select count(*) from inventory.bus_outbox)::float8 as inventory,
  (select count(*) from policy.bus_outbox)::float8 as policy`;

export interface Sampled {
  readonly services: Readonly<Record<string, number>>;
  readonly agents: readonly number[];
  readonly postgres: number;
  readonly natsDir: string;
  readonly databaseUrl: string;
}

export class Sampler {
  readonly samples: Sample[] = [];
  readonly #what: Sampled;
  readonly #started = performance.now();
  readonly #pool;
  readonly #stopped = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(what: Sampled) {
    this.#what = what;
    this.#pool = createPool({ url: what.databaseUrl, max: 1, name: 'churn samples' });
  }

  async #take(): Promise<void> {
    const { services, agents, postgres, natsDir } = this.#what;
    const values: Record<string, number> = {};
    for (const [name, pid] of Object.entries(services)) {
      const { rssMib, cpuS, fds } = processFacts(pid);
      Object.assign(values, { [`${name} RSS MiB`]: rssMib, [`${name} CPU s`]: cpuS, [`${name} descriptors`]: fds });
    }
    const facts = agents.map(processFacts);
    values['agents RSS MiB'] = facts.reduce((sum, { rssMib }) => sum + rssMib, 0);
    values['agents CPU s'] = facts.reduce((sum, { cpuS }) => sum + cpuS, 0);
    values['agents descriptors'] = facts.reduce((sum, { fds }) => sum + fds, 0);
    values['postgres CPU s'] = familyCpuS(postgres);
    values['streams MiB'] = bytesBelow(natsDir) / MIB;
    for (const { schema, bytes } of (await this.#pool.query(TABLES)).rows) values[`${schema} tables MiB`] = bytes / MIB;
    const outbox = (await this.#pool.query(OUTBOXES)).rows[0] as { inventory: number; policy: number };
    values['inventory outbox rows'] = outbox.inventory;
    values['policy outbox rows'] = outbox.policy;
    this.samples.push({ atS: (performance.now() - this.#started) / 1000, values });
  }

  start(everyMs: number): void {
    this.#loop = (async () => {
      while (!this.#stopped.signal.aborted) {
        await this.#take();
        await sleep(everyMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
      }
    })();
  }

  async stop(): Promise<readonly Sample[]> {
    this.#stopped.abort();
    await this.#loop;
    await this.#take();
    await this.#pool.end();
    return this.samples;
  }
}

/** Least squares over the later half, when caches and heaps have their size: units per minute. */
export const growthPerMinute = (samples: readonly Sample[], name: string): number => {
  const points = samples
    .slice(Math.floor(samples.length / 2))
    .map(({ atS, values }) => [atS, values[name] ?? 0] as const);
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : (above / below) * 60;
};
