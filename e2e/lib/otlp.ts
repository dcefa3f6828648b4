// SPDX-License-Identifier: Apache-2.0
/** A collector for tests: takes what OpenTelemetry exporters send (OTLP/HTTP, JSON) and keeps the spans. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Export {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly Attribute[] };
    readonly scopeSpans?: readonly {
      readonly spans?: readonly {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly startTimeUnixNano: string | number;
        readonly endTimeUnixNano: string | number;
        readonly attributes?: readonly Attribute[];
      }[];
    }[];
  }[];
}

const plain = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

const us = (ns: string | number): number => Number(BigInt(ns) / 1_000n);

export interface Collector {
  /** On every address of the machine. */
  readonly port: number;
  spansOf(traceId: string): readonly CollectedSpan[];
  stop(): Promise<void>;
}

export const startCollector = async (): Promise<Collector> => {
  const spans: CollectedSpan[] = [];
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as Export;
    for (const { resource, scopeSpans } of body.resourceSpans ?? []) {
      const service = String(plain(resource?.attributes)['service.name'] ?? '');
      for (const span of (scopeSpans ?? []).flatMap((scope) => scope.spans ?? [])) {
        spans.push({
          service,
          name: span.name,
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentSpanId ?? '',
          startUs: us(span.startTimeUnixNano),
          endUs: us(span.endTimeUnixNano),
          attributes: plain(span.attributes),
        });
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    spansOf: (traceId) => spans.filter((span) => span.traceId === traceId),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
