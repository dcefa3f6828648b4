// SPDX-License-Identifier: Apache-2.0
/**
 * The few hosts on which others depend (egress gateways), asked every second: three rounds without an answer from any
 * of its addresses, by either kind of probe, and a host is unreachable; one answer and it is back. An agent that is away
 * does not make a gateway dead: its host still answers, and its kernel goes on.
 */
import { every, type Loop } from '../loops/every.ts';
import { PathBook } from './book.ts';
import type { Measured } from './round.ts';

const INTERVAL_MS = 1_000;

export interface WatchOptions {
  readonly probe: (hosts: ReadonlySet<string>) => Promise<readonly Measured[]>;
  readonly onChange: () => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export class Watch {
  readonly #options: WatchOptions;
  #hosts: ReadonlySet<string> = new Set();
  readonly #book = new PathBook();
  #unreachable: ReadonlySet<string> = new Set();
  #loop: Loop | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  follow(hosts: ReadonlySet<string>): void {
    this.#hosts = hosts;
  }

  get unreachable(): ReadonlySet<string> {
    return this.#unreachable;
  }

  start(): void {
    this.#loop ??= every(
      INTERVAL_MS,
      () => this.#round(),
      (error) => this.#options.onTrouble('hosts that are egress gateways could not be probed', error),
    );
  }

  async #round(): Promise<void> {
    if (this.#hosts.size === 0 && this.#unreachable.size === 0) return;
    this.#book.record(await this.#options.probe(this.#hosts));
    const now = this.#book.unreachable('host');
    const before = this.#unreachable;
    this.#unreachable = now;
    if (now.size !== before.size || [...now].some((host) => !before.has(host))) this.#options.onChange();
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }
}
