// SPDX-License-Identifier: Apache-2.0
/**
 * Where a reader of a stream is: what it gets as the event's id and sends back to go on. Flows of a host come in the
 * order of their numbers, those of different hosts do not: so it holds, for the hosts heard of late, the last number
 * of each, and for all others a time. Exact while at most 32 hosts are active; beyond, some flows come twice.
 * Stored flows come in the store's order instead: among them the place is the key of the last one.
 */
import { weirError } from '@weir/errors';
import type { StoredFlow } from '../domain/flow-view.ts';
import type { FlowKey } from '../store/flow-pages.ts';

interface HostPosition {
  readonly boot: number;
  readonly seq: number;
  readonly timeUs: number;
}

/** Flows of different hosts overtake each other by less than this. */
export const OVERLAP_US = 10_000_000;
const HOSTS_MAX = 32;
const HOST = /^([a-z0-9-]{1,63}):([0-9a-z]{1,11}):([0-9a-z]{1,11}):([0-9a-z]{1,11})$/;
const STORED = /^~([0-9a-z]{1,11}):([0-9a-z]{1,6}):([0-9a-z]{1,11}):([0-9a-z]{1,11})$/;
const RADIX = 36;

export class Position {
  readonly #hosts: Map<string, HostPosition>;
  #timeUs: number;
  /** Among stored flows: the last one that was given. */
  readonly stored: FlowKey | undefined;

  constructor(timeUs = 0, hosts: Map<string, HostPosition> = new Map(), stored?: FlowKey) {
    this.#timeUs = timeUs;
    this.#hosts = hosts;
    this.stored = stored;
  }

  /** Throws INVALID_ARGUMENT. */
  static parse(id: string): Position {
    const [time = '', ...parts] = id.split('/');
    const stored = STORED.exec(parts[0] ?? '');
    const hosts = stored === null ? parts : parts.slice(1);
    const matches = hosts.map((host) => HOST.exec(host));
    // Behind an event there is always a place: a word alone is no id, however much it looks like a time.
    if (!/^[0-9a-z]{1,11}$/.test(time) || parts.length === 0 || matches.includes(null) || hosts.length > HOSTS_MAX) {
      throw weirError('INVALID_ARGUMENT', 'Last-Event-ID is not one that this API gave out', {
        field: 'Last-Event-ID',
        value: id.slice(0, 100),
        fix: 'send back the id of the last event unchanged, or none to begin now',
      });
    }
    const number = (text: string | undefined): number => Number.parseInt(text ?? '0', RADIX);
    return new Position(
      number(time),
      new Map(
        matches.map((match) => [
          match?.[1] as string,
          { boot: number(match?.[2]), seq: number(match?.[3]), timeUs: number(match?.[4]) },
        ]),
      ),
      stored
        ? { timeUs: number(stored[1]), hostId: number(stored[2]), boot: number(stored[3]), seq: number(stored[4]) }
        : undefined,
    );
  }

  get timeUs(): number {
    return this.#timeUs;
  }

  /** Flows before this time need not be read again. */
  get sinceUs(): number {
    return Math.max(0, this.#timeUs - OVERLAP_US);
  }

  /** The reader has it already. */
  covers({ host, boot, seq }: Pick<StoredFlow, 'host' | 'boot' | 'seq'>): boolean {
    const position = this.#hosts.get(host);
    if (position === undefined) return false;
    return boot < position.boot || (boot === position.boot && seq <= position.seq);
  }

  advance({ host, boot, seq, timeUs }: Pick<StoredFlow, 'host' | 'boot' | 'seq' | 'timeUs'>): void {
    if (timeUs > this.#timeUs) this.#timeUs = timeUs;
    const last = this.#hosts.get(host);
    if (last !== undefined && (last.boot > boot || (last.boot === boot && last.seq >= seq))) return;
    this.#hosts.delete(host);
    this.#hosts.set(host, { boot, seq, timeUs: Math.max(timeUs, last?.timeUs ?? 0) });
  }

  copy(): Position {
    return new Position(this.#timeUs, new Map(this.#hosts));
  }

  /** Of a reader that has what is stored up to there, and what it had before. */
  at(stored: FlowKey): Position {
    return new Position(this.#timeUs, this.#hosts, stored);
  }

  toString(): string {
    const recent = [...this.#hosts].filter(([, { timeUs }]) => timeUs >= this.sinceUs).slice(-HOSTS_MAX);
    const text = (value: number): string => value.toString(RADIX);
    const { stored } = this;
    return [
      text(this.#timeUs),
      ...(stored ? [`~${[stored.timeUs, stored.hostId, stored.boot, stored.seq].map(text).join(':')}`] : []),
      ...recent.map(([host, { boot, seq, timeUs }]) => `${host}:${text(boot)}:${text(seq)}:${text(timeUs)}`),
    ].join('/');
  }
}
