// SPDX-License-Identifier: Apache-2.0
/**
 * One question asked of the network from inside a workload, with a real socket: does it answer? A probe says
 * what the application saw (answer, refusal, silence) and how long it took; it never interprets.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

export interface ProbeRequest {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  /** Address, not a name. */
  readonly host: string;
  readonly port?: number;
  readonly timeoutMs?: number;
  /** Bytes to send; the echo must return as many. */
  readonly payloadBytes?: number;
  /** TCP: local port to use; 0 = any. */
  readonly localPort?: number;
}

export interface ProbeResult {
  readonly ok: boolean;
  /** answered | timeout | ECONNREFUSED | EHOSTUNREACH ... as the socket said. */
  readonly outcome: string;
  readonly ms: number;
  readonly localPort?: number;
}

/** Silence this long counts as refused. */
export const DEFAULT_TIMEOUT_MS = 700;
/** For a probe that should be answered: however busy the machine, only a real refusal may fail it. */
export const PATIENT_TIMEOUT_MS = 10_000;

export const probe = async (request: ProbeRequest): Promise<ProbeResult> => {
  const started = performance.now();
  const run = { tcp: probeTcp, udp: probeUdp, icmp: probeIcmp }[request.protocol];
  const { outcome, localPort } = await run(request);
  return { ok: outcome === 'answered', outcome, ms: Math.round((performance.now() - started) * 10) / 10, localPort };
};

interface Outcome {
  readonly outcome: string;
  readonly localPort?: number;
}

const probeTcp = (request: ProbeRequest): Promise<Outcome> =>
  new Promise((resolve) => {
    const payload = Buffer.alloc(request.payloadBytes ?? 16, 'w');
    const socket = connect({
      host: request.host,
      port: request.port ?? 0,
      ...(request.localPort ? { localPort: request.localPort } : {}),
    });
    let received = 0;
    const finish = (outcome: string) => {
      const localPort = socket.localPort;
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (outcome === 'answered') socket.end();
      else socket.destroy();
      resolve({ outcome, localPort });
    };
    socket.setTimeout(request.timeoutMs ?? DEFAULT_TIMEOUT_MS, () => finish('timeout'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.on('connect', () => socket.write(payload));
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received >= payload.length) finish('answered');
    });
    socket.on('close', () => finish('closed'));
  });

const probeUdp = (request: ProbeRequest): Promise<Outcome> =>
  new Promise((resolve) => {
    const socket = createSocket(request.host.includes(':') ? 'udp6' : 'udp4');
    const finish = (outcome: string) => {
      clearTimeout(timer);
      let localPort: number | undefined;
      try {
        localPort = socket.address().port;
      } catch {
        // never bound
      }
      socket.close();
      resolve({ outcome, localPort });
    };
    const timer = setTimeout(() => finish('timeout'), request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.on('message', () => finish('answered'));
    socket.bind(request.localPort ?? 0, () => {
      socket.send(Buffer.alloc(request.payloadBytes ?? 16, 'w'), request.port ?? 0, request.host);
    });
  });

const probeIcmp = (request: ProbeRequest): Promise<Outcome> =>
  new Promise((resolve) => {
    const seconds = String(Math.max(0.2, (request.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000));
    const size = String(request.payloadBytes ?? 56);
    execFile('ping', ['-n', '-q', '-c', '1', '-W', seconds, '-s', size, request.host], (error) => {
      resolve({
        outcome: error ? (error.code === 1 ? 'timeout' : `ping: ${error.message.split('\n')[0]}`) : 'answered',
      });
    });
  });
