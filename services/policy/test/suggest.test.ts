// SPDX-License-Identifier: Apache-2.0
/** Suggested documents: read by the parser, they allow all that they were made of, add as little as they may, and name no replica. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import { parseDocument, parseDocuments } from '@weir/policy-engine';
import { arbitraryPolicies } from '@weir/policy-engine/testing';
import { type FlowEnd, FlowEndSchema, FlowGroupSchema } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import fc from 'fast-check';
import { documentText } from '../src/domain/documents.ts';
import { Judges } from '../src/simulation/judges.ts';
import { createRuleset, unnumberedRules } from '../src/simulation/ruleset.ts';
import { prefixesOf, rangesOf } from '../src/suggestion/bounds.ts';
import { createDrafts, type Observation } from '../src/suggestion/draft.ts';
import { stableLabels } from '../src/suggestion/labels.ts';

const end = (number: number, identity: number, labels: readonly string[], namespace?: string): FlowEnd =>
  create(FlowEndSchema, {
    number,
    identity,
    labels: [...labels, ...(namespace === undefined ? [] : [`k8s:io.kubernetes.pod.namespace=${namespace}`])],
  });

const WORKLOADS = [
  end(1, 256, ['k8s:app=a', 'k8s:tier=f', 'k8s:pod-template-hash=7d9c5b8f6d'], 'x'),
  end(2, 257, ['k8s:app=a', 'k8s:tier=f', 'k8s:pod-template-hash=5f6d7c8b9a'], 'x'),
  end(3, 258, ['k8s:app=b'], 'x'),
  end(4, 259, ['container:name=web'], 'y'),
];
const PEERS = [
  ...WORKLOADS,
  end(5, 1, ['reserved:host']),
  end(6, 6, ['reserved:remote-node']),
  end(7, 5, ['reserved:init']),
  end(8, 2, ['reserved:world']),
];
const ADDRESSES = ['192.0.2.1', '192.0.2.2', '198.51.100.9', '8.8.8.8', '2001:db8::1', 'fd00::7'];

const observation = fc
  .record({
    subject: fc.constantFrom(...WORKLOADS),
    peer: fc.constantFrom(...PEERS),
    address: fc.constantFrom(...ADDRESSES),
    isEgress: fc.boolean(),
    l4: fc.oneof(
      fc.record({ protocol: fc.constantFrom(6, 17, 132), port: fc.integer({ min: 1, max: 65_535 }) }),
      fc.record({ protocol: fc.constantFrom(6, 17), port: fc.constantFrom(53, 80, 443) }),
      fc.record({ protocol: fc.constantFrom(1, 58), icmpType: fc.constantFrom(3, 8, 128, 200) }),
    ),
  })
  .map(({ subject, peer, address, isEgress, l4 }): Observation => {
    const outside = peer.identity === 2 ? address : '';
    const [client, server] = isEgress ? [subject, peer] : [peer, subject];
    const group = create(FlowGroupSchema, {
      ...{ client: client.number, server: server.number, ...l4, direction: isEgress ? 2 : 1, verdict: 1, flows: 1n },
      ...(isEgress ? { serverIp: outside } : { clientIp: outside }),
    });
    return { direction: isEgress ? 'egress' : 'ingress', subject, peer, address: outside, group };
  });

const LIMITS = { prefixes: 3, ports: 5 };

test('the parser takes what is suggested, it allows all that it was made of, and simulate finds nothing newly denied', () => {
  fc.assert(
    fc.property(arbitraryPolicies, fc.array(observation, { minLength: 1, maxLength: 60 }), (raw, observations) => {
      const drafts = createDrafts(observations, LIMITS);
      const text = drafts.map(({ document }) => documentText(document)).join('---\n');
      const { documents, issues } = parseDocuments(text);
      assert.deepEqual(issues, [], text);
      assert.equal(new Set(documents.map(({ key }) => key)).size, drafts.length);
      const place = () => ({ file: null, line: null });
      const inForce = raw
        .map((json) => parseDocument(json))
        .map((doc) => ({ doc, rules: unnumberedRules(doc, place) }));
      const suggested = documents.map((doc) => ({ doc, rules: unnumberedRules(doc, place) }));
      const judgesOf = (before: typeof inForce, after: typeof inForce): Judges => {
        const judges = new Judges({
          before: createRuleset(before),
          after: createRuleset(after),
          changed: documents,
          namedPorts: new Map(),
        });
        judges.learn(PEERS);
        return judges;
      };
      const alone = judgesOf([], suggested);
      const beside = judgesOf(inForce, [...inForce, ...suggested]);
      for (const { group } of observations) {
        const judged = alone.judge(group);
        assert.ok(typeof judged === 'object');
        assert.equal(judged.after.verdict, 'allow', text);
        const both = beside.judge(group);
        assert.ok(typeof both === 'object');
        assert.ok(both.before.verdict === 'deny' || both.after.verdict === 'allow', text);
      }
      // Nothing is open that was not seen at all.
      const [first] = WORKLOADS as [FlowEnd];
      const never = create(FlowGroupSchema, {
        ...{
          client: 8,
          clientIp: '203.0.113.77',
          server: first.number,
          protocol: 132,
          port: 7,
          direction: 1,
          verdict: 1,
        },
      });
      if (
        !observations.some(({ group }) => group.protocol === 132) &&
        observations.some(({ subject }) => subject === first)
      ) {
        const judged = alone.judge(never);
        assert.ok(typeof judged === 'object' && judged.after.verdict === 'deny');
      }
    }),
    { numRuns: 150 },
  );
});

test('replicas are named alike; a selector has no hash and no id in it', () => {
  const [a, b] = WORKLOADS.map(({ labels }) => stableLabels(labels));
  assert.deepEqual([a?.labels, a?.key], [{ app: 'a', tier: 'f' }, b?.key]);
  const NAMESPACE = 'k8s:io.kubernetes.pod.namespace=shop';
  const cases: readonly (readonly [readonly string[], Record<string, string> | undefined])[] = [
    [['k8s:app=web', 'k8s:statefulset.kubernetes.io/pod-name=web-0'], { app: 'web' }],
    [
      ['container:com.docker.compose.container-number=2', 'container:com.docker.compose.service=db'],
      { 'container:com.docker.compose.service': 'db' },
    ],
    [['k8s:app=web', 'k8s:build=3f2a9c1e'], { app: 'web' }],
    [['k8s:app=web', 'k8s:version=v1.20'], { app: 'web', version: 'v1.20' }],
    [['k8s:app=web', 'k8s:task=9b2f7c54-1f5e-4a3e-9a7c-2d9b8c1e0f3a'], { app: 'web' }],
    [['k8s:app=web', 'k8s:io.cilium.k8s.namespace.labels.team=red'], { app: 'web' }],
    [['k8s:pod-template-hash=7d9c5b8f6d'], { 'pod-template-hash': '7d9c5b8f6d' }],
    [[], undefined],
  ];
  for (const [labels, wanted] of cases)
    assert.deepEqual(stableLabels([...labels, NAMESPACE])?.labels, wanted, labels.join());
  assert.equal(stableLabels(['k8s:app=web']), undefined, 'no namespace');
});

test('prefixes and ranges hold all, are no more than asked for, and join what lies closest', () => {
  assert.deepEqual(prefixesOf(['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.0.0.3'], 20), ['10.0.0.0/30']);
  assert.deepEqual(prefixesOf(['10.0.0.1', '10.0.0.9', '192.0.2.1'], 2), ['10.0.0.0/28', '192.0.2.1/32']);
  assert.deepEqual(rangesOf([80, 81, 443, 8_080], 2), [
    { first: 80, last: 443 },
    { first: 8_080, last: 8_080 },
  ]);
  assert.deepEqual(rangesOf([], 3), []);
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(
      fc.array(address, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 8 }),
      (addresses, most) => {
        const prefixes = prefixesOf(addresses, most).map((text) => parseCidr(text));
        for (const family of [4, 6]) assert.ok(prefixes.filter((prefix) => prefix.family === family).length <= most);
        for (const one of addresses)
          assert.ok(
            prefixes.some((prefix) => cidrContainsIp(prefix, parseIp(one))),
            one,
          );
      },
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.nat(65_535), { minLength: 1 }), fc.integer({ min: 1, max: 8 }), (ports, most) => {
      const ranges = rangesOf(ports, most);
      assert.ok(ranges.length <= most);
      for (const port of ports) assert.ok(ranges.some(({ first, last }) => first <= port && port <= last));
    }),
  );
});
