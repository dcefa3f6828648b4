// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import {
  counter,
  extractTrace,
  histogram,
  METRICS,
  type MetricSpec,
  metricsText,
  observe,
  startTelemetry,
  trace,
  traceHeaders,
  withSpan,
} from '../src/index.ts';

describe('telemetry', () => {
  test('each metric has a doc line and a name after the rules', () => {
    for (const [name, spec] of Object.entries(METRICS as Record<string, MetricSpec>)) {
      assert.match(name, /^weir_[a-z0-9]+(_[a-z0-9]+)+$/);
      assert.ok(spec.help.length > 10, `${name} says what it tells`);
      assert.equal(name.endsWith('_total'), spec.kind === 'counter', `${name}: counters, and only they, end in _total`);
    }
  });

  test('metrics come out as Prometheus reads them', async () => {
    counter('weir_bus_published_total').add(3, { stream: 'WEIR_EVT' });
    histogram('weir_http_request_duration_seconds').record(0.003, { method: 'GET', route: '/x', status: '200' });
    observe('weir_outbox_pending', (result) => result(7));
    const text = await metricsText();
    assert.match(text, /^# HELP weir_bus_published_total Messages acknowledged by the bus$/m);
    assert.match(text, /^weir_bus_published_total\{stream="WEIR_EVT"\} 3$/m);
    assert.match(
      text,
      /^weir_http_request_duration_seconds_bucket\{method="GET",route="\/x",status="200",le="0.005"\} 1$/m,
    );
    assert.match(text, /^weir_outbox_pending 7$/m);
  });

  test('a trace goes out in headers and comes in again; log lines carry it', async () => {
    const exporter = new InMemorySpanExporter();
    const telemetry = await startTelemetry({
      service: 'test',
      metricsPort: 0,
      spanProcessors: [new SimpleSpanProcessor({ exporter })],
    });
    const second = await startTelemetry({ service: 'other' });
    const headers = await withSpan('parent', {}, () => traceHeaders());
    assert.match(headers.traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    await withSpan('child', { parent: extractTrace((key) => headers[key]) }, () => {});
    await assert.rejects(
      withSpan('fails', {}, () => Promise.reject(new Error('no'))),
      /no/,
    );
    const [parent, child, fails] = exporter.getFinishedSpans();
    assert.equal(child?.spanContext().traceId, parent?.spanContext().traceId);
    assert.equal(fails?.status.message, 'no');
    assert.equal(trace.getActiveSpan(), undefined);
    await second.shutdown();
    const response = await fetch(telemetry.metricsUrl ?? '');
    assert.match(await response.text(), /weir_process_resident_memory_bytes \d+/);
    await telemetry.shutdown();
  });

  const runScript = (body: string): { stdout: string; stderr: string } => {
    const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
    const script = `const { logger, startTelemetry, withSpan } = await import('../src/index.ts'); ${body}`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      timeout: 20_000,
      env,
    });
  };

  test('log lines are JSON on standard error, with the trace, without secrets', () => {
    const { stdout, stderr } = runScript(`const t = await startTelemetry({ service: 'x' });
      await withSpan('s', {}, () => logger('part').info({ seed: 'CANARY', big: 5n, nested: { password: 'CANARY' } }, 'hello'));
      await t.shutdown();`);
    assert.equal(stdout, '');
    const line = JSON.parse(stderr);
    assert.deepEqual([line.msg, line.name, line.level, line.big], ['hello', 'part', 'info', 5]);
    assert.match(line.trace_id, /^[0-9a-f]{32}$/);
    assert.doesNotMatch(stderr, /CANARY/);
  });

  test('starting is light', () => {
    const { stdout } = runScript(`const start = performance.now();
      const t = await startTelemetry({ service: 'x' }); console.log(performance.now() - start); await t.shutdown();`);
    // 300 ms on an idle machine.
    assert.ok(Number(stdout) < 5_000, `${stdout} ms`);
  });

  test('spans go to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, the last ones too', async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      request.on('end', () => {
        bodies.push(`${request.url} ${body}`);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((done) => collector.listen(0, '127.0.0.1', done));
    const { port } = collector.address() as AddressInfo;
    const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
    const script = `const { startTelemetry, withSpan } = await import('../src/index.ts');
      const t = await startTelemetry({ service: 'exported' }); await withSpan('the span', {}, () => {}); await t.shutdown();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
    });
    await once(child, 'exit');
    collector.close();
    assert.equal(bodies.length, 1);
    assert.match(bodies[0] ?? '', /^\/v1\/traces .*"the span"/);
    assert.match(bodies[0] ?? '', /exported/);
  });
});
