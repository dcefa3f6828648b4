// SPDX-License-Identifier: Apache-2.0
/**
 * The compiler and the judge against the oracle: random documents, every kind of peer. This is what "deny closure" must keep:
 * for every identity, protocol and port the longest matches give what the rules say.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp, protocolNumber } from '@weir/net';
import fc from 'fast-check';
import {
  allocateCidrs,
  type CompiledWorkload,
  collectCidrs,
  createCidrIndex,
  createCompiler,
  groupsIn,
  IDENTITY,
  icmpPort,
  ipBlockTwin,
  judge,
  listRules,
  type NamedPort,
  parseDocument,
  resolveGroups,
} from '../src/index.ts';
import { flow, NAMESPACE_LABELS } from '../testing/arbitrary.ts';
import { policies } from '../testing/arbitrary-tiers.ts';
import type { OracleFlow, OraclePeer } from '../testing/oracle.ts';
import { askOracle } from '../testing/oracle-tiers.ts';

interface Actor extends OraclePeer {
  readonly identity?: number;
  readonly ports?: readonly NamedPort[];
}

const pod = (
  identity: number,
  ns: string,
  labels: Record<string, string>,
  ip: string,
  ports: readonly NamedPort[] = [],
): Actor => ({
  identity,
  ns,
  labels,
  nsLabels: NAMESPACE_LABELS[ns] ?? {},
  ip,
  ports,
  named: Object.fromEntries(
    ports.map(({ name, port, protocol }) => [`${name}/${protocol === 6 ? 'TCP' : 'UDP'}`, [port]]),
  ),
});
const HTTP: NamedPort = { name: 'http', port: 80, protocol: 6 };
const ALT: NamedPort = { name: 'http', port: 8080, protocol: 6 };
const DNS: NamedPort = { name: 'dns', port: 53, protocol: 17 };

const PODS: readonly Actor[] = [
  pod(256, 'x', { app: 'a', tier: 'f' }, '10.1.1.1', [HTTP, DNS]),
  pod(256, 'x', { app: 'a', tier: 'f' }, '10.200.0.9', [HTTP, DNS]),
  pod(257, 'x', { app: 'b' }, '10.1.2.2', [ALT]),
  pod(258, 'y', { app: 'a' }, '2001:db8::5', [ALT, DNS]),
  pod(259, 'y', {}, '172.16.0.1'),
];
const OTHERS: readonly Actor[] = [
  ...['10.1.1.1', '10.1.1.2', '10.1.9.9', '10.128.0.1', '192.0.2.1', '8.8.8.8', '200.1.1.1'].map((ip) => ({ ip })),
  ...['2001:db8::1', '2001:db8:1::1', '::5', 'fd00::1'].map((ip) => ({ ip })),
  { reserved: 'host', identity: 1 },
  { reserved: 'remote-node', identity: 6 },
  { reserved: 'health', identity: 4 },
];
const ACTORS = [...PODS, ...OTHERS];

const identities = new Map(
  PODS.map(({ identity, ns, labels, nsLabels }) => [
    identity as number,
    [
      ...Object.entries(labels ?? {}).map(([key, value]) => `k8s:${key}=${value}`),
      `k8s:io.kubernetes.pod.namespace=${ns}`,
      ...Object.entries(nsLabels ?? {}).map(([key, value]) => `k8s:io.cilium.k8s.namespace.labels.${key}=${value}`),
    ],
  ]),
);
const peerNamedPorts = new Map(PODS.map(({ identity, ports }) => [identity as number, ports ?? []]));

const kernelFlow = ({ protocol, port }: OracleFlow) => ({
  protocol: protocolNumber(protocol),
  port: protocol.startsWith('ICMP') ? icmpPort(port) : port,
});

const question = fc.record({
  subject: fc.nat(PODS.length - 1),
  peer: fc.nat(ACTORS.length - 1),
  direction: fc.constantFrom('ingress', 'egress'),
  flow,
});

const keyOf = ({
  identity,
  egress,
  tier,
  protocol,
  port,
  portPrefixBits,
}: CompiledWorkload['entries'][number]): string =>
  `${identity} ${egress} ${tier} ${protocol} ${port}/${portPrefixBits}`;

/** In no trie does an entry lie under a stronger one, and no key is there twice. */
const checkClosed = ({ entries }: CompiledWorkload): void => {
  const byKey = new Map(entries.map((entry) => [keyOf(entry), entry]));
  assert.equal(byKey.size, entries.length, 'a key is there twice');
  for (const entry of entries) {
    assert.equal(entry.port & (0xffff >> entry.portPrefixBits), 0, 'bits behind the prefix are set');
    const check = (protocol: number, port: number, portPrefixBits: number): void => {
      const over = byKey.get(keyOf({ ...entry, protocol, port, portPrefixBits }));
      if (!over) return;
      const denied = over.rank === entry.rank && over.verdict === 'deny' && entry.verdict !== 'deny';
      assert.ok(over.rank <= entry.rank && !denied, 'an entry under a stronger one');
    };
    check(0, 0, 0);
    if (entry.protocol === 0) continue;
    for (let bits = entry.portPrefixBits; bits >= 0; bits--) {
      check(entry.protocol, entry.port & (0xffff << (16 - bits)) & 0xffff, bits);
    }
  }
};

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 3000);

