// SPDX-License-Identifier: Apache-2.0
/**
 * The connectivity matrix: three hosts, six workloads, TCP, UDP and ICMP in both families, eleven policies applied
 * one after the other through the public API. After each step every pair is tried with real sockets and compared
 * with the hand-written meaning of the policies; after the last, so is every flow that the fleet recorded.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { callApi } from '@weir/infra/api';
import { createFleet, type Fleet, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { type Flow, flowsSince, seen } from './flows.ts';
import { HOSTS, L4S, WORKLOADS } from './layout.ts';
import { type Expectation, expectation } from './oracle.ts';
import { type L4, type Party, POLICIES } from './policies.ts';

interface Cell {
  readonly from: Workload;
  readonly to: Workload;
  readonly l4: L4;
  readonly expected: Expectation;
  ok?: boolean;
}

const party = (w: Workload): Party => ({
  name: w.spec.name,
  namespace: w.spec.namespace ?? 'default',
  labels: w.spec.labels ?? {},
  ip4: w.ip4,
});

const nameOf = ({ from, to, l4 }: Cell): string => `${from.id} -> ${to.id} ${l4.protocol}/${l4.port} IPv${l4.family}`;
const addressOf = (w: Workload, family: 4 | 6): string => (family === 4 ? w.ip4 : w.ip6);

describe('connectivity matrix', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let workloads: Workload[];

  before(async () => {
    fleet = await createFleet(testFleet('mx', HOSTS));
    workloads = await Promise.all(WORKLOADS.map((spec) => fleet.addWorkload(spec)));
  });
  after(() => fleet?.destroy());

  const cellsFor = (policies: typeof POLICIES): Cell[] =>
    workloads.flatMap((from) =>
      workloads
        .filter((to) => to !== from)
        .flatMap((to) =>
          L4S.map((l4) => ({ from, to, l4, expected: expectation(policies, party(from), party(to), l4) })),
        ),
    );

  const probeAll = async (cells: readonly Cell[]): Promise<void> => {
    await Promise.all(
      workloads.map(async (from) => {
        const mine = cells.filter((cell) => cell.from === from);
        const results = await from.probes(
          mine.map(({ to, l4, expected }) => ({
            protocol: l4.protocol,
            host: addressOf(to, l4.family),
            port: l4.port,
            timeoutMs: expected.allowed ? PATIENT_TIMEOUT_MS : 600,
          })),
        );
        mine.forEach((cell, i) => {
          cell.ok = results[i]?.ok;
        });
      }),
    );
  };

  const assertCells = (cells: readonly Cell[]): void => {
    const wrong = cells
      .filter((cell) => cell.ok !== cell.expected.allowed)
      .map((cell) => `${nameOf(cell)}: wanted ${cell.expected.allowed ? 'allowed' : 'refused'}, got the opposite`);
    assert.deepEqual(wrong, []);
  };

  const applyAll = async (yaml: string): Promise<void> => {
    const answer = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
      raw: { type: 'application/yaml', text: yaml.replaceAll('DB_ADDRESS', dbAddress()) },
    });
    await fleet.waitRealised(answer.revision);
  };
  const dbAddress = (): string => (workloads.find((w) => w.spec.name === 'db') as Workload).ip4;

  test('without a policy everybody reaches everybody', async () => {
    const cells = cellsFor([]);
    await probeAll(cells);
    assertCells(cells);
  });

  for (const [i, policy] of POLICIES.entries()) {
    test(`with ${i + 1} policies, the last one ${policy.key}`, async () => {
      await applyAll(policy.yaml);
      const cells = cellsFor(POLICIES.slice(0, i + 1));
      await probeAll(cells);
      assertCells(cells);
    });
  }

  test('every connection has its flows, with verdict, rule and counts', async () => {
    const since = Date.now();
    const cells = cellsFor(POLICIES);
    await probeAll(cells);
    assertCells(cells);
    let problems: string[] = ['not looked yet'];
    // Counts of TCP are complete once conntrack has reported what came after the last FIN (a few seconds).
    await until(
      'the flows to agree with the sockets',
      25_000,
      async () => {
        const flows = await flowsSince(fleet.control.urls.analytics, since);
        problems = cells.flatMap((cell) => compare(cell, flows));
        return problems.length === 0;
      },
      () => `${problems.length} differ, such as:\n${problems.slice(0, 10).join('\n')}`,
    );
  });

  test('deleting the policies opens everything again', async () => {
    let revision = 0;
    for (const { key } of POLICIES) {
      const [kind, namespace, name] = key.split('/');
      const url = `${fleet.control.urls.policy}/v1/policies/${kind}/${namespace}/${name}`;
      revision = (await callApi<{ revision: number }>(url, { method: 'DELETE' })).revision;
    }
    await fleet.waitRealised(revision);
    const cells = cellsFor([]);
    await probeAll(cells);
    assertCells(cells);
  });
});

const protocolName = ({ protocol, family }: L4): string =>
  protocol === 'icmp' ? (family === 4 ? 'ICMP' : 'ICMPv6') : protocol.toUpperCase();

/** What is wrong with the recorded flows of one conversation. */
const compare = (cell: Cell, all: readonly Flow[]): string[] => {
  const { from, to, l4, expected } = cell;
  const source = addressOf(from, l4.family);
  const destination = addressOf(to, l4.family);
  const name = nameOf(cell);
  const mine = all.filter(
    (f) =>
      f.protocol === protocolName(l4) &&
      (f.is_reply
        ? f.source.ip === destination && f.destination.ip === source && f.source.port === l4.port
        : f.source.ip === source && f.destination.ip === destination && f.destination.port === l4.port),
  );
  const at = (direction: string, reply: boolean) =>
    seen(mine.filter((f) => f.direction === direction && f.is_reply === reply));
  const egress = at('EGRESS', false);
  const ingress = at('INGRESS', false);
  const problems: string[] = [];
  const check = (fact: boolean, text: string) => {
    if (!fact) problems.push(`${name}: ${text}`);
  };
  const verdictIs = (what: string, flows: readonly Flow[], allowed: boolean) => {
    check(flows.length > 0, `no ${what} flow`);
    check(
      flows.every((f) => f.verdict === (allowed ? 'FORWARDED' : 'DROPPED')),
      `${what} verdict ${flows.map((f) => f.verdict)}`,
    );
    if (!allowed) {
      check(
        flows.every((f) => f.drop_reason !== null && [133, 181].includes(f.drop_reason.code) && f.rule?.policy),
        `${what} drop without reason or rule: ${JSON.stringify(flows[0])}`,
      );
    }
  };
  verdictIs('egress', egress.flows, expected.egress);
  if (expected.egress) verdictIs('ingress', ingress.flows, expected.ingress);
  else check(ingress.flows.length === 0, 'seen at the callee although refused at the caller');
  check(
    [...egress.flows, ...ingress.flows].every((f) => f.source.workload !== null && f.destination.workload !== null),
    'a flow does not name its workloads',
  );
  if (!expected.allowed) return problems;
  check(egress.packets === ingress.packets, `${egress.packets} packets left, ${ingress.packets} arrived`);
  check(egress.bytes === ingress.bytes, `${egress.bytes} bytes left, ${ingress.bytes} arrived`);
  const reply = at('INGRESS', true);
  const header = l4.family === 4 ? 20 : 40;
  if (l4.protocol === 'tcp') {
    check(egress.packets >= 3 && reply.packets >= 2, `only ${egress.packets} and ${reply.packets} packets`);
  } else {
    const bytes = header + (l4.protocol === 'udp' ? 8 + 16 : 8 + 56);
    check(
      egress.packets === 1 && reply.packets === 1,
      `${egress.packets} packets and ${reply.packets} replies, not 1 and 1`,
    );
    check(egress.bytes === bytes && reply.bytes === bytes, `${egress.bytes} and ${reply.bytes} bytes, not ${bytes}`);
  }
  return problems;
};
