// SPDX-License-Identifier: Apache-2.0
/**
 * The connectivity matrix on a fleet that is there: policies go in and out through the public API, then every pair is
 * tried with real sockets and compared with the hand-written meaning of the policies.
 */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { type Fleet, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { addressOf, type Cell, cellsOf, nameOf } from './cells.ts';
import { compare } from './compare.ts';
import { flowsSince } from './flows.ts';
import type { MatrixPolicy } from './policies.ts';

export interface MatrixBounds {
  /** Silence this long is a refusal: many times what an answer takes there. */
  readonly refusedMs: number;
  /** For an answer, for a revision to be realised. */
  readonly patienceMs: number;
}

const BOUNDS: MatrixBounds = { refusedMs: 600, patienceMs: 25_000 };

export class Matrix {
  readonly #fleet: Fleet;
  readonly #workloads: readonly Workload[];
  readonly #bounds: MatrixBounds;

  constructor(fleet: Fleet, workloads: readonly Workload[], bounds: MatrixBounds = BOUNDS) {
    this.#fleet = fleet;
    this.#workloads = workloads;
    this.#bounds = bounds;
  }

  /** Resolves when every host has realised them. */
  async apply(policies: readonly MatrixPolicy[]): Promise<void> {
    const db = this.#workloads.find(({ spec }) => spec.name === 'db') as Workload;
    const text = policies
      .map(({ yaml }) => yaml)
      .join('---\n')
      .replaceAll('DB_ADDRESS', db.ip4);
    const raw = { type: 'application/yaml', text };
    const { revision } = await callApi<{ revision: number }>(this.#url, { raw });
    await this.#fleet.waitRealised(revision, this.#bounds.patienceMs);
  }

  async remove(policies: readonly MatrixPolicy[]): Promise<void> {
    let revision = 0;
    for (const { key } of policies)
      revision = (await callApi<{ revision: number }>(`${this.#url}/${key}`, { method: 'DELETE' })).revision;
    await this.#fleet.waitRealised(revision, this.#bounds.patienceMs);
  }

  /** Fails with every pair that is not as these policies say. */
  async check(policies: readonly MatrixPolicy[]): Promise<Cell[]> {
    const cells = cellsOf(this.#workloads, policies);
    await Promise.all(this.#workloads.map((from) => this.#probe(cells.filter((cell) => cell.from === from))));
    const wrong = cells
      .filter((cell) => cell.ok !== cell.expected.allowed)
      .map((cell) => `${nameOf(cell)}: wanted ${cell.expected.allowed ? 'allowed' : 'refused'}, got the opposite`);
    assert.deepEqual(wrong, []);
    return cells;
  }

  /** Checks the pairs, and that every conversation of theirs has its flows with verdict, rule and counts. */
  async checkFlows(policies: readonly MatrixPolicy[]): Promise<void> {
    const since = Date.now();
    const cells = await this.check(policies);
    let problems: string[] = ['not looked yet'];
    // Counts of TCP are complete once conntrack has reported what came after the last FIN (a few seconds).
    await until(
      'the flows to agree with the sockets',
      this.#bounds.patienceMs,
      async () => {
        const flows = await flowsSince(this.#fleet.control.urls.analytics, since);
        problems = cells.flatMap((cell) => compare(cell, flows));
        return problems.length === 0;
      },
      () => `${problems.length} differ, such as:\n${problems.slice(0, 10).join('\n')}`,
    );
  }

  get #url(): string {
    return `${this.#fleet.control.urls.policy}/v1/policies`;
  }

  async #probe(cells: readonly Cell[]): Promise<void> {
    const results = await cells[0]?.from.probes(
      cells.map(({ to, l4, expected }) => ({
        protocol: l4.protocol,
        host: addressOf(to, l4.family),
        port: l4.port,
        timeoutMs: expected.allowed ? Math.max(PATIENT_TIMEOUT_MS, this.#bounds.refusedMs) : this.#bounds.refusedMs,
      })),
    );
    cells.forEach((cell, i) => {
      cell.ok = results?.[i]?.ok;
    });
  }
}
