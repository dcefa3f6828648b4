// SPDX-License-Identifier: Apache-2.0
/**
 * One round of probes: every address of every other host and of its health endpoint, by ICMP echo and by a GET of /hello. In batches, so that a
 * fleet of thousands costs a trickle of packets and no host is asked by all others in one moment.
 */
import { request } from 'node:http';

/** host: its own address. endpoint: that of its health endpoint, which only the path of workloads reaches. */
export type TargetKind = 'host' | 'endpoint';

export interface Target {
  readonly host: string;
  readonly target: TargetKind;
  readonly address: string;
}

export type ProbeKind = 'icmp' | 'tcp';

export interface Measured extends Target {
  readonly kind: ProbeKind;
  /** Undefined without an answer. */
  readonly latencyUs: number | undefined;
  readonly error: string;
  readonly atMs: number;
}

export type Ping = (
  addresses: readonly string[],
  timeoutMs: number,
) => Promise<readonly { readonly latencyUs: number | undefined; readonly error: string }[]>;

const BATCH = 64;
export const HELLO = '/hello';

/** A GET on a connection of its own; what counts is that an agent answers there. */
const hello = (address: string, port: number, timeoutMs: number): Promise<Pick<Measured, 'latencyUs' | 'error'>> =>
  new Promise((resolve) => {
    const startNs = process.hrtime.bigint();
    const signal = AbortSignal.timeout(timeoutMs);
    const asked = request({ host: address, port, path: HELLO, agent: false, signal }, (response) => {
      response.resume();
      const latencyUs = Number((process.hrtime.bigint() - startNs) / 1_000n);
      const fine = response.statusCode === 200;
      resolve(fine ? { latencyUs, error: '' } : { latencyUs: undefined, error: `HTTP ${response.statusCode}` });
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      const why = signal.aborted ? 'no answer' : (error.code ?? error.message);
      resolve({ latencyUs: undefined, error: why });
    });
    asked.end();
  });

export interface RoundOptions {
  readonly ping: Ping;
  readonly port: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const probeBatch = async (batch: readonly Target[], { ping, port, timeoutMs }: RoundOptions): Promise<Measured[]> => {
  const addresses = batch.map(({ address }) => address);
  const [echoes, answers] = await Promise.all([
    ping(addresses, timeoutMs),
    Promise.all(addresses.map((address) => hello(address, port, timeoutMs))),
  ]);
  const atMs = Date.now();
  return batch.flatMap((target, i) => [
    { ...target, kind: 'icmp' as const, ...(echoes[i] ?? { latencyUs: undefined, error: 'not asked' }), atMs },
    { ...target, kind: 'tcp' as const, ...(answers[i] as Pick<Measured, 'latencyUs' | 'error'>), atMs },
  ]);
};

/** What was measured until it ended or was stopped. */
export const probeRound = async (targets: readonly Target[], options: RoundOptions): Promise<Measured[]> => {
  const measured: Measured[] = [];
  for (let at = 0; at < targets.length && !options.signal.aborted; at += BATCH) {
    measured.push(...(await probeBatch(targets.slice(at, at + BATCH), options)));
  }
  return measured;
};
