// SPDX-License-Identifier: Apache-2.0
/** Events of this host for who listens at its own door: as the bus gets them, with the names that only travel here. */
import { create, fromBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { GetEventsResponse } from '@weir/proto/tetragon/events_pb.js';
import { PodSchema } from '@weir/proto/tetragon/tetragon_pb.js';
import { Kind, ProcessEventSchema } from '@weir/proto/weir/process/v1/process_pb.js';

/** Of a reader that is too slow; more are counted and left out. */
const WAITING_MAX = 10_000;
const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

const readEvent = (host: string, encoded: Uint8Array): GetEventsResponse | undefined => {
  const { event, kind, timeNs, workload, unit, unitKind, ownPid } = fromBinary(ProcessEventSchema, encoded);
  // There is no event of a fork among Tetragon's: what was forked is told when it begins an image.
  if (!event || kind === Kind.FORK) return undefined;
  event.nodeName = host;
  event.time = { ...timestampFromMs(Number(timeNs / NS_PER_MS)), nanos: Number(timeNs % NS_PER_S) };
  const about = event.event.value;
  const process = about && 'process' in about ? about.process : undefined;
  if (process && workload !== '') {
    const at = workload.indexOf('.');
    const container = unitKind === 'container' ? { id: unit, pid: ownPid } : undefined;
    const names = { namespace: workload.slice(0, Math.max(0, at)), name: workload.slice(at + 1) };
    process.pod = create(PodSchema, { ...names, ...(container ? { container } : {}) });
  }
  return event;
};

interface Listener {
  readonly waiting: Uint8Array[];
  wake: () => void;
}

export class LiveEvents {
  readonly #host: string;
  readonly #listeners = new Set<Listener>();
  readonly #onLost: (count: number) => void;

  constructor(host: string, onLost: (count: number) => void) {
    this.#host = host;
    this.#onLost = onLost;
  }

  publish(encoded: readonly Uint8Array[]): void {
    for (const listener of this.#listeners) {
      const room = Math.max(0, WAITING_MAX - listener.waiting.length);
      listener.waiting.push(...encoded.slice(0, room));
      if (encoded.length > room) this.#onLost(encoded.length - room);
      listener.wake();
    }
  }

  /** Every event from the first `next` on; each is the caller's own. */
  async *follow(signal: AbortSignal): AsyncGenerator<GetEventsResponse> {
    const listener: Listener = { waiting: [], wake: () => {} };
    this.#listeners.add(listener);
    const wake = (): void => listener.wake();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        for (const encoded of listener.waiting.splice(0)) {
          const event = readEvent(this.#host, encoded);
          if (event) yield event;
        }
        if (listener.waiting.length > 0 || signal.aborted) continue;
        await new Promise<void>((done) => {
          listener.wake = done;
        });
        listener.wake = () => {};
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#listeners.delete(listener);
    }
  }
}
