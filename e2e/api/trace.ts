// SPDX-License-Identifier: Apache-2.0
/**
 * One trace of one change: from the request of the `weir` command to the map write on every host and back, as a tree
 * that the command prints, as the API's answer, and as the spans that a collector got. All three are the same times.
 */
import assert from 'node:assert/strict';
import type { SpawnSyncReturns } from 'node:child_process';
import { callApi } from '@weir/infra/api';
import { type Fleet, until } from '@weir/infra/fleet';
import type { CollectedSpan, Collector } from '../lib/otlp.ts';

interface RevisionTrace {
  readonly revision: number;
  readonly trace_id: string;
  readonly received_us: number;
  readonly committed_us: number;
  readonly published_us: number;
  readonly hosts: readonly {
    readonly host: string;
    readonly received_us: number;
    readonly started_us: number;
    readonly compiled_us: number;
    readonly written_us: number;
    readonly acknowledged_us: number;
  }[];
}

type Weir = (...words: readonly string[]) => Pick<SpawnSyncReturns<string>, 'status' | 'stdout' | 'stderr'>;

const onlyOne = (spans: readonly CollectedSpan[], name: string, host?: string): CollectedSpan => {
  const found = spans.filter((span) => span.name === name && (!host || span.attributes['weir.host'] === host));
  assert.equal(found.length, 1, `${found.length} spans ${name} ${host ?? ''}`);
  return found[0] as CollectedSpan;
};

/** Applies `file`, which must change something. Returns what the command printed. */
export const followChange = async (fleet: Fleet, weir: Weir, file: string, collector: Collector): Promise<string> => {
  const hosts = [...fleet.agents.keys()].sort();
  const applied = weir('apply', '-f', file, '--trace');
  assert.equal(applied.status, 0, applied.stderr);
  const [, printedRevision, traceId = ''] = /^revision (\d+), trace ([0-9a-f]{32})$/m.exec(applied.stdout) ?? [];
  for (const host of hosts) {
    const steps = 'received[^]*its pass began[^]*compiled[^]*maps written +[\\d.]+ +[\\d.]+[^]*acknowledged';
    assert.match(applied.stdout, new RegExp(`─ ${host}\\n[^]*${steps}`));
  }

  const trace = await callApi<RevisionTrace>(`${fleet.control.urls.policy}/v1/revisions/${printedRevision}/trace`);
  assert.equal(trace.trace_id, traceId);
  assert.deepEqual(
    trace.hosts.map(({ host }) => host),
    hosts,
  );

  const wanted = 3 + hosts.length * 5;
  await until(`${wanted} spans of the trace`, 30_000, async () => collector.spansOf(traceId).length >= wanted);
  const spans = collector.spansOf(traceId);
  assert.equal(spans.length, wanted, spans.map(({ service, name }) => `${service} ${name}`).join(', '));
  const request = onlyOne(spans, 'POST /v1/policies');
  assert.equal(request.service, 'policy');
  const commit = onlyOne(spans, 'commit');
  assert.equal(commit.parentSpanId, request.spanId);
  assert.deepEqual([commit.startUs, commit.endUs], [trace.received_us, trace.committed_us]);
  const publish = onlyOne(spans, 'publish');
  assert.equal(publish.parentSpanId, request.spanId);
  assert.equal(publish.endUs, trace.published_us);
  for (const stages of trace.hosts) {
    const realise = onlyOne(spans, 'realise', stages.host);
    assert.equal(realise.service, 'agent');
    assert.equal(realise.parentSpanId, publish.spanId);
    assert.equal(realise.startUs, stages.received_us);
    const compile = onlyOne(spans, 'compile', stages.host);
    const write = onlyOne(spans, 'write maps', stages.host);
    const acknowledge = onlyOne(spans, 'acknowledge', stages.host);
    for (const child of [compile, write, acknowledge]) assert.equal(child.parentSpanId, realise.spanId);
    assert.deepEqual([compile.startUs, compile.endUs], [stages.started_us, stages.compiled_us]);
    assert.deepEqual([write.startUs, write.endUs], [stages.compiled_us, stages.written_us]);
    const stored = onlyOne(spans, 'store ack', stages.host);
    assert.equal(stored.service, 'policy');
    assert.equal(stored.parentSpanId, acknowledge.spanId);
    assert.equal(stored.startUs, stages.acknowledged_us);
    // All on one machine, so on one clock: what follows from something comes after it.
    const way = [trace.received_us, stages.received_us, stages.started_us, stages.compiled_us, stages.written_us];
    assert.deepEqual(
      [...way].sort((a, b) => a - b),
      way,
    );
    assert.ok(stages.acknowledged_us >= stages.compiled_us);
  }
  return applied.stdout;
};
