// SPDX-License-Identifier: Apache-2.0
/**
 * Long-lived TCP connections that send a small message on every tick and expect its echo: what an application
 * would notice of a restart below it. Counts resets and stalls (an echo later than stallMs) and never reconnects.
 */
import { connect, type Socket } from 'node:net';

export interface TickerRequest {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  readonly tickMs: number;
  readonly stallMs: number;
}

export interface TickerReport {
  readonly connected: number;
  readonly echoes: number;
  readonly resets: number;
  readonly stalls: number;
  readonly longestGapMs: number;
}

export class Ticker {
  #sockets: Socket[] = [];
  #timer: NodeJS.Timeout | undefined;
  #echoes = 0;
  #resets = 0;
  #stalls = 0;
  #longestGapMs = 0;
  #connected = 0;
  #stopping = false;

  async start(request: TickerRequest): Promise<void> {
    await Promise.all(Array.from({ length: request.connections }, () => this.#open(request)));
    this.#timer = setInterval(() => {
      for (const socket of this.#sockets) if (!socket.destroyed) socket.write('tick');
    }, request.tickMs);
  }

  #open(request: TickerRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: request.host, port: request.port, noDelay: true });
      let last = performance.now();
      socket.once('connect', () => {
        this.#connected++;
        last = performance.now();
        resolve();
      });
      socket.on('data', () => {
        const gap = performance.now() - last;
        last += gap;
        this.#echoes++;
        if (gap > request.stallMs) this.#stalls++;
        if (gap > this.#longestGapMs) this.#longestGapMs = gap;
      });
      socket.on('error', reject);
      socket.on('close', () => {
        if (!this.#stopping) this.#resets++;
      });
      this.#sockets.push(socket);
    });
  }

  report(): TickerReport {
    return {
      connected: this.#connected,
      echoes: this.#echoes,
      resets: this.#resets,
      stalls: this.#stalls,
      longestGapMs: Math.round(this.#longestGapMs),
    };
  }

  stop(): TickerReport {
    this.#stopping = true;
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
    return this.report();
  }
}
