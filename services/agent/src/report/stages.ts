// SPDX-License-Identifier: Apache-2.0
/**
 * When a document came, was computed and stood in the kernel: as spans of the change that published it, and in the
 * acks, from which the control plane answers how a change went. Both tell the same measured times.
 *
 * The stream of acks keeps the last one of a host, so each tells of the latest documents again for a while.
 */
import type { ConfigEntry } from '@weir/bus';
import type { DocumentStages } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { beginSpan, extractTrace, isTraced, nowUs, recordSpan, SpanKind, traceHeaders } from '@weir/telemetry';

export interface PassTimes {
  /** Microseconds since 1970. */
  readonly startedUs: number;
  readonly compiledUs: number;
  readonly writtenUs: number;
}

export type StageMessage = Omit<DocumentStages, '$typeName' | '$unknown'>;

interface Told {
  readonly message: StageMessage;
  readonly end: (endUs: number) => void;
}

/** Who reads them: inventory has no use for the way of its documents. */
const READER = 'policy';
/** Of one pass; a crowd of documents is seen by its newest. */
const DOCUMENTS_MAX = 64;
const TOLD_FOR_US = 10_000_000;

export class Stages {
  readonly #host: string;
  #told: Told[] = [];
  #ending: Told[] = [];

  constructor(host: string) {
    this.#host = host;
  }

  /** Documents that came over the bus since the last pass and stand in the kernel now. */
  realised(documents: readonly ConfigEntry[], times: PassTimes): void {
    const newest = [...documents]
      .filter(({ arrival }) => arrival !== undefined)
      .sort((a, b) => Number(b.document.revision - a.document.revision))
      .slice(0, DOCUMENTS_MAX);
    const told = newest.flatMap((entry) => this.#trace(entry, times) ?? []);
    this.#told = [...told, ...this.#told].slice(0, DOCUMENTS_MAX);
    this.#ending.push(...told);
  }

  /** What the next ack tells. */
  recent(): readonly StageMessage[] {
    const since = nowUs() - TOLD_FOR_US;
    this.#told = this.#told.filter(({ message }) => message.writtenUs >= since);
    return this.#told.map(({ message }) => message);
  }

  /** The bus has an ack that told `messages`. */
  acknowledged(messages: readonly StageMessage[]): void {
    const endUs = nowUs();
    this.#ending = this.#ending.filter((told) => {
      if (!messages.includes(told.message)) return true;
      told.end(endUs);
      return false;
    });
    // An ack that is overtaken for ever tells of nothing: its spans go with it.
    this.#ending = this.#ending.filter((told) => this.#told.includes(told));
  }

  #trace({ document, subject, arrival }: ConfigEntry, times: PassTimes): Told | undefined {
    const { receivedUs, trace } = arrival ?? { receivedUs: times.startedUs, trace: {} };
    const { startedUs, compiledUs, writtenUs } = times;
    const { publisher, revision } = document;
    const message = {
      publisher,
      revision,
      receivedUs: BigInt(receivedUs),
      startedUs: BigInt(startedUs),
      compiledUs: BigInt(compiledUs),
      writtenUs: BigInt(writtenUs),
    };
    const parent = extractTrace((key) => trace[key]);
    if (!isTraced(parent))
      return publisher === READER ? { message: { ...message, trace: {} }, end: () => {} } : undefined;
    const attributes = {
      'weir.host': this.#host,
      'weir.publisher': publisher,
      'weir.revision': Number(revision),
      'messaging.system': 'nats',
      'messaging.destination.name': subject,
    };
    const realise = beginSpan('realise', { kind: SpanKind.CONSUMER, parent, attributes }, receivedUs);
    const within = { parent: realise.context, attributes: { 'weir.host': this.#host } };
    recordSpan('compile', within, { startUs: startedUs, endUs: compiledUs });
    recordSpan('write maps', within, { startUs: compiledUs, endUs: writtenUs });
    if (publisher !== READER) {
      realise.end(writtenUs);
      return undefined;
    }
    const acknowledge = beginSpan('acknowledge', { ...within, kind: SpanKind.PRODUCER }, writtenUs);
    return {
      message: { ...message, trace: traceHeaders(acknowledge.context) },
      end: (endUs) => {
        acknowledge.end(endUs);
        realise.end(endUs);
      },
    };
  }
}
