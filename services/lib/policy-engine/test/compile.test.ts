// SPDX-License-Identifier: Apache-2.0
/** The entries themselves: shape, attribution, closure, limits, and that caches never change an answer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseCidr, parseIp } from '@weir/net';
import fc from 'fast-check';
import { atom, someCovering } from '../src/compile/atoms.ts';
import { closeTrie, layTrie } from '../src/compile/trie.ts';
import {
  allocateCidrs,
  type CompiledWorkload,
  collectCidrs,
  compileWorkload,
  createCidrIndex,
  createCompiler,
  IDENTITY,
  judge,
  listRules,
  MAX_POLICY_ENTRIES,
  parseDocument,
} from '../src/index.ts';
import { rangeToPrefixes } from '../src/ports.ts';
import { policies } from '../testing/arbitrary-tiers.ts';
import { createFleet, parseOk } from './fleet.ts';

const show = ({ entries }: CompiledWorkload): string[] =>
  entries.map(
    ({ egress, identity, protocol, port, portPrefixBits, verdict, ruleId }) =>
      `${egress ? 'out' : 'in'} ${identity} ${protocol}/${port}/${portPrefixBits} ${verdict} #${ruleId}`,
  );
const cnp = (spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: default}\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  ${spec.replaceAll('\n', '\n  ')}\n`;
const PODS = { web: { labels: { app: 'web' } }, cli: { labels: { app: 'cli' } } };

test('entries of a rule: identities by number, ranges as prefixes, any as 0', () => {
  const fleet = createFleet(
    { pods: PODS },
    cnp(
      'ingress: [{fromEndpoints: [{matchLabels: {app: cli}}], toPorts: [{ports: [{port: "80", endPort: 83, protocol: TCP}, {port: "0", protocol: UDP}]}]}]\negress: [{}]',
    ),
  );
  assert.deepEqual(show(fleet.compile('web')), [
    'in 257 6/80/14 allow #1',
    'in 257 17/0/0 allow #1',
    'out 0 0/0/0 allow #2',
  ]);
  const { entries, ...rest } = fleet.compile('web');
  assert.equal(entries.length, 3);
  assert.deepEqual(rest, {
    enforceIngress: true,
    enforceEgress: true,
    ipBlock: false,
    tiers: false,
    defaultRuleIngress: 3,
    defaultRuleEgress: 4,
    overflow: false,
    unknownSubject: false,
  });
});

test('several rules with one key: deny before allow, then the lowest number', () => {
  const rule = (at: number) => `{fromEndpoints: [{matchLabels: {app: cli}}]${at ? '' : ''}}`;
  const fleet = createFleet(
    { pods: PODS },
    cnp(`ingress: [${rule(0)}, ${rule(1)}]\negress: [{toPorts: [{ports: [{port: "1"}]}]}, {}]\negressDeny: [{}, {}]`),
  );
  assert.deepEqual(show(fleet.compile('web')), ['in 257 0/0/0 allow #1', 'out 0 0/0/0 deny #5']);
});

test('an allow under a deny is taken out, one beside it stays', () => {
  const all = 0;
  const tcp = atom(6, 0, 0);
  const http = atom(6, 80, 16);
  const udp = atom(17, 53, 16);
  const allow = (ruleId: number, ...atoms: number[]) => ({ verdict: 'allow' as const, rank: 0, ruleId, atoms });
  const deny = (ruleId: number, ...atoms: number[]) => ({ verdict: 'deny' as const, rank: 0, ruleId, atoms });
  const none = new Map();
  const keys = (...given: Parameters<typeof closeTrie>) =>
    [...closeTrie(...given)].map(([key, { verdict }]) => (verdict === 'deny' ? -1 : 1) * key);
  assert.deepEqual(keys([allow(1, all, http, udp), deny(2, tcp)], none), [all, udp, -tcp]);
  assert.deepEqual(keys([allow(1, all, http, udp), deny(2, http)], none), [all, -http, udp]);
  assert.deepEqual(keys([allow(1, http), deny(2, all)], none), [-0]);
  assert.deepEqual(keys([allow(1, all, http)], layTrie([deny(2, http)])), [all], 'under a denial for everybody');
});

test('covering: protocol and port prefixes', () => {
  const has = (value: number, ...atoms: number[]) => someCovering(value, (one) => atoms.includes(one));
  assert.equal(has(atom(6, 80, 16), atom(6, 64, 10)), true);
  assert.equal(has(atom(6, 128, 16), atom(6, 64, 10)), false);
  assert.equal(has(atom(6, 64, 10), atom(6, 80, 16)), false);
  assert.equal(has(atom(6, 80, 16), atom(17, 0, 0)), false);
  assert.equal(has(0, atom(6, 0, 0)), false);
  assert.equal(has(atom(6, 0, 0), 0), true);
});

test('a range and its prefixes hold the same ports', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65535 }), fc.integer({ min: 0, max: 65535 }), (a, b) => {
      const [first, last] = [Math.min(a, b), Math.max(a, b)];
      const prefixes = rangeToPrefixes(first, last);
      let next = first;
      for (const { port, bits } of prefixes) {
        assert.equal(port, next, 'no gap, no overlap');
        next = port + (1 << (16 - bits));
      }
      assert.equal(next, last + 1);
      assert.ok(prefixes.length <= 30);
    }),
  );
  assert.deepEqual(rangeToPrefixes(0, 65535), [{ port: 0, bits: 0 }]);
});

test('too many entries: overflow, and the judge refuses everything', () => {
  const pods = Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`p${at}`, { labels: { app: `a${at}` } }]));
  const ports = Array.from({ length: 30 }, (_, at) => `{port: "${at * 2 + 1}", protocol: TCP}`).join(', ');
  const fleet = createFleet(
    { pods: { ...pods, web: { labels: { app: 'web' } } } },
    cnp(`ingress: [{fromEndpoints: [{}], toPorts: [{ports: [${ports}]}]}]`),
  );
  const compiled = fleet.compile('web');
  assert.ok(compiled.entries.length > MAX_POLICY_ENTRIES);
  assert.equal(compiled.overflow, true);
  assert.deepEqual(judge(compiled, { direction: 'ingress', peerIdentity: 256, protocol: 6, port: 1 }), {
    verdict: 'deny',
    reason: 'default-deny',
    ruleId: 2,
    matchType: 'none',
  });
});

test('a subject whose labels nobody knows is closed both ways', () => {
  const compiled = compileWorkload({
    identities: new Map(),
    policies: [],
    cidrs: new Map(),
    subject: { identity: 999, namedPorts: [] },
  });
  assert.deepEqual([compiled.unknownSubject, compiled.enforceIngress, compiled.enforceEgress], [true, true, true]);
  const init = compileWorkload({
    identities: new Map(),
    policies: [],
    cidrs: new Map(),
    subject: { identity: IDENTITY.INIT, namedPorts: [] },
  });
  assert.deepEqual([init.unknownSubject, init.enforceIngress], [false, false], 'init is known; policies may select it');
});

test('match types and reasons', () => {
  const fleet = createFleet(
    { pods: PODS, others: { ext: '192.0.2.1', host: 1 } },
    cnp(
      'ingress:\n- toPorts: [{ports: [{port: "80", protocol: TCP}]}]\n- toPorts: [{ports: [{port: "0", protocol: UDP}]}]\n- fromEndpoints: [{}]\n  toPorts: [{ports: [{port: "0", protocol: SCTP}, {port: "1", protocol: SCTP}]}]',
    ),
  );
  const ask = (peer: string, flow: string) => {
    const { verdict, reason, matchType } = fleet.half('web', peer, 'ingress', flow);
    return `${verdict} ${reason} ${matchType}`;
  };
  assert.equal(ask('ext', 'TCP/80'), 'allow rule L4-Only');
  assert.equal(ask('ext', 'UDP/1'), 'allow rule Proto-Only');
  assert.equal(ask('cli', 'SCTP/9'), 'allow rule L3-Proto');
  assert.equal(ask('cli', 'SCTP/1'), 'allow rule L3-L4');
  assert.equal(ask('ext', 'TCP/81'), 'deny default-deny none');
  assert.equal(ask('host', 'TCP/81'), 'allow host none');
  assert.equal(fleet.half('web', 'host', 'ingress', 'TCP/81', false).verdict, 'deny');
  assert.equal(fleet.half('web', 'ext', 'egress', 'TCP/81').reason, 'default-allow');
});

test("of two allows the longer match is named, of equal ones the peer's own", () => {
  const fleet = createFleet(
    { pods: PODS },
    cnp(
      'ingress:\n- fromEndpoints: [{}]\n  toPorts: [{ports: [{port: "0", protocol: TCP}, {port: "90", protocol: TCP}]}]\n- toPorts: [{ports: [{port: "80", protocol: TCP}, {port: "90", protocol: TCP}]}]',
    ),
  );
  assert.equal(fleet.half('web', 'cli', 'ingress', 'TCP/80').ruleId, 2);
  assert.equal(fleet.half('web', 'cli', 'ingress', 'TCP/90').ruleId, 1);
  assert.equal(fleet.half('web', 'cli', 'ingress', 'TCP/70').ruleId, 1);
});

test('prefixes that need a number: all, exceptions, and IPv4 beside an IPv6 prefix that would swallow it', () => {
  const docs = parseOk(
    cnp(
      'egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}, {toCIDR: [10.0.0.1, "::/0", "2001:db8::/32"]}]',
    ),
  );
  assert.deepEqual(collectCidrs(docs), [
    '0.0.0.0/0',
    '10.0.0.0/8',
    '10.0.0.1/32',
    '10.1.0.0/16',
    '::/0',
    '2001:db8::/32',
  ]);
  assert.deepEqual(collectCidrs(parseOk(cnp('egress: [{toCIDR: ["2001:db8::/32", "::/97"]}]'))), [
    '::/97',
    '2001:db8::/32',
  ]);
});

test('numbers of prefixes are kept, and those of gone prefixes used again', () => {
  const first = allocateCidrs(['10.0.0.0/8', '11.0.0.0/8', '12.0.0.0/8']);
  const second = allocateCidrs(['9.0.0.0/8', '10.0.0.0/8', '12.0.0.0/8', '13.0.0.0/8'], first);
  assert.equal(second.get('10.0.0.0/8'), first.get('10.0.0.0/8'));
  assert.equal(second.get('12.0.0.0/8'), first.get('12.0.0.0/8'));
  assert.equal(new Set(second.values()).size, 4);
  for (const number of second.values()) assert.equal(number & IDENTITY.SCOPE_MASK, IDENTITY.SCOPE_CIDR);
});

test('the index of prefixes finds what a plain search finds', () => {
  const cidr = fc.tuple(
    fc.constantFrom('10.0.0.0', '10.128.0.0', '10.0.128.0', 'fd00::', 'fd80::', '::'),
    fc.integer({ min: 0, max: 32 }),
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(
        cidr.map(([ip, bits]) => parseCidr(`${ip}/${bits}`).text),
        { maxLength: 20 },
      ),
      cidr,
      fc.ipV4(),
      (texts, [ip, bits], random) => {
        const cidrs = allocateCidrs(texts);
        const index = createCidrIndex(cidrs);
        const wanted = parseCidr(`${ip}/${bits}`);
        const bitsOf = (text: string): string => {
          const { addr, bits128, family } = parseCidr(text);
          return (
            family +
            [...addr]
              .map((byte) => byte.toString(2).padStart(8, '0'))
              .join('')
              .slice(0, bits128)
          );
        };
        const inside = texts
          .filter((text) => bitsOf(text).startsWith(bitsOf(wanted.text)))
          .map((text) => cidrs.get(text));
        assert.deepEqual(new Set(index.within(wanted, [])), new Set(inside));
        for (const address of [ip, random]) {
          const whole = bitsOf(address.includes(':') ? `${address}/128` : `${address}/32`);
          const best = texts
            .filter((text) => whole.startsWith(bitsOf(text)))
            .sort((a, b) => bitsOf(b).length - bitsOf(a).length)[0];
          assert.equal(index.lookup(parseIp(address)), best === undefined ? undefined : cidrs.get(best));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('a compiler that lives long answers as a new one, whatever changes in between', () => {
  const labels = fc.uniqueArray(
    fc.constantFrom(
      'k8s:app=a',
      'k8s:app=b',
      'k8s:tier=f',
      'container:app=a',
      'k8s:io.kubernetes.pod.namespace=x',
      'k8s:io.kubernetes.pod.namespace=y',
      'k8s:io.cilium.k8s.namespace.labels.team=red',
      'k8s:host',
    ),
    { maxLength: 5 },
  );
  const step = fc.record({
    set: fc.dictionary(fc.constantFrom('256', '257', '258', '300', '7'), labels),
    remove: fc.subarray([256, 257, 300]),
    docs: policies,
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 5 }), (steps) => {
      const compiler = createCompiler();
      const identities = new Map<number, readonly string[]>([
        [256, ['k8s:app=a', 'k8s:io.kubernetes.pod.namespace=x']],
      ]);
      let cidrs = allocateCidrs([]);
      for (const { set, remove, docs } of steps) {
        for (const identity of remove) identities.delete(identity);
        for (const [identity, now] of Object.entries(set)) identities.set(Number(identity), now);
        const parsed = docs.map((json) => parseDocument(json));
        cidrs = allocateCidrs(collectCidrs(parsed), cidrs);
        const numbered = parsed.map((doc) => ({
          doc,
          ruleIds: new Map(listRules(doc).map(({ path }, at) => [path, at + 1])),
        }));
        for (const identity of [256, 257, 5]) {
          const input = { identities, policies: numbered, cidrs, subject: { identity, namedPorts: [] } };
          assert.deepEqual(compiler.compile(input), compileWorkload(input));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('constants are those of the datapath', () => {
  const text = readFileSync(new URL('../../../../bpf/include/abi.h', import.meta.url), 'utf8');
  const value = (name: string): number => {
    const found = new RegExp(`\\b${name} = (0x[0-9a-f]+|\\d+)`).exec(text)?.[1];
    assert.ok(found, `${name} is not in abi.h`);
    return Number(found);
  };
  for (const [name, number] of Object.entries(IDENTITY)) assert.equal(value(`IDENTITY_${name}`), number, name);
  assert.equal(value('WEIR_MAX_POLICY'), MAX_POLICY_ENTRIES);
});
