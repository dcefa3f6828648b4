// SPDX-License-Identifier: Apache-2.0
/** Questions to a station's program over its control socket (workload/native/control.h), any number under way at once. */
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { weirError } from '@weir/errors';

export type Fields = Readonly<Record<string, string | number | undefined>>;

interface Waiting {
  readonly op: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type Answer = { readonly id: number } & (
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string }
);

export class StationControl {
  readonly path: string;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Socket | undefined;
  #last = 0;

  constructor(path: string) {
    this.path = path;
  }

  ask<T>(op: string, fields: Fields = {}): Promise<T> {
    const id = ++this.#last;
    const words = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { op, resolve: resolve as (value: unknown) => void, reject });
      const socket = this.#connected();
      socket.ref();
      socket.write(`${[id, op, ...words].join(' ')}\n`);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connected(): Socket {
    if (this.#socket) return this.#socket;
    const socket = createConnection(this.path);
    let cause: Error | undefined;
    socket.on('error', (error) => {
      cause = error;
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      for (const { op, reject } of this.#waiting.values()) {
        reject(weirError('UNAVAILABLE', `the station at ${this.path} ended before it answered ${op}`, { cause }));
      }
      this.#waiting.clear();
    });
    createInterface({ input: socket }).on('line', (line) => this.#answered(JSON.parse(line) as Answer));
    this.#socket = socket;
    return socket;
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    // A connection on which nothing is awaited keeps no process alive.
    if (this.#waiting.size === 0) this.#socket?.unref();
    if (answer.ok) waiting?.resolve(answer.value);
    else waiting?.reject(weirError('INTERNAL', `the station at ${this.path} could not ${waiting.op}: ${answer.error}`));
  }
}
