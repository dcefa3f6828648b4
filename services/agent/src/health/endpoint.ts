// SPDX-License-Identifier: Apache-2.0
/**
 * This host's health endpoint: a network namespace of its own, which the reconciler connects as it does a workload's, and
 * in it a socket at which this agent answers.
 *
 * The namespace is mounted on a file, so it outlives the agent: while that is away the kernel answers its ICMP, by programs
 * and tunnels that stay too, and nobody its GET. So the others can tell a host whose agent is away from one whose
 * datapath is broken, and a restart wires nothing anew. The socket is the agent's own: an answer says that it lives.
 */
import type { Server } from 'node:http';
import { answerAt, end } from './responder.ts';

/** What it needs of the host. */
export interface EndpointPlace {
  /** Makes the namespace when it is not there; its id. */
  ensure(): Promise<string>;
  /** A socket that listens at every address of the namespace: its descriptor. */
  listen(port: number): Promise<number>;
  remove(): Promise<void>;
}

/** The reconciler takes its interface away first. */
const REMOVE_AFTER_MS = 3_000;

export class HealthEndpoint {
  readonly #place: EndpointPlace;
  #server: Server | undefined;
  /** Namespace and port at which it listens. */
  #at = '';
  #unwantedSinceMs: number | undefined;
  #gone = false;

  constructor(place: EndpointPlace) {
    this.#place = place;
  }

  /** To be called again and again: what somebody took away is made anew. `wanted` undefined: nobody knows yet. */
  async follow(wanted: boolean | undefined, port: number): Promise<void> {
    if (wanted === undefined) return;
    if (!wanted) return this.#leave();
    this.#unwantedSinceMs = undefined;
    this.#gone = false;
    const at = `${await this.#place.ensure()} ${port}`;
    if (at === this.#at) return;
    await this.stop();
    this.#server = await answerAt({ fd: await this.#place.listen(port) });
    this.#at = at;
  }

  async #leave(): Promise<void> {
    await this.stop();
    if (this.#gone) return;
    this.#unwantedSinceMs ??= performance.now();
    if (performance.now() - this.#unwantedSinceMs < REMOVE_AFTER_MS) return;
    await this.#place.remove();
    this.#gone = true;
  }

  /** Nobody answers any more; the namespace stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#at = '';
    if (server) await end(server);
  }
}
