// SPDX-License-Identifier: Apache-2.0
/**
 * The changes of the churn: a fleet's workloads and policies made through the public APIs, then changed one after the
 * other, each timed until every host says that it holds it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type ApiOptions, callAll, callApi } from '@weir/infra/api';

export interface ChurnSize {
  readonly hosts: number;
  readonly workloads: number;
  readonly policies: number;
  /** Changes under way at once, of each sort. */
  readonly writers: number;
  readonly durationMs: number;
}

export interface Urls {
  readonly inventory: string;
  readonly policy: string;
}

/** Different label sets: identities of the fleet. */
const APPS = 200;
const DOCUMENTS_PER_REQUEST = 100;
const REGISTRARS = 8;
const POLL_MS = 100;
/** A bound for what hangs, not a goal: times are what is reported. */
const REALISED_MS = 600_000;
const PORT_MIN = 1024;

export const hostName = (i: number): string => `host-${String(i).padStart(4, '0')}`;
const NAMESPACE = 'churn';
const appOf = (i: number): string => `app-${i % APPS}`;

/** `version` makes it another document. */
const policyText = (i: number, version: number): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: policy-${i}, namespace: ${NAMESPACE} }
spec:
  endpointSelector: { matchLabels: { app: ${appOf(i)} } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: ${appOf(i * 7 + 1)} } }]
      toPorts: [{ ports: [{ port: "${PORT_MIN + ((i + version) % 60_000)}", protocol: TCP }] }]
