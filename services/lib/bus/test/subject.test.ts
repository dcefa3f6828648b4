// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trace } from '@opentelemetry/api';
import fc from 'fast-check';
import {
  configSubject,
  decodeToken,
  encodeToken,
  parseConfigSubject,
  subjects,
  traceContext,
  traceHeaders,
} from '../src/index.ts';

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

test('any text is one token and comes back', () => {
  fc.assert(
    fc.property(text, (value) => {
      const token = encodeToken(value);
      assert.match(token, /^[A-Za-z0-9_%-]+$/);
      assert.equal(decodeToken(token), value);
    }),
  );
});

test('one text has one token', () => {
  for (const token of ['%41', '%2f', 'a.b', 'a b', '*', '>', '', '%', '%2', '%GG', '%FF', '%C0%AF']) {
    assert.equal(decodeToken(token), undefined, token);
  }
});

test('subjects are built and parsed; others are not', () => {
  fc.assert(
    fc.property(text, text, (kind, key) => {
      assert.deepEqual({ ...subjects.cfg.parse(subjects.cfg.build({ kind, key })) }, { kind, key });
    }),
  );
  assert.equal(
    configSubject('policy', 'NetworkPolicy/prod/web.v1'),
    'weir.v1.cfg.policy.NetworkPolicy%2Fprod%2Fweb%2Ev1',
  );
  assert.deepEqual(parseConfigSubject('weir.v1.cfg.policy.a%2Fb'), { kind: 'policy', key: 'a/b' });
  assert.equal(parseConfigSubject('weir.v1.cfg.secrets.a'), undefined);
  assert.equal(subjects.evtFlow.wildcard, 'weir.v1.evt.*.flow');
  assert.equal(subjects.cfg.match({ kind: 'policy' }), 'weir.v1.cfg.policy.*');
  for (const wrong of ['weir.v1.evt.a.b.flow', 'weir.v1.evt.flow', 'weir.v2.evt.a.flow', 'weir.v1.evt.a.dns', '']) {
    assert.equal(subjects.evtFlow.parse(wrong), undefined, wrong);
  }
});

test('wrong use does not compile', () => {
  // @ts-expect-error a parameter is missing
  assert.throws(() => subjects.evtFlow.build({}), { code: 'INVALID_ARGUMENT' });
  // @ts-expect-error a parameter is misspelt
  assert.throws(() => subjects.ack.build({ hots: 'a' }), { code: 'INVALID_ARGUMENT' });
  // @ts-expect-error a field of another message
  subjects.ack.encode({ flows: [] });
  // @ts-expect-error a field that the message does not have
  assert.equal(subjects.ack.decode(subjects.ack.encode({ boot: 1n })).flows, undefined);
  assert.throws(() => subjects.ack.decode(new Uint8Array([0xff])), { code: 'MALFORMED' });
});

test('without a trace no header is added, and none is found', () => {
  const sent = traceHeaders();
  assert.deepEqual(sent.keys(), []);
  assert.equal(trace.getSpanContext(traceContext(sent)), undefined);
});
