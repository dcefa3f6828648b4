// SPDX-License-Identifier: Apache-2.0
/**
 * What simulate says of recorded flows, against the rules read one by one: random documents before and after, every kind of
 * peer. And nothing is lost: each flow is changed, unchanged or not judged.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { protocolNumber } from '@weir/net';
import { listRules, type PolicyDocument, parseDocument } from '@weir/policy-engine';
import { arbitraryFlow, arbitraryPolicies, askOracle, type OraclePeer } from '@weir/policy-engine/testing';
import {
  type FlowEnd,
  FlowEndSchema,
  type FlowGroup,
  FlowGroupSchema,
} from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import fc from 'fast-check';
import { Judges } from '../src/simulation/judges.ts';
import { createRuleset, type DocumentWithRules, type Ruleset, unnumberedRules } from '../src/simulation/ruleset.ts';
import { Tally } from '../src/simulation/tally.ts';

const NAMESPACE_LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  x: { 'kubernetes.io/metadata.name': 'x', team: 'red' },
  y: { 'kubernetes.io/metadata.name': 'y' },
};
const HTTP = { name: 'http', port: 80, protocol: 6 };
const DNS = { name: 'dns', port: 53, protocol: 17 };

interface Actor extends OraclePeer {
  readonly end: FlowEnd;
  readonly isWorkload: boolean;
}

const workload = (number: number, ns: string, labels: Record<string, string>, ip: string): Actor => ({
  ns,
  labels,
  nsLabels: NAMESPACE_LABELS[ns] ?? {},
  ip,
  named: { 'http/TCP': [80], 'dns/UDP': [53] },
  isWorkload: true,
  end: create(FlowEndSchema, {
    number,
    identity: 255 + number,
    labels: [
      ...Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`),
      `k8s:io.kubernetes.pod.namespace=${ns}`,
      ...Object.entries(NAMESPACE_LABELS[ns] ?? {}).map(
        ([key, value]) => `k8s:io.cilium.k8s.namespace.labels.${key}=${value}`,
      ),
    ],
  }),
});

const WORKLOADS: readonly Actor[] = [
  workload(1, 'x', { app: 'a', tier: 'f' }, '10.1.1.1'),
  workload(2, 'x', { app: 'b' }, '10.1.2.2'),
  workload(3, 'y', { app: 'a' }, '2001:db8::5'),
];
const outside = (ip: string): Actor => ({
  ip,
  isWorkload: false,
  end: create(FlowEndSchema, { number: 10, identity: 2, labels: ['reserved:world'] }),
});
const ACTORS: readonly Actor[] = [
  ...WORKLOADS,
  ...['10.1.1.2', '10.128.0.1', '192.0.2.1', '8.8.8.8', '2001:db8::1', 'fd00::1'].map(outside),
  {
    reserved: 'remote-node',
    isWorkload: false,
    end: create(FlowEndSchema, { number: 11, identity: 6, labels: ['reserved:remote-node'] }),
  },
];
const ENDS = [...new Map(ACTORS.map(({ end }) => [end.number, end])).values()];
const namedPorts = new Map(WORKLOADS.map(({ end }) => [end.identity, [HTTP, DNS]]));

const question = fc.record({
  subject: fc.nat(WORKLOADS.length - 1),
  peer: fc.nat(ACTORS.length - 1),
  direction: fc.constantFrom('ingress', 'egress'),
  flow: arbitraryFlow,
  verdict: fc.constantFrom(1, 2),
});
type Asked = typeof question extends fc.Arbitrary<infer T> ? T : never;

const groupOf = ({ subject, peer, direction, flow, verdict }: Asked): FlowGroup => {
  const [own, other] = [WORKLOADS[subject] as Actor, ACTORS[peer] as Actor];
  const [client, server] = direction === 'egress' ? [own, other] : [other, own];
  const icmp = flow.protocol.startsWith('ICMP');
  return create(FlowGroupSchema, {
    client: client.end.number,
    server: server.end.number,
    clientIp: client.ip ?? '',
    serverIp: server.ip ?? '',
    protocol: protocolNumber(flow.protocol),
    port: icmp ? 0 : flow.port,
    icmpType: icmp ? flow.port : 0,
    direction: direction === 'egress' ? 2 : 1,
    verdict,
    dropReason: verdict === 2 ? 133 : 0,
    flows: 3n,
    packets: 5n,
    bytes: 700n,
  });
};

const rulesetOf = (docs: readonly PolicyDocument[]): Ruleset =>
  createRuleset(
    docs.map((doc, at): DocumentWithRules => {
      const rules = unnumberedRules(doc, ({ line }) => ({ file: `${at}.yaml`, line: line ?? null }));
      return { doc, rules };
    }),
  );

const judgesOf = (before: Ruleset, after: Ruleset, changed: readonly PolicyDocument[]): Judges => {
  const judges = new Judges({ before, after, changed, namedPorts });
  judges.learn(ENDS);
  return judges;
};

test('both verdicts are those of the rules, and every flow is counted once', () => {
  const seen = { allow: 0, deny: 0, changed: 0 };
  fc.assert(
    fc.property(
      arbitraryPolicies,
      arbitraryPolicies,
      fc.array(question, { minLength: 20, maxLength: 20 }),
      (rawBefore, rawAfter, questions) => {
        const [before, after] = [rawBefore, rawAfter].map((raw) => raw.map((json) => parseDocument(json))) as [
          PolicyDocument[],
          PolicyDocument[],
        ];
        const judges = judgesOf(rulesetOf(before), rulesetOf(after), [...before, ...after]);
        const tally = new Tally();
        for (const asked of questions) {
          const group = groupOf(asked);
          const got = judges.judge(group);
          assert.ok(typeof got === 'object', `${got}`);
          tally.add(group, got);
          const [subject, peer] = [WORKLOADS[asked.subject] as Actor, ACTORS[asked.peer] as Actor];
          const wanted = [rawBefore, rawAfter].map(
            (raw) => askOracle(raw, asked.direction as 'ingress', subject, peer, asked.flow).verdict,
          );
          assert.deepEqual([got.before.verdict, got.after.verdict], wanted, JSON.stringify({ asked, ip: peer.ip }));
          for (const [judged, docs] of [
            [got.before, before],
            [got.after, after],
          ] as const) {
            if (judged.reason === 'default-allow') assert.equal(judged.rule, undefined);
            else
              assert.ok(
                docs.some(
                  (doc) =>
                    doc.key === judged.rule?.policyKey && listRules(doc).some(({ path }) => path === judged.rule?.path),
                ),
              );
          }
          seen[got.after.verdict] += 1;
          if (got.before.verdict !== got.after.verdict) seen.changed += 1;
        }
        const { totals } = tally;
        const all = totals['newly-denied'].flows + totals['newly-allowed'].flows + totals.unchanged.flows;
        assert.equal(all, 60n);
        const { shown } = tally.changes(1_000);
        const told = (kind: string) => shown.reduce((sum, one) => sum + (one.class === kind ? one.flows : 0n), 0n);
        assert.deepEqual(
          [told('newly-denied'), told('newly-allowed')],
          [totals['newly-denied'].flows, totals['newly-allowed'].flows],
        );
      },
    ),
    { numRuns: 200 },
  );
  assert.ok(Math.min(seen.allow, seen.deny, seen.changed) > 200, JSON.stringify(seen));
});

test('documents that are in force already change nothing, whatever they say', () => {
  fc.assert(
    fc.property(arbitraryPolicies, fc.array(question, { minLength: 20, maxLength: 20 }), (raw, questions) => {
      const docs = raw.map((json) => parseDocument(json));
      // Given as changed, so that they are compiled and judged again.
      const judges = judgesOf(rulesetOf(docs), rulesetOf(docs.map(({ json }) => parseDocument(json))), docs);
      const tally = new Tally();
      for (const asked of questions) tally.add(groupOf(asked), judges.judge(groupOf(asked)));
      assert.equal(tally.totals.unchanged.flows, 60n);
      assert.deepEqual(
        tally.changes(100).shown.filter((change) => change.class !== 'disagrees'),
        [],
      );
    }),
    { numRuns: 100 },
  );
});

test('what cannot be judged is counted with the reason', () => {
  const judges = judgesOf(rulesetOf([]), rulesetOf([]), []);
  judges.learn([create(FlowEndSchema, { number: 20, identity: 900 })]);
  const asked = { subject: 0, peer: 1, direction: 'egress', flow: { protocol: 'TCP', port: 80 }, verdict: 1 } as const;
  const group = (over: object): FlowGroup => Object.assign(groupOf(asked), over);
  const cases: readonly (readonly [object, string])[] = [
    [{ server: 20 }, 'unknown-labels'],
    [{ client: 20 }, 'unknown-labels'],
    [{ server: 999 }, 'unknown-labels'],
    [{ client: 11 }, 'no-workload'],
    [{ related: true }, 'related'],
    [{ verdict: 2, dropReason: 132 }, 'dropped-otherwise'],
    [{ verdict: 6 }, 'no-verdict'],
    [{ direction: 0 }, 'no-verdict'],
  ];
  const tally = new Tally();
  for (const [over, reason] of cases) {
    assert.equal(judges.judge(group(over)), reason, JSON.stringify(over));
    tally.add(group(over), judges.judge(group(over)));
  }
  assert.equal(
    Object.values(tally.notJudged).reduce((sum, { flows }) => sum + flows, 0n),
    3n * BigInt(cases.length),
  );
  assert.equal(judges.judge(group({ verdict: 4 })) instanceof Object, true);
});
