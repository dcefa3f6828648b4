// SPDX-License-Identifier: Apache-2.0
/** A workload that has IPv6 only reaches a server that is asked by IPv4 only; policy knows the server by its IPv4 address. */
import assert from 'node:assert/strict';
import { until } from '@weir/infra/fleet';
import { flowsSince } from '../matrix/flows.ts';
import { PATIENT_MS, REFUSED_MS, type Scene, setNetwork, TCP, UDP } from './scene.ts';
import { Witness } from './witness.ts';

const PREFIX = '64:ff9b::';
const LONG_BYTES = 4_000;

const under = (ip4: string): string => {
  const [a = 0, b = 0, c = 0, d = 0] = ip4.split('.').map(Number);
  return `${PREFIX}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
};

/** `scene`: of workloads without IPv4. */
export const nat64 = async (scene: Scene, network: object): Promise<void> => {
  const { fleet, outside, web, evil } = scene;
  const host = under(outside.ip4 as string);
  const ask = async (from: typeof web, timeoutMs: number): Promise<string[]> => {
    const sayings = [
      { protocol: 'tcp', host, port: TCP, timeoutMs },
      { protocol: 'udp', host, port: UDP, timeoutMs },
      { protocol: 'icmp', host, timeoutMs },
    ] as const;
    return (await from.probes([...sayings])).map(({ outcome }, i) => `${sayings[i]?.protocol}: ${outcome}`);
  };
  const witness = new Witness(fleet.worldNetns as string, outside as { ip4: string; ip6: string });
  await setNetwork(scene, { ...network, nat64: { prefix: `${PREFIX}/96` } });
  const since = Date.now();
  assert.deepEqual(await ask(web, PATIENT_MS), ['tcp: answered', 'udp: answered', 'icmp: answered']);
  for (const line of await ask(evil, REFUSED_MS)) assert.match(line, /timeout$/);
  const { ip4 } = fleet.host('h1');
  assert.deepEqual(
    witness.heard(),
    ['icmp', 'tcp', 'udp'].map((protocol) => `${protocol} ${ip4}`),
  );
  // The first long answer may be too long for the last link: what came back of that is heeded by the next.
  const long = { protocol: 'udp', host, port: UDP, payloadBytes: LONG_BYTES, timeoutMs: PATIENT_MS } as const;
  await web.probe({ ...long, timeoutMs: REFUSED_MS });
  assert.equal((await web.probe(long)).outcome, 'answered', 'in fragments');
  for (const protocol of ['tcp', 'udp'] as const) {
    const { outcome } = await web.probe({ protocol, host, port: 9, timeoutMs: PATIENT_MS });
    assert.equal(outcome, 'ECONNREFUSED', `${protocol} to a port that is closed`);
  }
  let seen: string[] = [];
  await until(
    'flows to the address as written, of web forwarded and of evil dropped',
    30_000,
    async () => {
      const flows = await flowsSince(fleet.control.urls.analytics, since);
      const sent = flows.filter(({ destination, is_reply }) => !is_reply && destination.ip === host);
      seen = [...new Set(sent.map(({ source, verdict }) => `${source.identity} ${verdict}`))].sort();
      return [`${web.identity} FORWARDED`, `${evil.identity} DROPPED`].every((wanted) => seen.includes(wanted));
    },
    () => seen.join('; '),
  );
  await setNetwork(scene, network);
  for (const line of await ask(web, REFUSED_MS)) assert.doesNotMatch(line, /answered$/);
};
