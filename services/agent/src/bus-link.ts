// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's connection to the bus: sought for as long as the agent runs, because without it the host goes on as it
 * is. Whoever uses the bus is told once when it is first there, and of every loss and return after that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { agentInbox, type Bus, connectBus } from '@weir/bus';

export interface BusLinkOptions {
  readonly host: string;
  readonly servers: string;
  readonly nkeySeed?: string;
  readonly onFirst: (bus: Bus) => void | Promise<void>;
  readonly onLost: () => void;
  readonly onBack: () => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 5_000;
/** Of the first attempt, for each server; the next ones have longer, for a host that is busy or slow itself. */
const CONNECT_MIN_MS = 2_000;
const CONNECT_MAX_MS = 20_000;

export class BusLink {
  readonly #options: BusLinkOptions;
  readonly #stopping = new AbortController();
  #bus: Bus | undefined;
  #connected = false;

  constructor(options: BusLinkOptions) {
    this.#options = options;
    void this.#seek();
  }

  get bus(): Bus | undefined {
    return this.#bus;
  }

  get connected(): boolean {
    return this.#connected;
  }

  async #seek(): Promise<void> {
    const { signal } = this.#stopping;
    const { host, servers, nkeySeed, onTrouble } = this.#options;
    let connectTimeoutMs = CONNECT_MIN_MS;
    for (let waitMs = RETRY_MIN_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        const bus = await connectBus({
          servers: servers.split(',').map((server) => server.trim()),
          name: `agent ${host}`,
          inboxPrefix: agentInbox(host),
          connectTimeoutMs,
          ...(nkeySeed === undefined ? {} : { nkeySeed }),
          onStatus: (status) => this.#onStatus(status),
        });
        if (signal.aborted) {
          await bus.close();
          return;
        }
        this.#bus = bus;
        this.#connected = true;
        await this.#options.onFirst(bus);
        return;
      } catch (error) {
        connectTimeoutMs = Math.min(connectTimeoutMs * 2, CONNECT_MAX_MS);
        onTrouble('the bus is not reached yet; the host goes on with what it knows', error);
        await sleep(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    }
  }

  #onStatus(status: { readonly type: string; readonly error?: unknown }): void {
    switch (status.type) {
      case 'disconnect':
        if (this.#connected) this.#options.onLost();
        this.#connected = false;
        break;
      case 'reconnect':
        this.#connected = true;
        this.#options.onBack();
        break;
      case 'error':
        this.#options.onTrouble('the bus refused something', status.error);
        break;
    }
  }

  /** An attempt under way is not waited for: when it comes to something, that is closed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#bus?.close();
  }
}
