// SPDX-License-Identifier: Apache-2.0
/**
 * ICMP echo for many who ask one by one. Each call of `ping` occupies a thread until all have answered or the time is over, and
 * a process has few: those who ask within a moment share one, and only so many are under way.
 */
import type { Ping } from '../health/round.ts';
import { failed, noAnswer, OK, type Outcome } from './outcome.ts';

const GATHER_MS = 10;
const BATCH_MAX = 256;
const UNDER_WAY_MAX = 2;

interface Asked {
  readonly address: string;
  readonly timeoutMs: number;
  readonly resolve: (outcome: Outcome) => void;
}

export class Echo {
  readonly #ping: Ping;
  #waiting: Asked[] = [];
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ping: Ping) {
    this.#ping = ping;
  }

  ask(address: string, timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#waiting.push({ address, timeoutMs, resolve });
      this.#timer ??= setTimeout(() => this.#send(), GATHER_MS);
    });
  }

  #send(): void {
    this.#timer = undefined;
    const [first] = this.#waiting;
    if (first === undefined || this.#underWay >= UNDER_WAY_MAX) return;
    const batch = this.#waiting.filter(({ timeoutMs }) => timeoutMs === first.timeoutMs).slice(0, BATCH_MAX);
    const taken = new Set(batch);
    this.#waiting = this.#waiting.filter((one) => !taken.has(one));
    this.#underWay += 1;
    void this.#round(batch, first.timeoutMs).finally(() => {
      this.#underWay -= 1;
      this.#send();
    });
    this.#send();
  }

  async #round(batch: readonly Asked[], timeoutMs: number): Promise<void> {
    const results = await this.#ping(
      batch.map(({ address }) => address),
      timeoutMs,
    ).catch((error: Error) => batch.map(() => ({ latencyUs: undefined, error: error.message })));
    for (const [i, { resolve }] of batch.entries()) {
      const result = results[i];
      if (result?.latencyUs !== undefined) resolve(OK);
      else if (result === undefined || result.error === 'no answer') resolve(noAnswer(timeoutMs));
      else resolve(failed(result.error, false));
    }
  }
}
