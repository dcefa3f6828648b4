// SPDX-License-Identifier: Apache-2.0
/**
 * How fast workloads of two hosts speak through WireGuard as agents set it up, with a policy at both ends and flows reported,
 * against WireGuard by hand that judges nothing. Both stand at once and are measured in turn; what counts is the ratio, since an
 * emulated machine is slow at everything.
 *
 * Run in a guest (e2e/vm/suites.ts), where the kernel has WireGuard. The generator is that of e2e/bench.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { DB, EVIL, FAR_WEB, WEB } from '../support/encrypted-places.ts';
import { EncryptingFleet, WIREGUARD } from '../support/encrypting-fleet.ts';
import { netnsPath } from '../support/joined-hosts.ts';
import { type PlainWireguard, plainWireguard } from '../support/plain-wireguard.ts';

const RR = new URL('../../../../e2e/bench/build/rr', import.meta.url).pathname;
const LONG = process.env.WEIR_TEST_LONG === '1';
const ROUNDS = LONG ? 21 : 7;
const TRANSFER_MS = 2_000;
const REQUEST_MS = 1_000;
const [QUESTIONS, TRANSFERS] = [7000, 7001];
const [CLIENT_CPU, SERVER_CPU] = [0, 1];
/** An emulator does not repeat itself better than that. */
const LEAST = 0.7;

interface Path {
  readonly client: string;
  readonly server: string;
  readonly ip4: string;
}

const run = promisify(execFile);
const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1] as number;

describe('rates through WireGuard', { timeout: 1_200_000 }, () => {
  let fleet: EncryptingFleet;
  let plain: PlainWireguard;
  let paths: readonly [Path, Path];
  const servers: ChildProcess[] = [];

  before(async () => {
    fleet = await EncryptingFleet.start([[WEB], [DB], [EVIL, FAR_WEB]]);
    await fleet.tellNetwork({ wireguard: WIREGUARD });
    await fleet.tellKeys();
    await fleet.allEncrypted();
    plain = await plainWireguard();
    const [from, to] = plain.ends;
    paths = [
      { client: from.workload, server: to.workload, ip4: to.ip4 },
      { client: WEB.id, server: DB.id, ip4: DB.ip4 },
    ];
    for (const { server } of paths)
      for (const [verb, port] of [
        ['serve', QUESTIONS],
        ['sink', TRANSFERS],
      ] as const) {
        const words = [verb, netnsPath(server), String(port), String(SERVER_CPU)];
        const process = spawn(RR, words, { stdio: ['ignore', 'pipe', 'inherit'] });
        servers.push(process);
        await once(process.stdout as NodeJS.ReadableStream, 'data');
      }
  });
  after(async () => {
    for (const server of servers) server.kill('SIGKILL');
    await plain?.destroy();
    await fleet?.destroy();
  });

  const ask = async ({ client, ip4 }: Path, kind: string, port: number, ms: number) => {
    const words = ['ask', netnsPath(client), ip4, String(port), String(CLIENT_CPU), kind, String(ms)];
    return JSON.parse((await run(RR, words)).stdout);
  };
  /** Each round by both, one after the other; the medians and the median of the rounds' ratios. */
  const compare = async (measure: (path: Path) => Promise<number>) => {
    const rounds: [number, number][] = [];
    for (const path of paths) await measure(path); // handshakes, and what the emulator has to translate
    for (let i = 0; i < ROUNDS; i++) {
      const byPlain = await measure(paths[0]);
      rounds.push([byPlain, await measure(paths[1])]);
    }
    return {
      plain: median(rounds.map(([one]) => one)),
      ours: median(rounds.map(([, other]) => other)),
      ratio: median(rounds.map(([one, other]) => other / one)),
    };
  };

  it('transfers, and requests on an open connection', async (t) => {
    const transfer = await compare(async (path) => {
      const { bytes, ns } = await ask(path, 'stream', TRANSFERS, TRANSFER_MS);
      return (bytes * 8_000) / ns;
    });
    const request = await compare(async (path) => {
      const { p50Ns } = await ask(path, 'rr', QUESTIONS, REQUEST_MS);
      return p50Ns / 1_000;
    });
    const line = (name: string, unit: string, { plain: by, ours, ratio }: typeof transfer): string =>
      `${name}: plain ${by.toFixed(1)} ${unit}, ours ${ours.toFixed(1)} ${unit}, ratio ${ratio.toFixed(3)}`;
    t.diagnostic(line('transfer', 'Mbit/s', transfer));
    t.diagnostic(line('rr p50', 'us', request));
    assert.ok(transfer.ratio > LEAST, `${transfer.ratio} of the plain transfer`);
    assert.ok(request.ratio < 1 / LEAST, `${request.ratio} of the plain request`);
    await fleet.until('flows of the transfers, encrypted', () =>
      fleet.hosts[0].flows.some(({ encrypted, destinationPort }) => encrypted && destinationPort === TRANSFERS),
    );
  });
});