test(`compile and judge agree with the rules (${RUNS} sets of documents, 40 questions each)`, () => {
  const seen = { allow: 0, deny: 0 };
  fc.assert(
    fc.property(policies, fc.array(question, { minLength: 40, maxLength: 40 }), (raw, questions) => {
      const given = raw.map((json) => parseDocument(json));
      const docs = given.map((doc) => resolveGroups(doc, groupsIn(given)));
      const cidrs = allocateCidrs(collectCidrs(docs));
      const index = createCidrIndex(cidrs);
      const origin = new Map<number, string>();
      const numbered = docs.map((doc, at) => {
        const ruleIds = new Map<string, number>();
        for (const { path } of listRules(doc)) {
          ruleIds.set(path, origin.size + 1);
          origin.set(origin.size + 1, `${at} ${path}`);
        }
        return { doc, ruleIds };
      });
      const compiler = createCompiler();
      const compiled = new Map(
        PODS.map((subject) => [
          subject,
          compiler.compile({
            identities,
            policies: numbered,
            cidrs,
            subject: { identity: subject.identity as number, namedPorts: subject.ports ?? [] },
            peerNamedPorts,
          }),
        ]),
      );
      for (const policy of compiled.values()) checkClosed(policy);
      for (const asked of questions) {
        const { direction, flow } = asked;
        const subject = PODS[asked.subject] as Actor;
        const peer = ACTORS[asked.peer] as Actor;
        const policy = compiled.get(subject) as CompiledWorkload;
        const cidr = peer.ip === undefined ? undefined : index.lookup(parseIp(peer.ip));
        const twin =
          peer.identity !== undefined && cidr !== undefined && policy.ipBlock ? ipBlockTwin(cidr) : undefined;
        const world = peer.ip?.includes(':') ? IDENTITY.WORLD_IPV6 : IDENTITY.WORLD_IPV4;
        const got = judge(policy, {
          direction,
          peerIdentity: peer.identity ?? cidr ?? world,
          ...(twin === undefined ? {} : { peerIpblockIdentity: twin }),
          ...kernelFlow(flow),
          allowHost: false,
        });
        const wanted = askOracle(raw, direction, subject, peer, flow);
        const about = JSON.stringify({ direction, subject: subject.identity, peer, flow, got, wanted });
        assert.equal(got.verdict, wanted.verdict, about);
        seen[got.verdict]++;
        const decided = origin.get(got.ruleId);
        if (got.reason === 'rule') {
          assert.ok(
            (got.verdict === 'deny' ? wanted.denies : wanted.allows).includes(decided as string),
            `wrong rule ${decided}: ${about}`,
          );
        } else if (got.reason === 'default-deny')
          assert.match(decided ?? '', new RegExp(`defaultDeny\\.${direction}$`), about);
        else assert.equal(got.ruleId, 0);
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(Math.min(seen.allow, seen.deny) > (RUNS * 40) / 10, `lopsided: ${JSON.stringify(seen)}`);
});