`;

/** Runs `work` on every number below `count`, `width` of them at once. */
const each = async (count: number, width: number, work: (i: number) => Promise<void>): Promise<void> => {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, count) }, async () => {
      while (next < count) await work(next++);
    }),
  );
};

const RETRY_MS = 1_000;

/** As a client should, it asks again when the answer is 503: a machine that is busy with others answers so. */
const insist = async <T>(url: string, options: ApiOptions = {}): Promise<T> => {
  const end = performance.now() + REALISED_MS;
  for (;;) {
    try {
      return await callApi<T>(url, options);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503 || performance.now() > end) throw error;
      await sleep(RETRY_MS);
    }
  }
};

interface HostView {
  readonly id: string;
  readonly state: string;
  readonly realised: Readonly<Record<string, number>>;
}

/** One reader for all who wait: what the slowest host has realised of inventory, by its acks and heartbeats. */
export class Realised {
  readonly #urls: Urls;
  readonly #waiting = new Set<{ readonly revision: number; readonly done: () => void }>();
  readonly #stopped = new AbortController();
  readonly #reading: Promise<void>;

  constructor(urls: Urls) {
    this.#urls = urls;
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await sleep(POLL_MS);
      if (this.#waiting.size === 0) continue;
      const hosts = await callAll<HostView>(`${this.#urls.inventory}/v1/hosts?limit=1000`).catch(() => []);
      if (hosts.length === 0) continue;
      const slowest = Math.min(...hosts.map(({ realised }) => realised.inventory ?? 0));
      for (const waiter of this.#waiting) if (waiter.revision <= slowest) waiter.done();
    }
  }

  inventory(revision: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        done: () => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(waiter);
        reject(new Error(`revision ${revision} of inventory is not realised after ${REALISED_MS} ms`));
      }, REALISED_MS);
      this.#waiting.add(waiter);
    });
  }

  async policy(revision: number): Promise<void> {
    const end = performance.now() + REALISED_MS;
    for (;;) {
      const { hosts } = await insist<{ hosts: { host: string; state: string; error?: string | null }[] }>(
        `${this.#urls.policy}/v1/revisions/${revision}?wait_s=10`,
      );
      const failed = hosts.find(({ state }) => state === 'failed');
      if (failed) throw new Error(`${failed.host} could not take revision ${revision}: ${failed.error}`);
      if (hosts.every(({ state }) => state === 'realised')) return;
      if (performance.now() > end) {
        const behind = hosts.filter(({ state }) => state !== 'realised').map(({ host, state }) => `${host} ${state}`);
        throw new Error(
          `revision ${revision} is not realised after ${REALISED_MS} ms: ${behind.slice(0, 5).join(', ')}`,
        );
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#reading;
  }
}

export const waitAlive = async (urls: Urls, hosts: number): Promise<void> => {
  const end = performance.now() + REALISED_MS;
  for (;;) {
    const views = await callAll<HostView>(`${urls.inventory}/v1/hosts?limit=1000`);
    const alive = views.filter(({ state }) => state === 'alive').length;
    if (alive === hosts) return;
    if (performance.now() > end) throw new Error(`${alive} of ${hosts} hosts are alive after ${REALISED_MS} ms`);
    await sleep(POLL_MS);
  }
};

const applyPolicies = async (urls: Urls, numbers: readonly number[], version: number): Promise<number> => {
  const text = numbers.map((i) => policyText(i, version)).join('---\n');
  const { revision } = await insist<{ revision: number }>(`${urls.policy}/v1/policies`, {
    raw: { type: 'application/yaml', text },
  });
  return revision;
};

/** Registers everything; resolves when every host has it. Milliseconds of each half. */
export const fill = async (
  urls: Urls,
  size: ChurnSize,
  realised: Realised,
  onStep: (text: string) => void,
): Promise<{ workloadsMs: number; policiesMs: number }> => {
  const started = performance.now();
  let newest = 0;
  await each(size.workloads, REGISTRARS, async (i) => {
    const { revision } = await insist<{ revision: number }>(`${urls.inventory}/v1/workloads`, {
      // Made once, also when the answer of the first time went wrong.
      headers: { 'idempotency-key': randomUUID() },
      body: {
        name: `w-${i}`,
        namespace: NAMESPACE,
        host: hostName(i % size.hosts),
        labels: { app: appOf(i) },
        netns: `/run/netns/churn-${i}`,
      },
    });
    newest = Math.max(newest, revision);
  });
  onStep(`${size.workloads} workloads are registered after ${Math.round((performance.now() - started) / 1000)} s`);
  await realised.inventory(newest);
  const workloadsMs = performance.now() - started;
  onStep(`and realised after ${Math.round(workloadsMs / 1000)} s`);
  const batches = Math.ceil(size.policies / DOCUMENTS_PER_REQUEST);
  let last = 0;
  for (let batch = 0; batch < batches; batch++) {
    const first = batch * DOCUMENTS_PER_REQUEST;
    const count = Math.min(DOCUMENTS_PER_REQUEST, size.policies - first);
    last = await applyPolicies(
      urls,
      Array.from({ length: count }, (_, i) => first + i),
      0,
    );
  }
  await realised.policy(last);
  return { workloadsMs, policiesMs: performance.now() - started - workloadsMs };
};

export interface Changes {
  /** Milliseconds from the request to the last host's word, by sort of change. */
  readonly labels: readonly number[];
  readonly policies: readonly number[];
}

/** Changes labels and policies for as long as the size says. */
export const change = async (urls: Urls, size: ChurnSize, realised: Realised): Promise<Changes> => {
  const end = performance.now() + size.durationMs;
  const labels: number[] = [];
  const policies: number[] = [];
  let workload = 0;
  let policy = 0;
  const changeLabels = async (): Promise<void> => {
    while (performance.now() < end) {
      const i = workload++;
      const started = performance.now();
      const { revision } = await insist<{ revision: number }>(
        `${urls.inventory}/v1/workloads/${NAMESPACE}.w-${i % size.workloads}`,
        { method: 'PATCH', body: { labels: { app: appOf(i + 1 + Math.floor(i / size.workloads)) } } },
      );
      await realised.inventory(revision);
      labels.push(performance.now() - started);
    }
  };
  const changePolicies = async (): Promise<void> => {
    while (performance.now() < end) {
      const i = policy++;
      const started = performance.now();
      const revision = await applyPolicies(urls, [i % size.policies], 1 + Math.floor(i / size.policies));
      await realised.policy(revision);
      policies.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: size.writers }, () => [changeLabels(), changePolicies()]).flat());
  return { labels, policies };
};
