// SPDX-License-Identifier: Apache-2.0
/** The world sees hosts, not workloads; who may speak to it is judged by identity before, and recorded as the workload. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { until, type Workload } from '@weir/infra/fleet';
import { flowsSince } from '../matrix/flows.ts';
import { FAMILIES, type Family, PATIENT_MS, REFUSED_MS, type Scene, setNetwork, TCP, UDP } from './scene.ts';
import { Witness } from './witness.ts';

const LONG_BYTES = 4_000;
const LEARN_MS = 1_000;

const long = ({ outside }: Scene, family: Family, timeoutMs: number) =>
  ({ protocol: 'udp', host: outside[family] as string, port: UDP, payloadBytes: LONG_BYTES, timeoutMs }) as const;

const ask = async (scene: Scene, from: Workload, timeoutMs: number): Promise<string[]> => {
  const sayings = FAMILIES.flatMap((family) => {
    const common = { host: scene.outside[family] as string, timeoutMs };
    return [
      { ...common, protocol: 'tcp' as const, port: TCP },
      { ...common, protocol: 'udp' as const, port: UDP },
      long(scene, family, timeoutMs),
      { ...common, protocol: 'icmp' as const },
    ];
  });
  const results = await from.probes(sayings);
  return results.map(({ outcome }, i) => `${sayings[i]?.protocol} ${sayings[i]?.host}: ${outcome}`);
};

export const asHeard = (addresses: readonly string[]): string[] =>
  addresses.flatMap((address) => ['icmp', 'tcp', 'udp'].map((protocol) => `${protocol} ${address}`)).sort();

/** Everything that these workloads say to the world is answered. */
export const allAnswered = async (scene: Scene, from: readonly Workload[]): Promise<void> => {
  // The first long answer may be too long for the last link: what came back of that is heeded by the next.
  await Promise.all(from.map((one) => one.probes(FAMILIES.map((family) => long(scene, family, LEARN_MS)))));
  for (const line of (await Promise.all(from.map((one) => ask(scene, one, PATIENT_MS)))).flat())
    assert.match(line, /answered$/);
};

const CLI = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;

/** Flows of connections that last longer than a packet say which address the world sees. */
const told = async ({ fleet, web, shop }: Scene, since: number): Promise<void> => {
  for (const family of FAMILIES) {
    const wanted = [
      [web, fleet.host('h1')[family]],
      [shop, fleet.host('h3')[family]],
    ] as const;
    for (const [from, address] of wanted) {
      let seen = '';
      await until(
        `flows of ${from.id} that the world sees as ${address}`,
        30_000,
        async () => {
          const words = [
            'observe',
            '--snat-ip',
            address,
            '--protocol',
            'TCP',
            '--since',
            new Date(since).toISOString(),
          ];
          const env = { ...process.env, ...fleet.control.cliEnv };
          const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...words, '-o', 'json'], { env });
          seen = stdout;
          const flows = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
          assert.ok(
            flows.every((flow) => flow.source_xlated === address && flow.source.ip === from[family]),
            stdout,
          );
          return flows.length > 0;
        },
        () => seen,
      );
    }
  }
};

export const masquerade = async (scene: Scene, network: object): Promise<void> => {
  const { fleet, outside, web, evil, shop } = scene;
  const witness = new Witness(fleet.worldNetns as string, outside as { ip4: string; ip6: string });
  const all = (from: readonly Workload[]): Promise<void> => allAnswered(scene, from);
  await all([web, shop]);
  assert.deepEqual(witness.heard(), asHeard([web.ip4, web.ip6, shop.ip4, shop.ip6]), 'without masquerade');

  await setNetwork(scene, { ...network, masquerade: { ipv4: true, ipv6: true } });
  witness.forget();
  const since = Date.now();
  await all([web, shop]);
  for (const line of await ask(scene, evil, REFUSED_MS)) assert.match(line, /timeout$/);
  const [h1, h3] = [fleet.host('h1'), fleet.host('h3')];
  assert.deepEqual(witness.heard(), asHeard([h1.ip4, h1.ip6, h3.ip4, h3.ip6]), 'with masquerade');
  // A port that is closed out there: the error finds its way back through the translation.
  for (const family of FAMILIES) {
    for (const protocol of ['tcp', 'udp'] as const) {
      const request = { protocol, host: outside[family] as string, port: 9, timeoutMs: PATIENT_MS };
      assert.equal((await web.probe(request)).outcome, 'ECONNREFUSED', `${protocol} ${family}`);
    }
  }
  let problems: string[] = [];
  await until(
    'flows to the world with the identities of workloads',
    30_000,
    async () => {
      const flows = (await flowsSince(fleet.control.urls.analytics, since)).filter(
        ({ destination, is_reply }) => !is_reply && (destination.ip === outside.ip4 || destination.ip === outside.ip6),
      );
      problems = [web, shop, evil].flatMap((from) => {
        const mine = flows.filter(({ source }) => source.ip === from.ip4 || source.ip === from.ip6);
        const verdict = from === evil ? 'DROPPED' : 'FORWARDED';
        if (mine.length < 6) return [`${from.id}: ${mine.length} flows`];
        return mine
          .filter((flow) => flow.verdict !== verdict || flow.source.identity !== from.identity)
          .map((flow) => JSON.stringify(flow));
      });
      return problems.length === 0;
    },
    () => problems.slice(0, 5).join('\n'),
  );
  await told(scene, since);
  await setNetwork(scene, network);
  witness.forget();
  await all([web]);
  assert.deepEqual(witness.heard(), asHeard([web.ip4, web.ip6]), 'without masquerade again');
};
